import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { checkConfig } from '../../compiler/config-check.ts';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { readHeader } from '../../compiler/load.ts';
import { lowerModel } from '../../compiler/lower/lower-model.ts';
import { parseSpec } from '../../compiler/parse.ts';
import { preflight } from '../../compiler/preflight.ts';
import type { TensorHeader } from '../../compiler/preflight.ts';
import { checkSpec } from '../../compiler/resolve.ts';
import { loadShipped, modelsFolder, resolved } from './models.ts';

const golden = fileURLToPath(new URL('../golden', import.meta.url));
const shipped = readdirSync(modelsFolder).filter((name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml')).map((name) => name.replace(/\.yaml$/, ''));
const folders = readdirSync(golden).filter((name) => existsSync(`${golden}/${name}/config.json`));

const headersOf = new Map(shipped.map((name) => [name, readHeader(parseSpec(readFileSync(`${modelsFolder}/${name}.yaml`), name).document!.root)]));

function headers(file: string): TensorHeader[] {
  const bytes = readFileSync(file);
  const header: unknown = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString('utf8'));
  return Object.entries(header as Record<string, { shape: number[] }>).filter(([name]) => name !== '__metadata__').map(([name, { shape }]) => ({ name, shape }));
}

describe('every shipped spec is right by itself', () => {
  test.each(shipped)('%s', (name) => {
    expect(checkSpec(loadShipped(name)).map((d) => formatDiagnostic(d, true)).filter((text) => !text.includes(' E202 ') || !/base|decoder/.test(name))).toEqual([]);
  });
});

describe('every key and every tensor of the golden checkpoints is accounted for', () => {
  test.each(folders)('%s', (name) => {
    const text = readFileSync(`${golden}/${name}/config.json`, 'utf8');
    const config = JSON.parse(text) as Record<string, unknown>;
    const picked = shipped.find((candidate) => headersOf.get(candidate)?.modelTypes.includes(String(config['model_type'])));
    expect(picked, `no spec for ${String(config['model_type'])}`).toBeDefined();
    const spec = loadShipped(picked!);
    const model = resolved(spec, { config });
    const { graph, diagnostics } = lowerModel(model);
    expect(diagnostics).toEqual([]);
    const found = [...preflight(model, graph!.weights, headers(`${golden}/${name}/model.safetensors`), spec.root), ...checkConfig(spec, { name: 'config.json', value: config, text })];
    expect(found.map((d) => formatDiagnostic(d, true))).toEqual([]);
  });
});
