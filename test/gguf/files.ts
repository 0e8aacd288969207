/** The GGUF files that make.py wrote, and the recordings of the checkpoints that they hold. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { furtherFolder, goldenFolder, openGguf } from '../support/model-folder.ts';
import type { ParamValue } from '../../compiler/model.ts';
import type { OpenedModel } from '../support/model-folder.ts';

const files = fileURLToPath(new URL('files', import.meta.url));

/** Files of architectures that transformers does not have: the checkpoints that were written as them. */
const writtenAs: Readonly<Record<string, string>> = { deci: 'llama_biases', internlm2: 'llama_biases' };

/** What the tiny checkpoints have otherwise than their families, and no metadata tell. */
const untold: Readonly<Record<string, Readonly<Record<string, ParamValue>>>> = {
  mistral: { window: 9 },
  gemma2: { query_scalar: 10 },
  gemma3: { query_scalar: 10, pattern: 3 },
  gemma3_stretched: { query_scalar: 256, pattern: 2 },
  olmoe: { clip: 0.8 },
  mpt: { scale: 0.3 },
  bitnet: { activation: 'relu2' },
  llama4: { chunk: 6, sharpen_floor: 4 },
  minicpm3: { embedding_scale: 3, base_dim: 16 },
  afmoe: { full_every: 2 },
  deepseek_v2_yarn: { rope_mscale: 0.707 },
  gemma3_encoder: { query_scalar: 256, pattern: 2 },
};

export const ggufNames = readdirSync(files).filter((file) => file.endsWith('.gguf')).map((file) => file.slice(0, -5));

/** A file by its checkpoint's name, and the folder of the checkpoint's recording. */
export async function openRecorded(name: string): Promise<{ folder: string; opened: OpenedModel }> {
  const folder = [goldenFolder, furtherFolder].map((base) => path.join(base, writtenAs[name] ?? name)).find((candidate) => existsSync(candidate));
  if (folder === undefined) throw new Error(`no recording of ${name}`);
  return { folder, opened: await openGguf(path.join(files, `${name}.gguf`), untold[name]) };
}
