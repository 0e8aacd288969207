/**
 * Attention for hardware: a workgroup for each token and head. Keys come in blocks; every thread scores some keys of a block into
 * workgroup memory, then each sums its own value elements over the block, rescaling when the running maximum rises (online
 * softmax, Milakov and Gimelshein 2018). Keys outside the mask form the complement of one range and are never read.
 */
import { InternalError } from '../../../compiler/diagnostics.ts';
import { combine } from './combine.ts';
import { dotProduct, keyRange, usesOwnOnly, viewOffset } from './attention-common.ts';
import { writeStore } from './stores.ts';
import { ACCUMULATORS, Emitter, floatLiteral } from './emitter.ts';
import { extent, type Module, type Program } from './module.ts';
import type { AttentionKernel } from '../../../compiler/kernels/types.ts';

export function emitAttention(module: Module, kernel: AttentionKernel): Program {
  const size = 64;
  const block = 256;
  const { headDim, valueDim } = kernel;
  let accumulator: (index: readonly string[]) => string = () => { throw new InternalError('webgpu', 'no accumulator here'); };
  const emitter = new Emitter({
    source: (n) => module.read(kernel.sources[n] as number), use: (fn) => module.use(fn), accumulator: (index) => accumulator(index),
  });
  const [q, k, v] = [kernel.query, kernel.key, kernel.value].map((view) => module.read(view.buffer));
  if (!q || !k || !v) throw new InternalError('webgpu', 'attention lacks a view');
  module.use('exponential');
  const [query, scores, partial] = [module.shared(`array<f32, ${headDim}>`), module.shared(`array<f32, ${block}>`), module.shared(`array<f32, ${size}>`)];
  const lowest = floatLiteral(-3.4028234663852886e38, (fn) => module.use(fn));
  const own = Math.ceil(valueDim / size);

  emitter.open(new Map([[0, 't'], [1, 'h']]));
  emitter.write('let t = i32(group.y);', 'let h = i32(group.x);', `let g = (h * ${kernel.kvHeads}) / ${kernel.heads};`);
  emitter.write(...keyRange(kernel, emitter.dim(kernel.keys)));
  emitter.write(`let qAt = ${viewOffset(kernel.query, 't', 'h')};`,
    `for (var j: i32 = lane; j < ${headDim}; j += ${size}) { ${query}[j] = ${q.element('qAt + j')}; }`);
  const sink = kernel.sinks === undefined ? undefined : module.read(kernel.sinks).element('h');
  emitter.write(`var top: f32 = ${sink ?? lowest};`, `var total: f32 = ${sink === undefined ? '0.0f' : '1.0f'};`);
  for (let c = 0; c < own; c++) emitter.write(`var out${c}: f32 = 0.0f;`);

  // One block of keys.
  emitter.open(new Map());
  emitter.write('workgroupBarrier();', `let last = min(start + ${block}, endKey);`, `var high: f32 = ${lowest};`);
  accumulator = () => 'dot';
  emitter.open(new Map([[2, 's'], [ACCUMULATORS, '']]));
  emitter.write(`let kAt = ${viewOffset(kernel.key, 's', 'g')};`, ...dotProduct(headDim, (j) => `${query}[${j}]`, (j) => k.element(`kAt + ${j}`)));
  const score = emitter.scalar(kernel.score);
  module.use('maximum');
  emitter.write(`${scores}[s - start] = ${score};`, `high = maximum(high, ${score});`);
  const scoring = emitter.close();
  emitter.write(`for (var s: i32 = start + lane; s < last; s += ${size}) {`, ...scoring.map((l) => `  ${l}`), '}');
  // NaN among the scores is not lost: it is in the sum of their exponentials.
  const [highest = lowest] = combine(module, emitter, 'max', ['high'], size, partial);
  emitter.write(`let blockTop = max(top, ${highest});`, 'var share: f32 = 0.0f;',
    `for (var s: i32 = lane; s < last - start; s += ${size}) {`, `  let p = exponential(${scores}[s] - blockTop);`, `  ${scores}[s] = p;`, '  share += p;', '}');
  const [blockTotal = 'share'] = combine(module, emitter, 'sum', ['share'], size, partial);
  emitter.write('let shrink = exponential(top - blockTop);', 'top = blockTop;', `total = total * shrink + ${blockTotal};`);
  for (let c = 0; c < own; c++) {
    const guard = (c + 1) * size > valueDim ? `if (lane + ${c * size} < ${valueDim}) ` : '';
    emitter.write(`${guard}{`, '  var sum: f32 = 0.0f;', `  var vAt = ${viewOffset(kernel.value, 'start', 'g')} + lane + ${c * size};`,
      `  for (var s: i32 = 0; s < last - start; s += 1) { sum += ${scores}[s] * ${v.element('vAt')}; vAt += ${kernel.value.rowStride}; }`,
      `  out${c} = out${c} * shrink + sum;`, '}');
  }
  const body = emitter.close();
  emitter.write(`for (var start: i32 = firstKey; start < endKey; start += ${block}) {`, ...body.map((l) => `  ${l}`), '}');

  // The stores: own elements in registers where that is all they use, else the row is staged.
  const mixed = (c: number): string => `(out${c} / total)`;
  if (usesOwnOnly(kernel)) {
    for (let c = 0; c < own; c++) {
      accumulator = () => mixed(c);
      writeStores(module, emitter, kernel, `lane + ${c * size}`, `j${c}`, (c + 1) * size > valueDim);
    }
  } else {
    const stage = module.shared(`array<f32, ${valueDim}>`);
    for (let c = 0; c < own; c++) emitter.write(`if (lane + ${c * size} < ${valueDim}) { ${stage}[lane + ${c * size}] = ${mixed(c)}; }`);
    emitter.write('workgroupBarrier();');
    accumulator = (index) => `${stage}[${index.at(-1)}]`;
    for (let c = 0; c < own; c++) writeStores(module, emitter, kernel, `lane + ${c * size}`, `j${c}`, (c + 1) * size > valueDim);
  }
  const rows = q.shape[0] ?? 'T';
  return module.program(size, emitter.close(), (dims) => [kernel.heads, extent(rows, dims), 1]);
}

function writeStores(module: Module, emitter: Emitter, kernel: AttentionKernel, value: string, name: string, guarded: boolean): void {
  emitter.open(new Map([[2, name], [ACCUMULATORS, '']]));
  for (const store of kernel.stores) writeStore(module, emitter, store);
  const lines = emitter.close();
  emitter.write(guarded ? `if (${value} < ${kernel.valueDim}) {` : '{', `  let ${name} = ${value};`, ...lines.map((l) => `  ${l}`), '}');
}
