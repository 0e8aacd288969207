/**
 * Writes scalar expressions as WebAssembly, one element (f32) or four lanes (v128) at a time. Values are kept by structure, so
 * that equal subexpressions are computed once; hoist.ts computes in front of a loop what does not change in it.
 */
import { InternalError } from '../../../compiler/diagnostics.ts';
import { add as addIndex, axis as axisIndex, indexAxes, indexKey, int } from '../../../compiler/kernels/index-expression.ts';
import { linearForm, rangeOf, simplifyIndex, type Extents } from '../../../compiler/kernels/simplify-index.ts';
import { freeAxes, scalarKey, substituteIndex } from '../../../compiler/kernels/scalar-expression.ts';
import type { Dim, DimName, Index, Scalar } from '../../../compiler/kernels/scalar.ts';
import type { DType } from '../../../compiler/graph/types.ts';
import { linearKey, mapLinear, type Linear } from '../layout.ts';
import type { MathLibrary } from '../math/library.ts';
import type { FunctionBuilder } from '../wasm/function.ts';
import { add, choose, f32, f32x4, i32, lane, load, max, min, mul, op, sub, type F32, type I32, type V128 } from '../wasm/value.ts';
import type { Element } from './element.ts';
import { hasIndirect, laneStride, linearLaneStride, type LaneAxis } from './lanes.ts';
import { binaryScalar, binaryVector, laneNumbers, maskOf, unaryScalar, unaryVector } from './functions.ts';
import { emitReduce } from './reduce.ts';
import { Scopes } from './scope.ts';

/** What an axis is at the moment: its value, and its extent for the algebra. */
interface BoundAxis { readonly value: I32; readonly extent: Dim | undefined }

/** Finds the memory behind loads, `at` and accumulators. */
export interface Resolver {
  source(emitter: Emitter, source: number, index: readonly Index[]): Element;
  accumulator?(emitter: Emitter, index: readonly Index[]): Element;
}

export class Emitter {
  readonly scopes = new Scopes();
  private readonly axes = new Map<number, BoundAxis>();
  private readonly keys = new WeakMap<Scalar, string>();
  private readonly free = new WeakMap<Scalar, ReadonlySet<number>>();
  private readonly dimValues = new Map<DimName, I32>();
  /** Set while lanes are written. */
  lanes: LaneAxis | undefined;
  /** Inside an arm of a select: loads may be out of range. */
  private guarded = false;

  constructor(
    readonly f: FunctionBuilder, readonly math: MathLibrary, public resolver: Resolver, dims: ReadonlyMap<DimName, I32>,
  ) {
    for (const [name, value] of dims) this.dimValues.set(name, value);
  }

  get extents(): Extents {
    return (n) => this.axes.get(n)?.extent;
  }

  dim(d: Dim): I32 {
    if (typeof d === 'number') return i32(d);
    const value = this.dimValues.get(d);
    if (!value) throw new InternalError('cpu', `dimension ${d} is not loaded`);
    return value;
  }

  /** Runs `body` with an axis standing at `value`. */
  withAxis(axis: number, value: I32, extent: Dim | undefined, body: () => void): void {
    const before = this.axes.get(axis);
    this.axes.set(axis, { value, extent });
    body();
    if (before) this.axes.set(axis, before);
    else this.axes.delete(axis);
  }

  withLanes(lanes: LaneAxis | undefined, body: () => void): void {
    const before = this.lanes;
    this.lanes = lanes;
    body();
    this.lanes = before;
  }

  isBound(axes: ReadonlySet<number>): boolean {
    for (const n of axes) if (!this.axes.has(n)) return false;
    return true;
  }

  freeAxes(x: Scalar): ReadonlySet<number> {
    const known = this.free.get(x);
    if (known) return known;
    const found = freeAxes(x);
    this.free.set(x, found);
    return found;
  }

  private key(x: Scalar): string {
    const known = this.keys.get(x);
    if (known !== undefined) return known;
    const key = scalarKey(x);
    this.keys.set(x, key);
    return key;
  }

  // Indices

  /** The value of an index; at lane 0 where lanes are written. */
  index(index: Index): I32 {
    switch (index.op) {
      case 'int': return i32(index.value);
      case 'dim': return this.dim(index.dim);
      case 'axis': {
        const bound = this.axes.get(index.axis);
        if (!bound) throw new InternalError('cpu', `axis ${index.axis} is not bound`);
        return bound.value;
      }
      default: {
        const key = `i ${indexKey(index)}`;
        return this.scopes.find('i32', key) ?? this.keep(key, this.computeIndex(index));
      }
    }
  }

  private keep(key: string, value: I32): I32 {
    return value.constant === undefined ? this.scopes.add(key, this.f.let(value)) : value;
  }

  private computeIndex(index: Exclude<Index, { op: 'int' | 'dim' | 'axis' }>): I32 {
    switch (index.op) {
      case 'add': return add(this.index(index.a), this.index(index.b));
      case 'sub': return sub(this.index(index.a), this.index(index.b));
      case 'min': case 'max': {
        const [a, b] = [this.f.let(this.index(index.a)), this.f.let(this.index(index.b))];
        return index.op === 'min' ? min(a, b) : max(a, b);
      }
      case 'mul': return mul(this.index(index.a), i32(index.by));
      case 'div': return this.floorDivision(index.a, index.by).quotient;
      case 'mod': return this.floorDivision(index.a, index.by).remainder;
      case 'at': {
        const element = this.resolver.source(this, index.source, index.index);
        const value = load('i32.load', this.address(element, false));
        return element.dtype === 'i32' ? value : op('i32.trunc_sat_f32_s', load('f32.load', this.address(element, false)));
      }
      default: return index satisfies never;
    }
  }

  /** Floor division. Where the dividend cannot be negative the unsigned instructions serve; otherwise the quotient is corrected. */
  private floorDivision(a: Index, by: number): { readonly quotient: I32; readonly remainder: I32 } {
    const value = this.index(a);
    const divisor = i32(by);
    const power = (by & (by - 1)) === 0;
    if (power) return { quotient: op('i32.shr_s', value, i32(Math.log2(by))), remainder: op('i32.and', value, i32(by - 1)) };
    if (rangeOf(a, this.extents).low >= 0) return { quotient: op('i32.div_u', value, divisor), remainder: op('i32.rem_u', value, divisor) };
    const rest = this.f.let(op('i32.rem_s', value, divisor));
    const negative = op('i32.lt_s', rest, i32(0));
    return {
      quotient: sub(op('i32.div_s', value, divisor), negative),
      remainder: add(rest, choose(negative, divisor, i32(0))),
    };
  }

  private linear(linear: Linear): I32 {
    let sum: I32 = i32(0);
    for (const { index, dims } of linear) {
      sum = add(sum, dims.reduce((product, d) => mul(product, this.dim(d)), this.index(index)));
    }
    return sum;
  }

  // Addresses

  /** The number of an element; that of the first where it would be outside. */
  private number(element: Element): I32 {
    const number = this.f.let(this.linear(element.linear));
    if (!this.needsGuard(element)) return number;
    return this.f.let(choose(op('i32.lt_u', sub(number, element.low), element.count), number, element.low));
  }

  /** The byte address of an element (of lane 0). `wide`: four elements are touched from there on. */
  address(element: Element, wide: boolean): I32 {
    const { base, linear } = element;
    if (this.needsGuard(element)) {
      const key = `guarded ${wide} ${element.name} ${linearKey(linear)}`;
      const known = this.scopes.find('i32', key);
      if (known) return known;
      // Three elements on either side of a buffer belong to our memory, so a vector that is partly inside is read where it is.
      const reach = wide ? 3 : 0;
      const number = this.f.let(this.linear(linear));
      const offset = sub(add(number, i32(reach)), element.low);
      const inside = op('i32.lt_u', offset, add(element.count, i32(reach)));
      return this.scopes.add(key, this.f.let(add(base, mul(choose(inside, number, element.low), i32(4)))));
    }
    // base + the part that the innermost axes do not move is computed once; the rest is added here.
    const moving = this.movingAxes;
    const { fixed, variable } = this.split(linear, moving);
    let address = this.fixedAddress(element, fixed);
    for (const { index, dims } of variable) address = add(address, dims.reduce((p, d) => mul(p, this.dim(d)), mul(this.index(index), i32(4))));
    return address;
  }

  /** Axes of the loops inside which code is being written, innermost last, as far as addresses are split by them. */
  private movingAxes: readonly number[] = [];

  /** Runs `body` as the inside of a loop over `axis`. */
  insideLoop(axis: number, body: () => void): void {
    const before = this.movingAxes;
    this.movingAxes = [...before, axis];
    this.scopes.within(body);
    this.movingAxes = before;
  }

  private fixedAddress(element: Element, fixed: Linear): I32 {
    const key = `address ${element.name} ${linearKey(fixed)}`;
    return this.scopes.find('i32', key) ?? this.keep(key, add(element.base, mul(this.linear(fixed), i32(4))));
  }

  /** Terms that hold an axis of `moving`, and the others. */
  private split(linear: Linear, moving: readonly number[]): { readonly fixed: Linear; readonly variable: Linear } {
    const last = moving[moving.length - 1];
    if (last === undefined) return { fixed: linear, variable: [] };
    const fixed: { index: Index; dims: readonly DimName[] }[] = [];
    const variable: { index: Index; dims: readonly DimName[] }[] = [];
    for (const { index, dims } of linear) {
      const form = linearForm(index, this.extents);
      let still: Index = int(form.constant);
      let moved: Index | undefined;
      for (const { atom, by } of form.terms) {
        const term: Index = by === 1 ? atom : { op: 'mul', a: atom, by };
        if (indexAxes(atom).has(last)) moved = moved ? addIndex(moved, term) : term;
        else still = addIndex(still, term);
      }
      fixed.push({ index: simplifyIndex(still, this.extents), dims });
      if (moved) variable.push({ index: moved, dims });
    }
    return { fixed, variable };
  }

  // Scalars

  /** One element. */
  scalar(x: Scalar): F32 {
    if (x.op === 'const') return f32(x.value);
    const key = this.key(x);
    const known = this.scopes.find('f32', key);
    if (known) return known;
    let value: F32 | undefined;
    this.withLanes(undefined, () => { value = this.scopes.add(key, this.f.let(this.computeScalar(x))); });
    return value as F32;
  }

  private computeScalar(x: Exclude<Scalar, { op: 'const' }>): F32 {
    switch (x.op) {
      case 'arg': throw new InternalError('cpu', 'a graph operand in a kernel');
      case 'load': return this.loadScalar(this.resolver.source(this, x.source, x.index));
      case 'accumulator': return this.loadScalar(this.accumulator(x.index));
      case 'index': return op('f32.convert_i32_s', this.index(x.index));
      case 'unary': return unaryScalar(this, x.fn, x.x);
      case 'binary': return binaryScalar(this, x.fn, x.a, x.b);
      case 'select': {
        const condition = this.f.let(maskOf(this, x.condition, 'scalar'));
        return this.inArms(() => choose(condition, this.scalar(x.then), this.scalar(x.else)));
      }
      case 'reduce': return emitReduce(this, x, 'scalar') as F32;
      default: return x satisfies never;
    }
  }

  private loadScalar(element: Element): F32 {
    if (element.read) return element.read(this.number(element));
    const address = this.address(element, false);
    return element.dtype === 'i32' ? op('f32.convert_i32_s', load('i32.load', address)) : load('f32.load', address);
  }

  accumulator(index: readonly Index[]): Element {
    if (!this.resolver.accumulator) throw new InternalError('cpu', 'an accumulator where there is none');
    return this.resolver.accumulator(this, index);
  }

  /** Runs `body` for an arm of a select, where loads may be out of range. */
  inArms<V>(body: () => V): V {
    const before = this.guarded;
    this.guarded = true;
    const value = body();
    this.guarded = before;
    return value;
  }

  // Lanes

  /** Four elements, along `lanes`. */
  vector(x: Scalar): V128 {
    const lanes = this.lanes;
    if (!lanes) throw new InternalError('cpu', 'no lanes');
    const key = this.key(x);
    const known = this.scopes.find('v128', key);
    if (known) return known;
    if (x.op === 'const') return this.scopes.add(key, this.f.let(f32x4(x.value)));
    if (!this.freeAxes(x).has(lanes.axis)) return this.scopes.add(key, this.f.let(op('f32x4.splat', this.scalar(x))));
    return this.scopes.add(key, this.f.let(this.computeVector(x, lanes)));
  }

  private computeVector(x: Exclude<Scalar, { op: 'const' }>, lanes: LaneAxis): V128 {
    switch (x.op) {
      case 'arg': throw new InternalError('cpu', 'a graph operand in a kernel');
      case 'load': return this.loadVector(this.resolver.source(this, x.source, x.index), lanes, (l) => this.resolver.source(this, x.source, x.index.map((i) => this.atLane(i, l, lanes))));
      case 'accumulator': return this.loadVector(this.accumulator(x.index), lanes, (l) => this.accumulator(x.index.map((i) => this.atLane(i, l, lanes))));
      case 'index': return this.indexVector(x.index, lanes);
      case 'unary': return unaryVector(this, x.fn, x.x);
      case 'binary': return binaryVector(this, x.fn, x.a, x.b);
      case 'select': {
        const mask = this.f.let(maskOf(this, x.condition, 'vector'));
        return this.inArms(() => op('v128.bitselect', this.vector(x.then), this.vector(x.else), mask));
      }
      case 'reduce': return emitReduce(this, x, 'vector') as V128;
      default: return x satisfies never;
    }
  }

  /** The index with the lanes' axis moved on to lane l. */
  private atLane(index: Index, l: number, lanes: LaneAxis): Index {
    if (l === 0) return index;
    return simplifyIndex(substituteIndex(index, (n) => (n === lanes.axis ? addIndex(axisIndex(n), int(l)) : undefined)), this.unboundedLanes(lanes));
  }

  /** Extents without the lanes' axis: moved on by a lane, it no longer keeps to its own. */
  private unboundedLanes(lanes: LaneAxis): Extents {
    return (n) => (n === lanes.axis ? undefined : this.extents(n));
  }

  private loadVector(element: Element, lanes: LaneAxis, at: (lane: number) => Element): V128 {
    const stride = linearLaneStride(element.linear, lanes, this.extents);
    const guarded = this.guarded && !element.safe;
    const plain = element.dtype === 'f32' && !element.read;
    if (plain && stride === 0) return load('v128.load32_splat', this.address(element, false));
    if (plain && stride === 1) return load('v128.load', this.address(element, true));
    if (plain && stride !== undefined && stride > 0 && !guarded) {
      const address = this.f.let(this.address(element, false));
      let value = load('v128.load32_zero', address);
      for (let l = 1; l < 4; l++) value = lane('f32x4.replace_lane', l, value, load('f32.load', address, 4 * stride * l));
      return value;
    }
    let value: V128 = op('f32x4.splat', this.loadScalar(element));
    for (let l = 1; l < 4; l++) {
      const x = this.loadScalar(at(l));
      value = lane('f32x4.replace_lane', l, value, x);
    }
    return value;
  }

  private indexVector(index: Index, lanes: LaneAxis): V128 {
    const stride = laneStride(index, lanes, this.extents);
    const first = op('i32x4.splat', this.index(index));
    if (stride !== undefined) return op('f32x4.convert_i32x4_s', op('i32x4.add', first, laneNumbers(stride)));
    let value: V128 = first;
    for (let l = 1; l < 4; l++) value = lane('i32x4.replace_lane', l, value, this.index(this.atLane(index, l, lanes)));
    return op('f32x4.convert_i32x4_s', value);
  }

  /** Writes four lanes to an element and those after it along the lanes' axis. */
  storeVector(target: Element, at: (lane: number) => Element, value: V128): void {
    const lanes = this.lanes;
    if (!lanes) throw new InternalError('cpu', 'no lanes');
    if (target.dtype === 'f32' && linearLaneStride(target.linear, lanes, this.extents) === 1) {
      this.f.store('v128.store', this.address(target, true), value);
      return;
    }
    const kept = this.f.let(value);
    for (let l = 0; l < 4; l++) this.storeScalar(l === 0 ? target : at(l), lane('f32x4.extract_lane', l, kept));
  }

  /** Moves an index on by lanes, for `storeVector`. */
  laneIndex(index: readonly Index[], l: number): Index[] {
    const lanes = this.lanes;
    return lanes ? index.map((i) => this.atLane(i, l, lanes)) : [...index];
  }

  /** Stores the value of an expression; into an i32 buffer an `index` goes without the detour over a float. */
  store(target: Element, x: Scalar): void {
    if (target.dtype === 'i32' && x.op === 'index') this.f.store('i32.store', this.address(target, false), this.index(x.index));
    else this.storeScalar(target, this.scalar(x));
  }

  storeScalar(target: Element, value: F32): void {
    if (target.dtype === 'i32') this.f.store('i32.store', this.address(target, false), op('i32.trunc_sat_f32_s', value));
    else this.f.store('f32.store', this.address(target, false), value);
  }

  /** Computes the part of an element's address that a loop over `axis` does not move. */
  fixAddress(element: Element, axis: number): void {
    if (this.needsGuard(element) || element.read) return;
    const { fixed } = this.split(element.linear, [axis]);
    if (fixed.every((t) => this.isBound(indexAxes(t.index)))) this.fixedAddress(element, fixed);
  }

  private needsGuard(element: Element): boolean {
    return (this.guarded && !element.safe) || element.linear.some((t) => hasIndirect(t.index));
  }

  /** An element named by a key for what it belongs to. */
  element(name: string, base: I32, linear: Linear, dtype: DType, low: I32, count: I32, safe: boolean): Element {
    return { name, base, linear: mapLinear(linear, (i) => simplifyIndex(i, this.extents)), dtype, low, count, safe };
  }
}
