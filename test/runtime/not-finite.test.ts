/** Logits that are not numbers name the operator, on every device; ids that cannot be are refused before anything runs. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { PeelError, formatDiagnostic } from '../../compiler/diagnostics.ts';
import { loadModel, type LoadedModel } from '../../runtime/model.ts';
import type { GenerateOptions } from '../../runtime/generation/options.ts';
import type { Session } from '../../runtime/session.ts';
import { openSafetensors } from '../../runtime/weights/safetensors.ts';
import { temporaryFolder } from './weights/files.ts';

const golden = path.join('test', 'golden', 'llama');
const devices = ['reference', 'cpu', 'webgpu'] as const;
const folders: ReturnType<typeof temporaryFolder>[] = [];
afterAll(() => { for (const folder of folders) folder.remove(); });

/** The llama folder with one element of a tensor changed. */
async function changed(tensor: string, element: number, value: number): Promise<string> {
  const copy = temporaryFolder();
  folders.push(copy);
  copyFileSync(path.join(golden, 'config.json'), path.join(copy.path, 'config.json'));
  const source = await openSafetensors(path.join(golden, 'model.safetensors'));
  const info = source.tensors.get(tensor);
  expect(info?.dtype).toBe('F32');
  const bytes = readFileSync(path.join(golden, 'model.safetensors'));
  bytes.writeFloatLE(value, (info?.begin ?? 0) + 4 * element);
  copy.file('model.safetensors', bytes);
  await source.dispose();
  return copy.path;
}

async function problem(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'fine';
  } catch (error) {
    return error instanceof PeelError ? `${error.exitCode} ${error.diagnostics.map((d) => formatDiagnostic(d)).join('\n')}` : String(error);
  }
}
async function generated(folder: string, device: (typeof devices)[number], ids: number[], options: GenerateOptions): Promise<string> {
  const model = await loadModel({ path: folder, device });
  const session = await model.session();
  const result = await problem(async () => { for await (const id of session.generate(ids, options)) expect(id).toBeGreaterThanOrEqual(0); });
  await model.dispose();
  return result;
}

describe.each(devices)('on %s', (device) => {
  it('NaN in a weight is found: layer, operator, spec line and weight', async () => {
    const folder = await changed('model.layers.1.mlp.down_proj.weight', 7, NaN);
    for (const options of [{ maxTokens: 2 }, { maxTokens: 2, temperature: 1, seed: 1 }]) {
      expect(await generated(folder, device, [3, 1, 4], options)).toMatch(
        /^11 models\/llama.yaml:\d+:\d+ E736 \/layers\/residual\/1 the logits are not numbers: `linear` of layers.1.ffn.down in layer 1 \(%\d+\) is the first operator to give NaN; its weight `layers.1.ffn.down.weight` holds NaN or infinity, first at element 7; peel check --values/);
    }
  });
  it('infinity is found too', async () => {
    const folder = await changed('model.norm.weight', 2, Infinity);
    expect(await generated(folder, device, [3, 1, 4], { maxTokens: 2 })).toMatch(/^11 .*E736 \/output the logits are not numbers: `map` of output.norm \(%\d+\) is the first operator to give -?Infinity; its weight `output.norm.weight` holds/);
  });
  it('NaN in a row that nothing reads is no problem', async () => {
    // The head has its own weight in this checkpoint.
    const folder = await changed('model.embed_tokens.weight', 32 * 150 + 1, NaN);
    expect(await generated(folder, device, [3, 1, 4], { maxTokens: 2 })).toBe('fine');
  });

  describe('ids', () => {
    let model: LoadedModel;
    let session: Session;
    beforeAll(async () => {
      model = await loadModel({ path: golden, device, context: 6 });
      session = await model.session();
    });
    afterAll(() => model.dispose());
    it.each<[string, number[], RegExp]>([
      ['none', [], /^2 E022 \/ids the prompt is empty/],
      ['beyond the vocabulary', [3, 160], /^2 E023 \/ids\/1 token id 160 is not from 0 to 159/],
      ['negative', [-1], /^2 E023 \/ids\/0 token id -1 is not from 0 to 159/],
      ['a fraction', [1, 2, 0.5], /^2 E023 \/ids\/2 token id 0.5/],
      ['not a number', [NaN], /^2 E023 \/ids\/0 token id NaN/],
      ['beyond 2^32', [2 ** 32], /^2 E023 \/ids\/0 token id 4294967296/],
      ['too many', [1, 2, 3, 4, 5, 6, 7], /^2 E024 \/ids the prompt has 7 tokens, the context holds 6/],
    ])('%s', async (_, ids, expected) => {
      session.rewind(0);
      expect(await problem(() => session.feed(ids))).toMatch(expected);
      expect(await problem(() => session.logits(ids))).toMatch(expected);
      expect(await problem(() => session.generate(ids, { maxTokens: 1 }).next())).toMatch(expected);
      expect(session.position).toBe(0);
    });
    it('too many after those before', async () => {
      session.rewind(0);
      await session.feed([1, 2, 3, 4]);
      expect(await problem(() => session.feed([1, 2, 3]))).toMatch(/^2 E024 \/ids the prompt has 3 tokens after 4 tokens, the context holds 6/);
      expect(session.position).toBe(4);
    });
  });
});
