import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkConfig } from '../../compiler/config-check.ts';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { lowerModel } from '../../compiler/lower/lower-model.ts';
import { preflight } from '../../compiler/preflight.ts';
import type { TensorHeader } from '../../compiler/preflight.ts';
import { loadShipped, resolved } from './models.ts';

const golden = process.env['PEEL_GOLDEN'] ?? new URL('../golden', import.meta.url).pathname;
const specs: Record<string, string> = { llama: 'llama', llama_odd: 'llama', llama_tied: 'llama', llama3_scaling: 'llama', mistral: 'llama', gpt2: 'gpt2' };

function headers(file: string): TensorHeader[] {
  const bytes = readFileSync(file);
  const header: unknown = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString('utf8'));
  return Object.entries(header as Record<string, { shape: number[] }>).filter(([name]) => name !== '__metadata__').map(([name, { shape }]) => ({ name, shape }));
}

describe('every key and every tensor of the golden checkpoints is accounted for', () => {
  const folders = existsSync(golden) ? readdirSync(golden).filter((name) => name in specs) : [];
  test.each(folders)('%s', (name) => {
    const spec = loadShipped(specs[name] ?? name);
    const text = readFileSync(`${golden}/${name}/config.json`, 'utf8');
    const config = JSON.parse(text) as Record<string, unknown>;
    const model = resolved(spec, { config });
    const { graph, diagnostics } = lowerModel(model);
    expect(diagnostics).toEqual([]);
    const found = [...preflight(model, graph!.weights, headers(`${golden}/${name}/model.safetensors`), spec.root), ...checkConfig(spec, { name: 'config.json', value: config, text })];
    expect(found.map((d) => formatDiagnostic(d, true))).toEqual([]);
  });
});
