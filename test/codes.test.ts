/** Diagnostic codes: each is in the table, is given somewhere, and is expected by a test. The ones that are hard to come by are tested here. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { DIAGNOSTIC_CODES } from '../compiler/diagnostic-codes.ts';
import { formatDiagnostic, PeelError } from '../compiler/diagnostics.ts';
import { resolveModel } from '../compiler/resolve.ts';
import { bitsPerByte } from '../runtime/evaluate.ts';
import { Session } from '../runtime/session.ts';
import { timeLimit } from '../runtime/tokenizer/budget.ts';
import type { Tokenizer } from '../runtime/tokenizer/tokenizer.ts';
import { locate } from '../runtime/locate.ts';
import { openWeights } from '../runtime/weights/folder.ts';
import { DeviceWatch } from '../runtime/webgpu/errors.ts';
import { loadText } from './compiler/models.ts';
import { temporaryFolder } from './runtime/weights/files.ts';

function codesIn(...folders: string[]): Set<string> {
  const texts = folders.flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('diagnostic-codes.ts')).map((file) => readFileSync(`${folder}/${file}`, 'utf8')));
  return new Set(texts.flatMap((text) => text.match(/(?<![A-Za-z0-9_])[EW]\d{3}(?!\d)/g) ?? []));
}

describe('the table', () => {
  const table = Object.keys(DIAGNOSTIC_CODES).sort();
  it('has every code that is given, and no other', () => {
    // E000 is a mistake of ours, not a diagnostic.
    expect([...codesIn('compiler', 'runtime', 'cli')].filter((code) => code !== 'E000').sort()).toEqual(table);
  });
  it('has only codes that tests expect', () => {
    const tested = codesIn('test');
    expect(table.filter((code) => !tested.has(code))).toEqual([]);
  });
});

async function problem(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'fine';
  } catch (error) {
    return error instanceof PeelError ? `${error.exitCode} ${error.diagnostics.map((d) => formatDiagnostic(d)).join('\n')}` : String(error);
  }
}
const spec = (attention: string, more = ''): string[] => {
  const { spec: loaded } = loadText(`peel: 1
embeddings: { token: { rows: 9, dim: 8 } }
layers: { repeat: 1, residual: [ { attention: { heads: 2, ${attention} } } ] }
${more}`);
  return resolveModel(loaded!, {}, more === '' ? undefined : 'huggingface').diagnostics.map((d) => formatDiagnostic(d));
};

test('E307: numbers outside their range', () => {
  expect(spec('position: { rope: { theta: -1 } }')).toEqual([expect.stringMatching(/^test.yaml:3:\d+ E307 .*`theta` must be greater than 0, but is -1/)]);
});
test('E701: malformed entries of a weight map', () => {
  const found = spec('kv_heads: 2', 'weights: { huggingface: { tensors: { embeddings.token: [], "layers.attention.{q,k,v,o}": "l.{i}.{}", layers.attention.q: x } } }');
  expect(found.some((line) => /E701 .*given twice|E701 .*names no tensor/.test(line)), found.join('\n')).toBe(true);
});
test('E010, E722, E730: models that cannot be read', async () => {
  expect(await problem(() => locate(''))).toMatch(/^2 E010 /);
  expect(await problem(() => locate('/dev/null'))).toMatch(/^14 .*E722 .*neither a folder nor a file/);
  const folder = temporaryFolder();
  folder.file('model.safetensors.index.json', '{"weight_map": {"a": 3}}');
  expect(await problem(() => openWeights(folder.path))).toMatch(/^11 .*E730 .*tensor 'a': its file must be a name, found 3/);
  folder.remove();
});

const session = new Session(
  { report: { device: 'reference', description: '', reason: '', kernels: 0 }, step: () => Promise.reject(new Error('never')), dispose: () => Promise.resolve() },
  { name: 'none', vocab: 4, outputs: 4, layers: 0, bidirectional: false }, { maxTokens: 4, context: 4, maxLogitRows: 1 });

test('E021: going back to where the sequence never was', async () => {
  expect(await problem(() => { session.rewind(2); })).toMatch(/^2 E021 \/position must be a whole number from 0 to 0, found 2/);
});
test('E806: what takes too long is stopped', async () => {
  expect(await problem(() => timeLimit('the pattern')(20, () => /^(a|a)*$/.test(`${'a'.repeat(40)}b`)))).toMatch(/^12 E806 \/ the pattern took more than 20 ms/);
});
test('E807: no beginning token', async () => {
  const tokenizer = { special: { eos: [] } } as unknown as Tokenizer;
  expect(await problem(() => bitsPerByte(session, tokenizer, 'a', 4))).toMatch(/^12 E807 .*no beginning token/);
});

describe('E903, E905: what a driver says', () => {
  /** A device whose error scopes give these, innermost first. */
  function device(...scopes: ({ message: string } | null)[]): GPUDevice {
    return {
      lost: new Promise(() => undefined), addEventListener: () => undefined, pushErrorScope: () => undefined, popErrorScope: () => Promise.resolve(scopes.shift() ?? null),
    } as unknown as GPUDevice;
  }
  it('out of memory, with what for; the driver\'s text is kept for debugging', async () => {
    const said: string[] = [];
    const watch = new DeviceWatch(device(null, { message: 'no bytes' }), (text) => said.push(text));
    expect(await problem(() => watch.guard('the weights', () => 1))).toMatch(/^13 E903 \/ the WebGPU device is out of memory for the weights; a shorter --context/);
    expect(said).toEqual(['no bytes']);
  });
  it('a refused operation', async () => {
    const watch = new DeviceWatch(device({ message: 'bad layout' }, null), () => undefined);
    expect(await problem(() => watch.guard('the weights', () => 1))).toMatch(/^13 E905 \/ the WebGPU driver refused the weights; use --device cpu/);
  });
});
