/**
 * Turns index and scalar expressions into WGSL statements. Each distinct subexpression becomes one `let`, placed in the outermost
 * open scope that knows all the axes it depends on: what does not change in a loop is computed before it, and nothing twice.
 */
import { InternalError } from '../../../compiler/diagnostics.ts';
import { indexKey, visitIndex } from '../../../compiler/kernels/index-expression.ts';
import { reduceStart } from '../../../compiler/kernels/scalar-functions.ts';
import { nodeIndices, numberReduceAxes, scalarKey, visitScalar } from '../../../compiler/kernels/scalar-expression.ts';
import type { BinaryFunction, Dim, DimName, Index, ReduceFunction, Scalar, Shape, UnaryFunction } from '../../../compiler/kernels/scalar.ts';
import type { MathFunction } from './math.ts';

/** A buffer as a kernel's expressions see it. `element` reads at a linear offset. */
export interface SourceView {
  readonly dtype: 'f32' | 'i32';
  readonly shape: Shape;
  element(offset: string): string;
}

export interface EmitterContext {
  source(n: number): SourceView;
  use(fn: MathFunction): void;
  /** WGSL of an accumulator at the given index values. */
  accumulator?(index: readonly string[]): string;
}

interface Scope {
  readonly axes: ReadonlyMap<number, string>;
  readonly lines: string[];
  readonly names: Map<string, string>;
}

/** Stands for "the accumulators are there" among the axes that an expression depends on. */
export const ACCUMULATORS = -1;

const infix: Partial<Record<BinaryFunction, string>> = { add: '+', sub: '-', mul: '*', div: '/' };
const comparisons: Partial<Record<BinaryFunction, string>> = { lt: '<', le: '<=', gt: '>', ge: '>=', eq: '==', ne: '!=' };

/** A WGSL f32 literal of the nearest f32. */
export function floatLiteral(value: number, use: (fn: MathFunction) => void): string {
  const x = Math.fround(value);
  if (Number.isNaN(x) || !Number.isFinite(x)) {
    use('bits');
    return `bits(${Number.isNaN(x) ? '0x7fc00000u' : x > 0 ? '0x7f800000u' : '0xff800000u'})`;
  }
  if (Object.is(x, -0)) { use('bits'); return 'bits(0x80000000u)'; }
  // Written shorter, the largest f32 would round up out of range.
  if (Math.abs(x) >= 3.4028234e38) return `${x < 0 ? '-' : ''}3.402823466e+38f`;
  const text = [7, 8, 9].map((n) => Number(x.toPrecision(n))).find((n) => Math.fround(n) === x) ?? x;
  return `${String(text)}f`;
}

export const reduceKey = (x: Scalar): string => `s${scalarKey(x.op === 'reduce' ? numberReduceAxes(x, 500) : x)}`;

export class Emitter {
  private readonly scopes: Scope[] = [];
  private readonly free = new WeakMap<object, ReadonlySet<number>>();
  private readonly keys = new WeakMap<object, string>();
  private count = 0;

  constructor(private readonly context: EmitterContext) {}

  /** Opens a scope in which `axes` have these names; its lines are given back by `close`. */
  open(axes: ReadonlyMap<number, string>): void {
    this.scopes.push({ axes, lines: [], names: new Map() });
  }
  close(): string[] {
    const scope = this.scopes.pop();
    if (!scope) throw new InternalError('webgpu', 'no scope is open');
    return scope.lines;
  }
  /** Adds statements to the innermost scope. */
  write(...lines: string[]): void { this.top().lines.push(...lines); }
  /** A new name. The underscore keeps it from being a type's: i32, u32. */
  fresh(prefix: string): string { return `${prefix}_${this.count++}`; }

  /** Makes `name`, already computed in the innermost scope, the value of `x` from here on. */
  define(x: Scalar, name: string): void { this.top().names.set(this.key(x), name); }

  private top(): Scope {
    const scope = this.scopes.at(-1);
    if (!scope) throw new InternalError('webgpu', 'no scope is open');
    return scope;
  }

  private key(x: Scalar): string {
    const known = this.keys.get(x);
    if (known !== undefined) return known;
    // Equal reductions at unlike depths differ in their axis numbers only.
    const key = reduceKey(x);
    this.keys.set(x, key);
    return key;
  }

  /** Free loop axes; ACCUMULATORS is among them where an accumulator occurs. */
  freeAxes(x: Scalar): ReadonlySet<number> {
    const known = this.free.get(x);
    if (known) return known;
    const free = new Set<number>();
    visitScalar(x, (part, reduces) => {
      if (part.op === 'accumulator') free.add(ACCUMULATORS);
      for (const index of nodeIndices(part)) {
        visitIndex(index, (i) => { if (i.op === 'axis' && !reduces.some((r) => r.axis === i.axis)) free.add(i.axis); });
      }
    });
    this.free.set(x, free);
    return free;
  }
  private indexAxes(index: Index): ReadonlySet<number> {
    const free = new Set<number>();
    visitIndex(index, (i) => { if (i.op === 'axis') free.add(i.axis); });
    return free;
  }

  /** Position of the outermost scope that knows all of `axes`. */
  private depth(axes: ReadonlySet<number>): number {
    let depth = 0;
    for (const axis of axes) {
      const at = this.scopes.findLastIndex((s) => s.axes.has(axis));
      if (at < 0) throw new InternalError('webgpu', axis === ACCUMULATORS ? 'an accumulator is used before it is there' : `axis ${axis} is not bound`);
      depth = Math.max(depth, at);
    }
    return depth;
  }

  /** Finds or makes the value `key` in the scope at `depth`, which `make` computes with only the scopes down to there open. */
  private place(key: string, depth: number, make: (scope: Scope) => string): string {
    const scope = this.scopes[depth] as Scope;
    const known = scope.names.get(key);
    if (known !== undefined) return known;
    const inner = this.scopes.splice(depth + 1);
    const name = make(scope);
    this.scopes.push(...inner);
    scope.names.set(key, name);
    return name;
  }
  private let(prefix: string, key: string, axes: ReadonlySet<number>, text: () => string): string {
    return this.place(key, this.depth(axes), (scope) => {
      const value = text();
      const name = this.fresh(prefix);
      scope.lines.push(`let ${name} = ${value};`);
      return name;
    });
  }

  dim(d: Dim): string { return typeof d === 'number' ? String(d) : `dims.${d}`; }
  private axisName(axis: number): string {
    const name = this.scopes.findLast((s) => s.axes.has(axis))?.axes.get(axis);
    if (name === undefined) throw new InternalError('webgpu', `axis ${axis} is not bound`);
    return name;
  }

  /** An i32 atom. */
  index(index: Index): string {
    switch (index.op) {
      case 'int': return index.value < 0 ? `(${index.value})` : String(index.value);
      case 'axis': return this.axisName(index.axis);
      case 'dim': return `dims.${index.dim}`;
      default: return this.let('i', `i${indexKey(index)}`, this.indexAxes(index), () => this.indexText(index));
    }
  }

  private indexText(index: Exclude<Index, { op: 'int' | 'axis' | 'dim' }>): string {
    switch (index.op) {
      case 'add': return `${this.index(index.a)} + ${this.index(index.b)}`;
      case 'sub': return `${this.index(index.a)} - ${this.index(index.b)}`;
      case 'min': case 'max': return `${index.op}(${this.index(index.a)}, ${this.index(index.b)})`;
      case 'mul': return `${this.index(index.a)} * ${this.index({ op: 'int', value: index.by })}`;
      case 'div': return this.divide(index.a, index.by);
      case 'mod': return this.modulo(index.a, index.by);
      case 'at': {
        const view = this.context.source(index.source);
        if (view.dtype !== 'i32') throw new InternalError('webgpu', 'an index is read from a buffer of floats');
        return view.element(this.offset(view.shape, index.index));
      }
      default: return index satisfies never;
    }
  }
  // An arithmetic shift is a floor division; WGSL's own division truncates.
  private divide(a: Index, by: number): string {
    const x = this.index(a);
    if (Number.isInteger(Math.log2(by))) return `${x} >> ${Math.log2(by)}u`;
    if (nonNegative(a)) return `${x} / ${by}`;
    this.context.use('floorDivide');
    return `floorDivide(${x}, ${by})`;
  }
  private modulo(a: Index, by: number): string {
    const x = this.index(a);
    if (Number.isInteger(Math.log2(by))) return `${x} & ${by - 1}`;
    if (nonNegative(a)) return `${x} % ${by}`;
    this.context.use('floorModulo');
    return `floorModulo(${x}, ${by})`;
  }

  /** The linear offset of an element: terms that change least are added first, so that loops keep a running base. */
  offset(shape: Shape, index: readonly Index[]): string {
    if (index.length !== shape.length) throw new InternalError('webgpu', `${index.length} indices for a buffer of ${shape.length} axes`);
    const terms: { readonly text: () => string; readonly key: string; readonly axes: ReadonlySet<number> }[] = [];
    let stride = 1;
    const symbolic: DimName[] = [];
    for (let n = shape.length - 1; n >= 0; n--) {
      const i = index[n] as Index;
      const [scale, dims] = [stride, [...symbolic]];
      if (!(i.op === 'int' && i.value === 0)) {
        const factors = [...(scale === 1 ? [] : [String(scale)]), ...dims.map((d) => `dims.${d}`)];
        terms.push({ text: () => [this.index(i), ...factors].join(' * '), key: `${indexKey(i)}*${factors.join('*')}`, axes: this.indexAxes(i) });
      }
      const extent = shape[n] as Dim;
      if (typeof extent === 'number') stride *= extent;
      else symbolic.push(extent);
    }
    const sorted = terms.reverse().map((t) => ({ ...t, depth: this.depth(t.axes) })).sort((a, b) => a.depth - b.depth);
    let sum = '';
    let key = 'o';
    const axes = new Set<number>();
    for (const term of sorted) {
      for (const a of term.axes) axes.add(a);
      key += `+${term.key}`;
      const before = sum;
      sum = this.let('o', key, axes, () => (before === '' ? term.text() : `${before} + ${term.text()}`));
    }
    return sum === '' ? '0' : sum;
  }

  /** An f32 atom. */
  scalar(x: Scalar): string {
    if (x.op === 'const') return floatLiteral(x.value, (fn) => this.context.use(fn));
    if (x.op === 'reduce') return this.place(this.key(x), this.depth(this.freeAxes(x)), () => this.reduce(x));
    return this.let('v', this.key(x), this.freeAxes(x), () => this.scalarText(x));
  }

  private scalarText(x: Exclude<Scalar, { op: 'const' | 'reduce' }>): string {
    switch (x.op) {
      case 'arg': throw new InternalError('webgpu', 'a kernel refers to a graph operand');
      case 'load': {
        const view = this.context.source(x.source);
        const text = view.element(this.offset(view.shape, x.index));
        return view.dtype === 'i32' ? `f32(${text})` : text;
      }
      case 'accumulator':
        if (!this.context.accumulator) throw new InternalError('webgpu', 'this kernel has no accumulators');
        return this.context.accumulator(x.index.map((i) => this.index(i)));
      case 'index': return `f32(${this.index(x.index)})`;
      case 'unary': return this.unary(x.fn, this.scalar(x.x));
      case 'binary': return this.binary(x.fn, x.a, x.b);
      case 'select': return `select(${this.scalar(x.else)}, ${this.scalar(x.then)}, ${this.condition(x.condition)})`;
      default: return x satisfies never;
    }
  }

  private call(fn: MathFunction, ...args: string[]): string {
    this.context.use(fn);
    return `${fn}(${args.join(', ')})`;
  }
  private unary(fn: UnaryFunction, x: string): string {
    switch (fn) {
      case 'neg': return `-(${x})`;
      case 'abs': case 'sqrt': case 'floor': case 'ceil': return `${fn}(${x})`;
      case 'rsqrt': return `1.0f / sqrt(${x})`;
      case 'reciprocal': return `1.0f / (${x})`;
      case 'exp': return this.call('exponential', x);
      case 'log': return this.call('logarithm', x);
      case 'tanh': return this.call('hyperbolicTangent', x);
      case 'sigmoid': return this.call('sigmoid', x);
      case 'erf': return this.call('errorFunction', x);
      case 'sin': return this.call('sine', x);
      case 'cos': return this.call('cosine', x);
      case 'round': return this.call('roundEven', x);
      default: return fn satisfies never;
    }
  }
  private binary(fn: BinaryFunction, a: Scalar, b: Scalar): string {
    const [x, y] = [this.scalar(a), this.scalar(b)];
    const sign = infix[fn];
    if (sign !== undefined) return `${x} ${sign} ${y}`;
    const comparison = comparisons[fn];
    if (comparison !== undefined) return `select(0.0f, 1.0f, ${x} ${comparison} ${y})`;
    if (fn === 'max') return this.call('maximum', x, y);
    if (fn === 'min') return this.call('minimum', x, y);
    return this.call('power', x, y);
  }
  private condition(x: Scalar): string {
    const comparison = x.op === 'binary' ? comparisons[x.fn] : undefined;
    if (x.op === 'binary' && comparison !== undefined) return `${this.scalar(x.a)} ${comparison} ${this.scalar(x.b)}`;
    return `${this.scalar(x)} != 0.0f`;
  }

  /** What a reduce variable starts with, and how it takes in another value. */
  start(fn: ReduceFunction): string { return floatLiteral(reduceStart(fn), (m) => this.context.use(m)); }
  step(fn: ReduceFunction, sum: string, x: string): string {
    switch (fn) {
      case 'sum': return `${sum} + ${x}`;
      case 'max': return this.call('maximum', sum, x);
      case 'min': return this.call('minimum', sum, x);
      default: return fn satisfies never;
    }
  }

  /** A loop in the innermost scope: axis `axis` runs from `from` to below `to` by `by`; `body` writes what is in it. */
  loop(axis: number, from: string, to: string, by: string, body: (name: string) => void): void {
    const name = this.fresh('a');
    this.open(new Map([[axis, name]]));
    body(name);
    const lines = this.close();
    this.write(`for (var ${name}: i32 = ${from}; ${name} < ${to}; ${name} += ${by}) {`, ...lines.map((l) => `  ${l}`), '}');
  }

  private reduce(x: Extract<Scalar, { op: 'reduce' }>): string {
    const name = this.fresh('r');
    this.write(`var ${name}: f32 = ${this.start(x.fn)};`);
    this.loop(x.axis, '0', this.dim(x.extent), '1', () => {
      const value = this.scalar(x.body);
      this.write(`${name} = ${this.step(x.fn, name, value)};`);
    });
    return name;
  }
}

/** Whether no value of the loops can make it negative. */
function nonNegative(index: Index): boolean {
  switch (index.op) {
    case 'int': return index.value >= 0;
    case 'axis': case 'dim': case 'mod': return true;
    case 'add': case 'min': return nonNegative(index.a) && nonNegative(index.b);
    case 'max': return nonNegative(index.a) || nonNegative(index.b);
    case 'mul': return index.by >= 0 && nonNegative(index.a);
    case 'div': return nonNegative(index.a);
    case 'sub': case 'at': return false;
    default: return index satisfies never;
  }
}
