/**
 * Attention for software drivers: a thread for each token and head, no barriers. Keys come in blocks of a few whose scores it keeps;
 * the running output is rescaled once a block (online softmax, Milakov and Gimelshein 2018). Masked keys are never read.
 */
import { InternalError } from '../../../compiler/diagnostics.ts';
import { dotProduct, keyRange, usesOwnOnly, viewOffset } from './attention-common.ts';
import { ACCUMULATORS, Emitter, floatLiteral } from './emitter.ts';
import { extent, GROUPS_X, spread, type Module, type Program } from './module.ts';
import { writeStore } from './stores.ts';
import type { AttentionKernel } from '../../../compiler/kernels/types.ts';

const SIZE = 32;
const BLOCK = 16;

export function emitAttentionThread(module: Module, kernel: AttentionKernel): Program {
  const { headDim, valueDim, heads } = kernel;
  let accumulator: (index: readonly string[]) => string = () => 'dot';
  const emitter = new Emitter({
    source: (n) => module.read(kernel.sources[n] as number), use: (fn) => module.use(fn), accumulator: (index) => accumulator(index),
  });
  usesOwnOnly(kernel);
  const [q, k, v] = [kernel.query, kernel.key, kernel.value].map((view) => module.read(view.buffer));
  if (!q || !k || !v) throw new InternalError('webgpu', 'attention lacks a view');
  module.use('exponential');
  module.use('maximum');
  const lowest = floatLiteral(-3.4028234663852886e38, (fn) => module.use(fn));
  const rows = q.shape[0] ?? 'T';

  emitter.open(new Map([[0, 't'], [1, 'h']]));
  emitter.write(`let t = point / ${heads};`, `let h = point % ${heads};`, `let g = (h * ${kernel.kvHeads}) / ${heads};`, ...keyRange(kernel, emitter.dim(kernel.keys)));
  const sink = kernel.sinks === undefined ? undefined : module.read(kernel.sinks).element('h');
  emitter.write(`let qAt = ${viewOffset(kernel.query, 't', 'h')};`, `var top: f32 = ${sink ?? lowest};`, `var total: f32 = ${sink === undefined ? '0.0f' : '1.0f'};`,
    `var mixed: array<f32, ${valueDim}>;`, `var scores: array<f32, ${BLOCK}>;`);

  emitter.open(new Map([[2, 's'], [ACCUMULATORS, '']]));
  emitter.write(`let kAt = ${viewOffset(kernel.key, 's', 'g')};`, ...dotProduct(headDim, (j) => q.element(`qAt + ${j}`), (j) => k.element(`kAt + ${j}`)));
  const score = emitter.scalar(kernel.score);
  emitter.write(`scores[s - start] = ${score};`, `high = maximum(high, ${score});`);
  const scoring = emitter.close();
  emitter.write(`for (var start: i32 = firstKey; start < endKey; start += ${BLOCK}) {`,
    `  let count = min(${BLOCK}, endKey - start);`, '  var high: f32 = top;',
    '  for (var s: i32 = start; s < start + count; s += 1) {', ...scoring.map((l) => `    ${l}`), '  }',
    '  let shrink = exponential(top - high);', '  top = high;', '  total *= shrink;',
    '  for (var s: i32 = 0; s < count; s += 1) {', '    let p = exponential(scores[s] - high);', '    scores[s] = p;', '    total += p;', '  }',
    `  let block = ${viewOffset(kernel.value, 'start', 'g')};`,
    `  for (var j: i32 = 0; j < ${valueDim}; j += 1) {`, '    var sum: f32 = 0.0f;', '    var vAt = block + j;',
    `    for (var s: i32 = 0; s < count; s += 1) { sum += scores[s] * ${v.element('vAt')}; vAt += ${kernel.value.rowStride}; }`,
    '    mixed[j] = mixed[j] * shrink + sum;', '  }', '}');

  accumulator = (index) => `(mixed[${index.at(-1)}] / total)`;
  emitter.open(new Map([[2, 'j'], [ACCUMULATORS, '']]));
  for (const store of kernel.stores) writeStore(module, emitter, store);
  const stores = emitter.close();
  emitter.write(`for (var j: i32 = 0; j < ${valueDim}; j += 1) {`, ...stores.map((l) => `  ${l}`), '}');
  return module.program(SIZE, [
    `let point = (i32(group.y) * ${GROUPS_X} + i32(group.x)) * ${SIZE} + lane;`,
    `if (point < ${emitter.dim(rows)} * ${heads}) {`, ...emitter.close().map((l) => `  ${l}`), '}',
  ], (dims) => spread(Math.ceil((extent(rows, dims) * heads) / SIZE)));
}
