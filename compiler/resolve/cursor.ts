/** Reads fields of a spec's tree as values. A field that fails is reported once and gives its fallback, so that reading goes on. */
import { evaluate, parseExpression, typeName } from '../expression/index.ts';
import type { ParamValue } from '../model.ts';
import { nearest } from '../nearest.ts';
import { pointer } from '../source.ts';
import type { Place, SourceNode } from '../source.ts';
import { nodeValue } from './context.ts';
import type { Reporter, Values } from './context.ts';

/** Largest size of one dimension. Products of several stay exact in a double. */
export const LARGEST_DIMENSION = 2 ** 24;

/** Whether `a` is known not to be a multiple of `b`. */
export function indivisible(a: number, b: number): boolean {
  return Math.abs(a % b) > 0;
}

/** Whether two numbers are known to differ. */
export function differs(a: number, b: number): boolean {
  return a < b || a > b;
}

export class Cursor {
  constructor(readonly reporter: Reporter, readonly scope: Values, readonly node: SourceNode | undefined, readonly path: string, private readonly parent?: Place) {}

  get present(): boolean {
    return this.node !== undefined;
  }

  get isMap(): boolean {
    return this.node?.kind === 'map';
  }

  get place(): Place | undefined {
    return this.node?.place ?? this.parent;
  }

  get(key: string): Cursor {
    const entry = this.node?.kind === 'map' ? this.node.entries.get(key) : undefined;
    const present = entry && !(entry.value.kind === 'scalar' && entry.value.value === null);
    return new Cursor(this.reporter, this.scope, present ? entry.value : undefined, pointer(this.path, key), entry?.key ?? this.place);
  }

  at(scope: Values): Cursor {
    return new Cursor(this.reporter, scope, this.node, this.path, this.parent);
  }

  entries(): [string, Cursor][] {
    return this.node?.kind === 'map' ? [...this.node.entries.keys()].map((key) => [key, this.get(key)]) : [];
  }

  items(): Cursor[] {
    if (this.node?.kind !== 'list') return [];
    return this.node.items.map((item, index) => new Cursor(this.reporter, this.scope, item, pointer(this.path, index), item.place));
  }

  /** The text as written, without reading it as an expression. */
  text(): string | undefined {
    return this.node?.kind === 'scalar' && typeof this.node.value === 'string' ? this.node.value : undefined;
  }

  report(code: Parameters<Reporter['report']>[1], message: string, hint?: string): void {
    this.reporter.report(this.place, code, this.path, message, hint);
  }

  get label(): string {
    return `\`${this.path.slice(this.path.lastIndexOf('/') + 1)}\``;
  }

  /** Null where the field is absent or says null; undefined where it failed, which has been reported. */
  value(): ParamValue | undefined {
    return this.node ? nodeValue(this.reporter, this.scope, this.node, this.path) : null;
  }

  number(): number | undefined {
    const value = this.value();
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'number') return value;
    if (this.node?.kind !== 'map') this.report('E402', `${this.label} must be a number, but is ${typeName(value)}`);
    return undefined;
  }

  /** A number within limits, both inclusive; `above` is exclusive. */
  numberIn(limits: { readonly above?: number; readonly from?: number; readonly to?: number }): number | undefined {
    const value = this.number();
    if (value === undefined) return undefined;
    const wrong = (limits.above !== undefined && value <= limits.above) || (limits.from !== undefined && value < limits.from) || (limits.to !== undefined && value > limits.to);
    if (!wrong) return value;
    const range = [limits.above === undefined ? '' : `greater than ${limits.above}`, limits.from === undefined ? '' : `at least ${limits.from}`, limits.to === undefined ? '' : `at most ${limits.to}`];
    this.report('E307', `${this.label} must be ${range.filter((part) => part !== '').join(' and ')}, but is ${value}`);
    return undefined;
  }

  /** A whole number from `least` (1) to `most`. */
  dimension(least = 1, most = LARGEST_DIMENSION): number | undefined {
    const value = this.number();
    if (value === undefined) return undefined;
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    this.report('E301', `${this.label} must be a whole number from ${least} to ${most}, but is ${value}`);
    return undefined;
  }

  /** NaN where it is missing or failed, so that nothing further is said about it: comparisons with NaN are false. */
  requiredDimension(least = 1, most = LARGEST_DIMENSION): number {
    const value = this.dimension(least, most);
    if (value === undefined) this.missing();
    return value ?? Number.NaN;
  }

  missing(): void {
    if (!this.node) this.reporter.report(this.place, 'E202', this.path, `the key ${this.label} is needed here`);
    else if (this.value() === null) this.report('E402', `${this.label} must have a value, but is null`);
  }

  boolean(fallback: boolean): boolean {
    const value = this.value();
    if (value === undefined || value === null) return fallback;
    if (typeof value === 'boolean') return value;
    this.report('E402', `${this.label} must be true or false, but is ${typeName(value)}`);
    return fallback;
  }

  numbers(): readonly number[] | undefined {
    const value = this.value();
    if (value === undefined || value === null) return undefined;
    if (Array.isArray(value)) {
      const numbers = value.filter((item): item is number => typeof item === 'number');
      if (numbers.length === value.length) return numbers;
    }
    this.report('E402', `${this.label} must be a list of numbers, but is ${typeName(value)}`);
    return undefined;
  }

  /** One of some names: written as it is, or given by an expression. Undefined where absent or failed. */
  choice<T extends string>(allowed: readonly T[]): T | undefined {
    const found = this.name((text) => allowed.find((candidate) => candidate === text), allowed);
    return found;
  }

  /** A name that `find` knows: written as it is, or given by an expression. */
  name<T>(find: (text: string) => T | undefined, allowed: readonly string[], code: 'E204' | 'E308' = 'E204'): T | undefined {
    if (!this.node) return undefined;
    const text = this.text();
    const direct = text === undefined ? undefined : find(text);
    if (direct !== undefined) return direct;
    if (text !== undefined && this.isUnknownName(text)) {
      this.refuse(text, allowed, code);
      return undefined;
    }
    const value = this.value();
    if (value === undefined || value === null) return undefined;
    const given = typeof value === 'string' ? find(value) : undefined;
    if (given === undefined) this.refuse(typeof value === 'string' ? value : typeName(value), allowed, code);
    return given;
  }

  private refuse(found: string, allowed: readonly string[], code: 'E204' | 'E308'): void {
    const close = nearest(found, allowed);
    const what = code === 'E308' ? 'an activation' : 'known';
    this.report(code, `${this.label} is \`${found.slice(0, 60)}\`, which is not ${what}; there are ${allowed.join(', ')}`, close === undefined ? undefined : `did you mean \`${close}\`?`);
  }

  private isUnknownName(text: string): boolean {
    const parsed = parseExpression(text);
    return parsed.ok && parsed.expression.kind === 'name' && !evaluate(parsed.expression, this.scope).ok && !this.scope.has(text);
  }
}
