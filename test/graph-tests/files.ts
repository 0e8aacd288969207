/** Files for graph tests of graph tests: a small spec, and whatever else a test writes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from '../runtime/weights/files.ts';

export const tiny = `peel: 1
name: tiny
params: { vocab: 32, dim: 16, layers: 2, heads: 4 }
embeddings:
  token: { rows: vocab, dim: dim }
normalization: { kind: rmsnorm, eps: 1e-5 }
layers:
  repeat: layers
  residual:
    - norm: default
      attention: { heads: heads, kv_heads: 2, head_dim: dim / heads, position: { rope: { theta: 10000, pairing: half } } }
    - norm: default
      ffn: { hidden: 4 * dim, activation: silu, gated: true }
output:
  norm: default
  linear: { tied: true }
`;

/** A folder with tiny.yaml and `files`, for one test. */
export function folderWith(files: Readonly<Record<string, string>>): string {
  const { path: folder, remove } = temporaryFolder();
  onTestFinished(remove);
  for (const [name, text] of Object.entries({ 'tiny.yaml': tiny, ...files })) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
}
