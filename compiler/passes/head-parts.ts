/**
 * A product whose heads are cut in two by what reads them (a part that is rotated, a part that is not; queries and their gates) gets
 * its weight's rows stored part by part, and one result a part. Each part then lies together, as what follows a product needs it.
 */
import { add, axis, int, mul, sub } from '../kernels/index-expression.ts';
import { accumulator, load, loadsOf, rewriteScalar, sourcesOf, visitScalar, type Load } from '../kernels/scalar-expression.ts';
import { extentsOf, linearForm, rangeOf, simplifyIndex, type Extents } from '../kernels/simplify-index.ts';
import { attentionStoreSpace, linearStoreSpace, scoreSpace } from './replace-loads.ts';
import { Workspace, type Place } from './workspace.ts';
import type { Dim, Index, Scalar, Shape } from '../kernels/scalar.ts';
import type { Buffer, BufferId, Kernel, LinearKernel } from '../kernels/types.ts';
import type { KernelPass } from './types.ts';

export const headPartsPass: KernelPass = {
  name: 'head-parts',
  description: 'a product whose heads are cut in two by what follows gives each part as a result of its own',
  run(schedule, { record, reads }) {
    const w = new Workspace(schedule, reads);
    for (let place = 0; place < w.places; place++) {
      const kernel = w.at(place);
      if (kernel?.kind !== 'linear') continue;
      const product = plainProduct(w, place, kernel);
      const cut = product && cutOf(w, product);
      if (!product || !cut) continue;
      apply(w, place, kernel, product, cut);
      record(true, kernel.origin.label, `its ${product.rows / cut.block} blocks of ${cut.block} rows are stored as ${cut.first} and ${cut.block - cut.first}, which different kernels read`);
    }
    return w.finish();
  },
};

interface Product { readonly weight: Buffer; readonly result: Buffer; readonly rows: number; readonly readers: readonly Place[] }
interface Cut { readonly block: number; readonly first: number }

/** A product of one weight that nothing else reads, stored as it is. */
function plainProduct(w: Workspace, place: Place, kernel: LinearKernel): Product | undefined {
  const [operand, ...moreWeights] = kernel.weights;
  const [store, ...moreStores] = kernel.stores;
  if (kernel.group !== 'none' || kernel.rowShape.length !== 1 || !operand || moreWeights.length > 0 || !store || moreStores.length > 0) return undefined;
  if (store.value.op !== 'accumulator' || store.index.length !== 2) return undefined;
  const [weight, result] = [w.buffer(operand.buffer), w.buffer(store.buffer)];
  const alone = weight.role === 'weight' && weight.rowOrder === undefined && w.readers(weight.id).length === 1 && w.readers(weight.id)[0] === place;
  if (!alone || result.role !== 'activation' || w.writers(result.id).length !== 1) return undefined;
  return { weight, result, rows: operand.rows, readers: w.readers(result.id) };
}

/** A kernel's expressions with the extents of their axes; undefined where it reads buffers otherwise as well. */
function expressionsOf(kernel: Kernel | undefined, buffer: BufferId): { readonly x: Scalar; readonly space: Shape }[] | undefined {
  switch (kernel?.kind) {
    case 'nest': return kernel.stores.map((s) => ({ x: s.value, space: kernel.space }));
    case 'linear': return [{ x: kernel.input, space: [...kernel.rowShape, kernel.k] }, ...kernel.stores.map((s) => ({ x: s.value, space: linearStoreSpace(kernel) }))];
    case 'attention':
      if ([kernel.query, kernel.key, kernel.value].some((v) => v.buffer === buffer)) return undefined;
      return [{ x: kernel.score, space: scoreSpace(kernel) }, ...kernel.stores.map((s) => ({ x: s.value, space: attentionStoreSpace(kernel) }))];
    case 'topk': case 'argmax': case undefined: return undefined;
    default: return kernel satisfies never;
  }
}

/** The loop's axes and those of all reduces inside, where equal numbers mean equal extents. */
function scopeOf(x: Scalar, space: Shape): Extents {
  const outer = extentsOf(space);
  const bound = new Map<number, Dim | undefined>();
  visitScalar(x, (part) => {
    if (part.op === 'reduce') bound.set(part.axis, bound.has(part.axis) && bound.get(part.axis) !== part.extent ? undefined : part.extent);
  });
  return (n) => (bound.has(n) ? bound.get(n) : outer(n));
}

/** The head, and the place inside it with its bounds. */
function placeIn(block: number, l: Load, scope: Extents): { readonly head: Index; readonly rest: Index; readonly low: number; readonly high: number } | undefined {
  const { constant, terms } = linearForm(l.index[1] as Index, scope);
  let head: Index = int(Math.floor(constant / block));
  let rest: Index = int(constant - Math.floor(constant / block) * block);
  for (const { atom, by } of terms) {
    if (by % block === 0) head = add(head, mul(atom, by / block));
    else rest = add(rest, mul(atom, by));
  }
  const { low, high } = rangeOf(rest, scope);
  return low >= 0 && high < block ? { head, rest, low, high } : undefined;
}

/** Where every reader stays in one of two parts of each block, and both are read. */
function cutOf(w: Workspace, { result, rows, readers }: Product): Cut | undefined {
  const loads: { readonly l: Load; readonly scope: Extents }[] = [];
  for (const r of readers) {
    const expressions = expressionsOf(w.at(r), result.id);
    if (!expressions) return undefined;
    for (const { x, space } of expressions) {
      if (!sourcesOf(x).has(result.id)) continue;
      const scope = scopeOf(x, space);
      for (const l of loadsOf(x)) if (l.source === result.id) loads.push({ l, scope });
    }
  }
  const factors = loads.map(({ l, scope }) => Math.max(...linearForm(l.index[1] as Index, scope).terms.map((t) => t.by), 0));
  const block = Math.max(...factors, 0);
  if (block < 2 || rows % block !== 0 || rows === block || factors.some((f) => f !== block)) return undefined;
  const places = loads.map(({ l, scope }) => placeIn(block, l, scope));
  if (places.some((p) => p === undefined)) return undefined;
  const first = Math.min(...places.flatMap((p) => (p && p.low > 0 ? [p.low] : [])));
  const whole = places.every((p) => p && (p.high < first || p.low >= first));
  return Number.isFinite(first) && whole && places.some((p) => p && p.high < first) ? { block, first } : undefined;
}

function apply(w: Workspace, place: Place, kernel: LinearKernel, { weight, result, rows, readers }: Product, cut: Cut): void {
  const { block, first } = cut;
  const heads = rows / block;
  const { id: _weight, ...weightData } = weight;
  const ordered = w.newBuffer({ ...weightData, rowOrder: cut });
  const part = (width: number): Buffer => w.newBuffer({ role: 'activation', name: result.name, dtype: 'f32', shape: [result.shape[0] as Dim, heads * width] });
  const [low, high] = [part(first), part(block - first)];
  const before = heads * first;
  const value = accumulator([axis(0), axis(1)]);
  w.replace(place, {
    ...kernel, weights: [{ buffer: ordered.id, rows }],
    stores: [
      { buffer: low.id, index: [axis(0), axis(1)], value, from: 0, to: before },
      { buffer: high.id, index: [axis(0), sub(axis(1), int(before))], value, from: before, to: rows },
    ],
  });
  const moved = (x: Scalar, space: Shape): Scalar => {
    if (!sourcesOf(x).has(result.id)) return x;
    const scope = scopeOf(x, space);
    return rewriteScalar(x, (l) => {
      const at = l.op === 'load' && l.source === result.id ? placeIn(block, l, scope) : undefined;
      if (l.op !== 'load' || !at) return undefined;
      const row = l.index[0] as Index;
      return at.low >= first
        ? load(high.id, [row, simplifyIndex(add(mul(at.head, block - first), sub(at.rest, int(first))), scope)])
        : load(low.id, [row, simplifyIndex(add(mul(at.head, first), at.rest), scope)]);
    });
  };
  for (const r of readers) {
    const k = w.at(r);
    switch (k?.kind) {
      case 'nest': w.replace(r, { ...k, stores: k.stores.map((s) => ({ ...s, value: moved(s.value, k.space) })) }); break;
      case 'linear': w.replace(r, { ...k, input: moved(k.input, [...k.rowShape, k.k]), stores: k.stores.map((s) => ({ ...s, value: moved(s.value, linearStoreSpace(k)) })) }); break;
      case 'attention': w.replace(r, { ...k, score: moved(k.score, scoreSpace(k)), stores: k.stores.map((s) => ({ ...s, value: moved(s.value, attentionStoreSpace(k)) })) }); break;
      case 'topk': case 'argmax': case undefined: break;
      default: k satisfies never;
    }
  }
}
