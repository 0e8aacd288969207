/** Runs a conformance case on a backend and on the reference, step by step, and compares every output. */
import { referenceBackend } from '../../runtime/reference/executor.ts';
import type { Executor, WeightProvider } from '../../runtime/backend.ts';
import { formatBytes, type WeightFormat } from '../../compiler/formats.ts';
import { blockValues, randomBlocks } from '../support/blocks.ts';
import type { Capacity } from '../../compiler/plan.ts';
import type { ConformanceCase } from './case.ts';

/** A small generator with a full period of 2^32, seeded by a text. */
export function generator(seed: string): () => number {
  let state = 2166136261;
  for (let i = 0; i < seed.length; i++) state = Math.imul(state ^ seed.charCodeAt(i), 16777619);
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
    x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
  };
}

export function weightsOf(c: ConformanceCase): WeightProvider {
  const blocks = (name: string): { readonly format: WeightFormat; readonly rowBytes: number; readonly data: Uint8Array } | undefined => {
    const [format, shape] = [c.formats?.[name], c.graph.weights.find((w) => w.slot === name)?.shape];
    if (!format || !shape) return undefined;
    const data = randomBlocks(format, shape.reduce((product, d) => product * d, 1), generator(`${c.name}/${name}`));
    return { format, rowBytes: formatBytes(format, shape.slice(-1)), data };
  };
  return {
    formatOf: (name) => c.formats?.[name] ?? 'f32',
    readStored(name, from, to) {
      const stored = blocks(name);
      return stored ? Promise.resolve(stored.data.slice(from * stored.rowBytes, to * stored.rowBytes)) : Promise.reject(new Error(`no blocks for ${name}`));
    },
    read(name) {
      const slot = c.graph.weights.find((w) => w.slot === name);
      if (!slot) return Promise.reject(new Error(`no slot ${name}`));
      const stored = blocks(name);
      if (stored) return Promise.resolve(blockValues(stored.format, stored.data));
      const random = generator(`${c.name}/${name}`);
      const count = slot.shape.reduce((product, d) => product * d, 1);
      return Promise.resolve(Float32Array.from({ length: count }, (_, i) => c.values?.(name, i, random) ?? random() * 2 - 1));
    },
  };
}

/** Just enough for the case's steps. */
export function capacityOf(c: ConformanceCase): Capacity {
  const most = Math.max(...c.steps);
  const total = c.steps.reduce((sum, n) => sum + n, 0);
  return { maxTokens: most, context: c.fresh ? most : total, maxLogitRows: c.logitRows ?? 1 };
}

/** Sum of squared differences over the sum of squares; NaN and unlike infinities give NaN. */
export function nmse(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) return NaN;
  let difference = 0;
  let square = 0;
  for (let i = 0; i < expected.length; i++) {
    const a = found[i] as number;
    const b = expected[i] as number;
    if (a !== b) difference += (a - b) ** 2;
    if (Number.isFinite(b)) square += b * b;
  }
  return difference === 0 ? 0 : difference / square;
}

/** The largest error over all steps and outputs, and where it is. */
export async function worstError(c: ConformanceCase, executor: Executor): Promise<{ readonly error: number; readonly where: string }> {
  const reference = await referenceBackend.load(c.graph, weightsOf(c), 'conformance');
  const names = c.graph.outputs.map((o) => o.name);
  const random = generator(`${c.name} ids`);
  let worst = { error: 0, where: 'nowhere' };
  let past = 0;
  for (const [index, count] of c.steps.entries()) {
    const ids = Int32Array.from({ length: count }, () => Math.floor(random() * c.vocab));
    const input = { ids, past, logitRows: Math.min(count, c.logitRows ?? 1) };
    const expected = await reference.step(input, names);
    const found = await executor.step(input, names);
    for (const name of names) {
      const error = nmse(found.outputs.get(name) ?? new Float32Array(0), expected.outputs.get(name) ?? new Float32Array(0));
      if (!(error <= worst.error)) worst = { error, where: `step ${index} (${count} tokens at ${past}), output ${name}` };
      if (Number.isNaN(error)) return worst;
    }
    past += c.fresh ? 0 : count;
  }
  await reference.dispose();
  return worst;
}
