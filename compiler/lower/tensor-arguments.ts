/** Values in tensor expressions, and the arguments of a call read by position. */
import { fail } from './lowering-error.ts';
import type { LowerContext } from './context.ts';
import type { Dim, Node } from '../graph/types.ts';
import type { ParamValue } from '../model.ts';

export type TensorValue =
  | { readonly kind: 'tensor'; readonly node: Node }
  | { readonly kind: 'constant'; readonly value: ParamValue }
  | { readonly kind: 'tensors'; readonly nodes: readonly Node[] };

export const tensor = (node: Node): TensorValue => ({ kind: 'tensor', node });

/** A call's arguments. Absent and null arguments take their defaults. */
export class Arguments {
  constructor(readonly ctx: LowerContext, readonly signature: string, readonly path: string, private readonly values: readonly TensorValue[]) {}

  get count(): number {
    return this.values.length;
  }

  private wrong(index: number, what: string): never {
    return fail('E405', this.path, `argument ${index + 1} of \`${this.signature}\` must be ${what}`);
  }

  private constant(index: number): ParamValue | undefined {
    const value = this.values[index];
    if (!value) return undefined;
    if (value.kind !== 'constant') return this.wrong(index, 'known when compiling, not a tensor');
    return value.value ?? undefined;
  }

  isTensor(index: number): boolean {
    return this.values[index]?.kind === 'tensor';
  }

  tensor(index: number): Node {
    const value = this.values[index];
    if (value?.kind === 'tensor') return value.node;
    return this.wrong(index, 'a tensor');
  }

  tensors(index: number): readonly Node[] {
    const value = this.values[index];
    return value?.kind === 'tensors' ? value.nodes : this.wrong(index, 'a list of tensors');
  }

  number(index: number, fallback?: number): number {
    const value = this.constant(index) ?? fallback;
    return typeof value === 'number' ? value : this.wrong(index, 'a number');
  }

  integer(index: number, fallback?: number): number {
    const value = this.number(index, fallback);
    return Number.isInteger(value) ? value : this.wrong(index, 'a whole number');
  }

  optionalNumber(index: number): number | undefined {
    return this.constant(index) === undefined ? undefined : this.number(index);
  }

  choice<C extends string>(index: number, choices: readonly C[], fallback: C): C {
    const value = this.constant(index) ?? fallback;
    return choices.find((c) => c === value) ?? this.wrong(index, `one of ${choices.map((c) => `'${c}'`).join(', ')}`);
  }

  integers(index: number): readonly number[] {
    const value = this.constant(index);
    if (!Array.isArray(value)) return this.wrong(index, 'a list of whole numbers');
    return value.map((v: unknown) => (typeof v === 'number' && Number.isInteger(v) ? v : this.wrong(index, 'a list of whole numbers')));
  }

  /** An axis of `x`: negative ones count from the end, which is the default. */
  axis(index: number, x: Node): number {
    const axis = this.integer(index, -1);
    const rank = x.shape.length;
    if (axis < -rank || axis >= rank) return this.wrong(index, `an axis of [${x.shape.join(',')}]`);
    return axis < 0 ? axis + rank : axis;
  }

  /** The size of an axis, which must be fixed. */
  fixed(size: Dim | undefined): number {
    return typeof size === 'number' ? size : fail('E601', this.path, `\`${this.signature}\` needs an axis of fixed size`);
  }
}
