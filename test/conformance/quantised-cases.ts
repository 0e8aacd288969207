/** Products with, and gathers from, weights that stay quantised: `formats` says how each slot is stored. */
import * as e from '../../compiler/graph/expressions.ts';
import { holds, isQuantised, weightFormats, type WeightFormat } from '../../compiler/formats.ts';
import { llamaGraph } from '../support/hand-graphs.ts';
import { operatorCase, type ConformanceCase } from './case.ts';

export const quantisedFormats = weightFormats.filter(isQuantised);

/** Largest error of a product with a quantised weight: inputs as they are, or rounded to 8 bits. */
export const exactLimit = 1e-6;
export const int8Limit = 5e-4;

const silu = e.mul(e.mul(e.arg(0), e.unary('sigmoid', e.arg(0))), e.arg(1));
/** Rows divide by nothing; widths are one block, an odd number of them, several. */
const shapesOf = (format: WeightFormat): (readonly [n: number, k: number])[] =>
  (holds(format, [1, 32]) ? [[1, 32], [7, 96], [33, 64], [180, 288]] : [[3, 256], [33, 512], [7, 768], [180, 256]]);

export function quantisedCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  const steps = [1, 3, 5, 17];
  for (const format of quantisedFormats) {
    const all = (...slots: string[]): Record<string, WeightFormat> => Object.fromEntries(slots.map((slot) => [slot, format]));
    for (const [n, k] of shapesOf(format)) {
      cases.push(operatorCase(`${format} ${n}x${k}`, (b, x) => b.linear(x('a', k), b.weight('w', [n, k])), { steps, formats: all('w'), limit: exactLimit }));
    }
    const [, [n, k] = [7, 96], , [tall, wide] = [180, 288]] = shapesOf(format);
    const hidden = holds(format, [1, 96]) ? 96 : 256;
    cases.push(
      operatorCase(`${format} after a norm, with bias and residual`, (b, x) => {
        const y = b.linear(b.mul(b.norm('rms', x('a', k), 1e-5), b.weight('norm', [k])), b.weight('w', [n, k]));
        return b.add(b.add(y, b.weight('bias', [n])), x('skip', n));
      }, { steps, formats: all('w'), limit: exactLimit }),
      operatorCase(`${format} gated pair`, (b, x) => {
        const a = x('a', k);
        return b.map([b.linear(a, b.weight('gate', [n, k])), b.linear(a, b.weight('up', [n, k]))], silu);
      }, { steps, formats: all('gate', 'up'), limit: exactLimit }),
      operatorCase(`${format} per head`, (b, x) => b.headLinear(x('a', 3, k), b.weight('w', [3, n, k])), { steps: [1, 6], formats: all('w'), limit: exactLimit }),
      operatorCase(`${format} per expert`, (b, x) => {
        const choice = b.node({ op: 'topk', k: 2 }, [x('router', 5)]);
        const h = b.map([b.expertLinear(x('a', hidden), b.weight('gate', [5, hidden, hidden]), choice), b.expertLinear(x('a', hidden), b.weight('up', [5, hidden, hidden]), choice)], silu);
        return b.expertLinear(h, b.weight('down', [5, n, hidden]), choice);
      }, { steps: [1, 11], formats: all('gate', 'up', 'down'), limit: exactLimit }),
      // A table that ids are looked up in and that gives the logits as well.
      operatorCase(`${format} tied table`, (b) => {
        const table = b.weight('table', [tall, wide]);
        return b.linear(b.norm('rms', b.gather(table, b.input('ids')), 1e-6), table);
      }, { steps, formats: all('table'), limit: exactLimit, vocab: tall }),
    );
  }
  const mixed = (name: string, formats: Readonly<Record<string, WeightFormat>>, heights: readonly number[]): ConformanceCase => operatorCase(`${name}: ${Object.values(formats).join(', ')}`, (b, x) => {
    const a = b.norm('rms', x('a', 256), 1e-5);
    return b.concat(Object.keys(formats).map((slot, n) => b.linear(a, b.weight(slot, [heights[n] ?? 1, 256]))), 1);
  }, { steps, formats, limit: exactLimit });
  const pair = (formats: { gate: WeightFormat; up: WeightFormat }): ConformanceCase => operatorCase(`gated pair: ${formats.gate}, ${formats.up}`, (b, x) => {
    const a = x('a', 256);
    return b.map([b.linear(a, b.weight('gate', [35, 256])), b.linear(a, b.weight('up', [35, 256]))], silu);
  }, { steps, formats, limit: exactLimit });
  cases.push(
    mixed('three products of one input', { q: 'q4_K', k: 'q4_K', v: 'q6_K' }, [81, 40, 41]),
    mixed('three products of one input', { q: 'q8_0', k: 'f32', v: 'q4_1' }, [15, 25, 9]),
    mixed('four products of one input', { q: 'f16', k: 'bf16', v: 'q5_K', z: 'q4_0' }, [8, 3, 7, 40]),
    pair({ gate: 'q4_K', up: 'q6_K' }), pair({ gate: 'q8_0', up: 'f32' }), pair({ gate: 'q4_0', up: 'q8_0' }),
    operatorCase('experts: q4_K, q6_K', (b, x) => {
      const choice = b.node({ op: 'topk', k: 2 }, [x('router', 5)]);
      return b.map([b.expertLinear(x('a', 256), b.weight('gate', [5, 30, 256]), choice), b.expertLinear(x('a', 256), b.weight('up', [5, 30, 256]), choice)], silu);
    }, { steps: [1, 11], formats: { gate: 'q4_K', up: 'q6_K' }, limit: exactLimit }),
  );
  return cases;
}

/** A model stored as files mix it, and a weight whose rows a plan stores in another order. For inputs as they are: what 8 bits lose adds up in a model. */
export function quantisedModelCases(): ConformanceCase[] {
  const vocab = 40;
  const graph = llamaGraph({ vocab, dim: 256, heads: 4, kvHeads: 2, headDim: 64, hidden: 512, layers: 2, qkNorm: true, bias: true });
  const mixture: readonly [RegExp, WeightFormat][] = [[/token/, 'q6_K'], [/0\.attention\.v|1\.ffn\.down/, 'q6_K'], [/\.v\./, 'q8_0'], [/\.o\./, 'q5_K'], [/1\.ffn\.up/, 'q4_0'], [/\.k\./, 'q4_1'], [/./, 'q4_K']];
  const formats = Object.fromEntries(graph.weights.filter((w) => w.shape.length === 2).map((w) => [w.slot, mixture.find(([name]) => name.test(w.slot))?.[1] ?? 'f32']));
  return [
    { name: 'a model in six formats', graph, steps: [5, 1, 2], formats, limit: exactLimit, vocab },
    operatorCase('heads that are stored in two parts: q4_1', (b, x) => {
      const heads = b.reshape(b.linear(b.linear(x('a', 32), b.weight('v', [32, 32])), b.weight('w', [24, 32])), ['T', 3, 8]);
      const normed = b.norm('rms', b.slice(heads, 2, 6, 2), 1e-6);
      return b.reshape(b.concat([b.headLinear(b.slice(heads, 2, 0, 6), b.weight('h', [3, 6, 6])), normed], 2), ['T', 24]);
    }, { formats: { w: 'q4_1' }, limit: exactLimit }),
  ];
}
