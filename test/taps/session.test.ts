/** Taps of a session: what is kept, under which names, in which shapes; and what is wrong with patterns. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PeelError } from '../../compiler/diagnostics.ts';
import { loadModel, type LoadedModel } from '../../runtime/model.ts';
import { goldenFolder } from '../support/model-folder.ts';
import { temporaryFolder } from '../runtime/weights/files.ts';

let model: LoadedModel;
beforeAll(async () => { model = await loadModel({ path: path.join(goldenFolder, 'mixtral'), device: 'cpu', threads: 1, context: 32 }); });
afterAll(() => model.dispose());
const ids = [3, 1, 4, 1, 5, 9, 2];

async function problem(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'fine';
  } catch (error) {
    return error instanceof PeelError ? `${error.exitCode} ${error.message}` : String(error);
  }
}

describe('a session with taps', () => {
  test('gives what they name, with its shape, for all tokens of the call', async () => {
    const session = await model.session({ taps: ['layers.0.attention.{probs,keys,q}', 'layers.1.*.choice', 'hidden.0'] });
    expect(session.taps).toEqual(['layers.0.attention.q', 'layers.0.attention.keys', 'layers.0.attention.probs', 'hidden.0', 'layers.1.moe.choice'].map((name) => name.replace('moe', moe())));
    const { outputs, shapes, argmax } = await session.feed(ids, { outputs: [...session.taps, 'logits'] });
    const { heads, kvHeads, headDim } = sizes();
    expect(Object.fromEntries(shapes)).toEqual({
      'layers.0.attention.q': [7, heads, headDim], 'layers.0.attention.keys': [7, kvHeads, headDim], 'layers.0.attention.probs': [7, heads, 7],
      'hidden.0': [7, model.model.dim], [`layers.1.${moe()}.choice`]: [7, 2], logits: [1, session.outputs],
    });
    for (const [name, data] of outputs) expect(data.length, name).toBe(shapes.get(name)?.reduce((a, b) => a * b, 1));
    // Rows of probabilities add up to 1, and no key is seen before its token.
    const probs = outputs.get('layers.0.attention.probs')!;
    for (let row = 0; row < 7 * heads; row++) {
      const part = probs.subarray(row * 7, row * 7 + 7);
      expect(part.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
      expect([...part.subarray(Math.floor(row / heads) + 1)]).toEqual(new Array(6 - Math.floor(row / heads)).fill(0));
    }
    expect(outputs.get(`layers.1.${moe()}.choice`)!.every((e) => Number.isInteger(e) && e >= 0 && e < 8)).toBe(true);
    await session.dispose();

    const plain = await model.session();
    expect(plain.taps).toEqual([]);
    expect((await plain.feed(ids)).argmax).toBe(argmax);
    await plain.dispose();
  });

  test('gives in chunks what it gives at once', async () => {
    const session = await model.session({ taps: ['layers.*'] });
    const names = session.taps.filter((name) => !name.endsWith('.scores') || name.includes('router'));
    const once = await session.feed(ids, { outputs: names });
    session.rewind(0);
    const chunked = await session.feed(ids, { outputs: names, chunk: 3 });
    expect(chunked.shapes).toEqual(once.shapes);
    for (const name of names) {
      const [a, b] = [once.outputs.get(name)!, chunked.outputs.get(name)!];
      expect(b.length, name).toBe(a.length);
      expect(Math.max(...a.map((x, n) => Math.abs(x - b[n]!))), name).toBeLessThan(1e-5);
    }
    await session.dispose();
  });

  test('keeps them besides the outputs that were asked for, on the reference too', async () => {
    for (const device of ['cpu', 'reference'] as const) {
      const session = await model.session({ device, outputs: ['logits', 'hidden.1'], taps: ['layers.0.attention.mixed'] });
      const { shapes } = await session.feed(ids, { outputs: ['hidden.1', 'layers.0.attention.mixed', 'logits'], logitRows: 2, chunk: 4 });
      expect([...shapes.values()].map((shape) => shape[0])).toEqual([7, 7, 2]);
      await session.dispose();
    }
  });
});

function moe(): string {
  return model.model.layers[0]!.steps.flatMap((step) => step.branches).find(({ body }) => body.kind === 'moe')!.id;
}
function sizes(): { heads: number; kvHeads: number; headDim: number } {
  const { body } = model.model.layers[0]!.steps[0]!.branches[0]!;
  if (body.kind !== 'attention') throw new Error('no attention');
  return body;
}

describe('what is wrong', () => {
  test('E030: a pattern that fits nothing, before anything is loaded', async () => {
    expect(await problem(() => model.session({ taps: ['layers.*.attn.probs', 'hidden.0'] }))).toBe('2 E030 /taps no value of the model fits `layers.*.attn.probs`; did you mean `layers.*.attention.probs`?');
  });

  test('E030: an output that the session does not keep', async () => {
    const session = await model.session({ taps: ['layers.0.attention.q'] });
    expect(await problem(() => session.feed(ids, { outputs: ['layers.1.attention.q'] }))).toBe('2 E030 /outputs the session does not keep `layers.1.attention.q`; did you mean `layers.0.attention.q`? What it should keep besides is named in its `taps`');
    expect(await problem(() => session.feed(ids, { outputs: ['pooled'] }))).toBe('2 E030 /outputs the session does not keep `pooled`; name it in its `taps`');
    expect(session.position).toBe(0);
    await session.dispose();
  });

  const spec = (taps: string): string => `peel: 1
embeddings: { token: { rows: 11, dim: 8 } }
layers: { repeat: 2, residual: [ { norm: rmsnorm, ffn: { hidden: 12, activation: silu, gated: true } } ] }
normalization: { kind: rmsnorm, eps: 0.00001 }
output: { linear: { tied: true } }
taps: ${taps}
`;

  test('the taps of a spec are kept where nothing else is said, and are checked with it', async () => {
    const folder = temporaryFolder();
    const file = folder.file('tapped.yaml', spec('[layers.1.ffn.hidden]'));
    const tapped = await loadModel({ path: file, random: 1, device: 'cpu', threads: 1 });
    const session = await tapped.session();
    expect(session.taps).toEqual(['layers.1.ffn.hidden']);
    expect((await session.feed([1, 2], { outputs: session.taps })).shapes.get('layers.1.ffn.hidden')).toEqual([2, 12]);
    expect((await tapped.session({ taps: [] })).taps).toEqual([]);
    await tapped.dispose();
    expect(await problem(() => loadModel({ path: folder.file('wrong.yaml', spec('[final, layers.*.mlp.hidden]')), random: 1 }))).toMatch(/^10 .*wrong.yaml:6:15 E030 \/taps\/1 no value of the model fits `layers.\*.mlp.hidden`; did you mean `layers.\*.ffn.hidden`\?$/);
    expect(await problem(() => loadModel({ path: folder.file('no-list.yaml', spec('layers.1.ffn.hidden')), random: 1 }))).toMatch(/^10 .*no-list.yaml:6:7 E203 \/taps /);
    folder.remove();
  });
});
