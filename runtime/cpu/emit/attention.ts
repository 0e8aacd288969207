/**
 * The attention template, over pairs of token and head dealt out to the threads: scores of the visible keys into scratch memory,
 * the score expression over them, exponentials and their sum, the mix of values, the stores.
 */
import { int } from '../../../compiler/kernels/index-expression.ts';
import { numberReduceAxes } from '../../../compiler/kernels/scalar-expression.ts';
import type { AttentionKernel, HeadView } from '../../../compiler/kernels/types.ts';
import type { Index } from '../../../compiler/kernels/scalar.ts';
import { call } from '../wasm/function.ts';
import { add, choose, f32, i32, load, mul, op, sub, type I32 } from '../wasm/value.ts';
import type { Element, Emitter } from './emitter.ts';
import { bufferElement, makeEmitter, type KernelSite } from './kernel.ts';
import { emitLoops } from './loops.ts';
import { reduceAxes } from './nest.ts';

const [tokenAxis, headAxis, lastAxis] = [0, 1, 2];

export function emitAttention(site: KernelSite, kernel: AttentionKernel): { readonly scratchBytes: number } {
  const { f, scratch } = site;
  const e = makeEmitter(site, kernel);
  const capacity = Math.ceil(site.capacityOf(kernel.keys) / 4) * 4;
  const mixed = f.let(add(scratch, i32(4 * capacity)));
  const pair = f.local('i32');
  const pairs = f.let(mul(e.dim('T'), i32(kernel.heads)));
  f.countedLoop(pair, site.thread, pairs, site.threads, () => e.scopes.within(() => {
    const token = f.let(op('i32.div_u', pair, i32(kernel.heads)));
    const head = f.let(op('i32.rem_u', pair, i32(kernel.heads)));
    const { from, to } = visible(e, kernel, token);
    const count = f.let(sub(to, from));
    const group = f.let(op('i32.div_u', mul(head, i32(kernel.kvHeads)), i32(kernel.heads)));
    // Scores are kept at the key's own number, so that the score expression can speak of it.
    const scores = f.let(add(scratch, mul(from, i32(4))));
    const query = viewAddress(site, kernel.query, token, head);
    f.run(site.rows.dots(), query, viewAddress(site, kernel.key, from, group), i32(4 * kernel.key.rowStride), i32(kernel.headDim), scores, count);
    e.withAxis(tokenAxis, token, 'T', () => e.withAxis(headAxis, head, kernel.heads, () => {
      scoreLoop(e, kernel, scratch, from, to, capacity);
      const sink = kernel.sinks === undefined ? f32(-Infinity) : load('f32.load', add(site.base(kernel.sinks), mul(head, i32(4))));
      const sum = f.let(call(site.rows.exponentials(), scores, count, sink));
      f.run(site.rows.mix(), scores, count, viewAddress(site, kernel.value, from, group), i32(4 * kernel.value.rowStride), i32(kernel.valueDim), mixed, op('f32.div', f32(1), sum));
      storeLoop(site, e, kernel, mixed);
    }));
  }));
  return { scratchBytes: 4 * capacity + 4 * (kernel.valueDim + 8) };
}

/** The byte address of element 0 of (row, head). */
function viewAddress(site: KernelSite, view: HeadView, row: I32, head: I32): I32 {
  const element = add(add(mul(row, i32(view.rowStride)), mul(head, i32(view.headStride))), i32(view.offset));
  return add(site.base(view.buffer), mul(element, i32(4)));
}

/** Keys from..to - 1 are those that the token may see. It stands at P + t. */
function visible(e: Emitter, kernel: AttentionKernel, token: I32): { readonly from: I32; readonly to: I32 } {
  const { f } = e;
  const position = f.let(add(e.dim('P'), token));
  const from = f.let(i32(0));
  const to = f.let(e.dim(kernel.keys));
  const lower = (value: I32): void => {
    const bound = f.let(value);
    f.set(from, choose(op('i32.gt_s', bound, from), bound, from));
  };
  const upper = (value: I32): void => {
    const bound = f.let(value);
    f.set(to, choose(op('i32.lt_s', bound, to), bound, to));
  };
  if (kernel.mask.causal) upper(add(position, i32(1)));
  const { window } = kernel.mask;
  if (window) {
    switch (window.kind) {
      case 'sliding': lower(sub(position, i32(window.size - 1))); break;
      case 'chunked':
        lower(mul(op('i32.div_u', position, i32(window.size)), i32(window.size)));
        upper(add(from, i32(window.size)));
        break;
      case 'symmetric':
        lower(sub(position, i32(window.size)));
        upper(add(position, i32(window.size + 1)));
        break;
      default: window.kind satisfies never;
    }
  }
  // No key at all is a count of 0, not a negative one.
  f.set(to, choose(op('i32.lt_s', to, from), from, to));
  return { from, to };
}

function memory(e: Emitter, name: string, base: I32, index: readonly Index[], count: number): Element {
  return e.element(name, base, [{ index: index[index.length - 1] ?? int(0), dims: [] }], 'f32', i32(0), i32(count), false);
}

function scoreLoop(e: Emitter, kernel: AttentionKernel, scratch: I32, from: I32, to: I32, capacity: number): void {
  if (kernel.score.op === 'accumulator') return;
  const outer = e.resolver;
  e.resolver = { source: (emitter, s, i) => outer.source(emitter, s, i), accumulator: (emitter, i) => memory(emitter, 'scores', scratch, i, capacity) };
  const index: Index[] = [{ op: 'axis', axis: lastAxis }];
  e.scopes.within(() => {
    emitLoops(e, [{ axis: lastAxis, from, to, align: 1, extent: kernel.keys }],
      [{ index, value: numberReduceAxes(kernel.score, reduceAxes), element: (i) => memory(e, 'scores', scratch, i, capacity) }]);
  });
  e.resolver = outer;
}

function storeLoop(site: KernelSite, e: Emitter, kernel: AttentionKernel, mixed: I32): void {
  const outer = e.resolver;
  e.resolver = { source: (emitter, s, i) => outer.source(emitter, s, i), accumulator: (emitter, i) => memory(emitter, 'mixed', mixed, i, kernel.valueDim) };
  e.scopes.within(() => {
    emitLoops(e, [{ axis: lastAxis, from: i32(0), to: i32(kernel.valueDim), align: 16, extent: kernel.valueDim }], kernel.stores.map((s) => ({
      index: s.index, value: numberReduceAxes(s.value, reduceAxes), element: (i: readonly Index[]) => bufferElement(site, e, s.buffer, i),
    })));
  });
  e.resolver = outer;
}
