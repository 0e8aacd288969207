/** What the lowering of every block needs, and the helpers that all of them use. */
import { add, arg } from '../graph/expressions.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Node } from '../graph/types.ts';
import type { Model } from '../model.ts';
import type { Problems } from './lowering-error.ts';
import type { Scalar } from '../kernels/scalar.ts';

export interface LowerContext {
  /** Mistakes found so far; lowering goes on with what does not depend on them. */
  readonly problems: Problems;
  readonly graph: GraphBuilder;
  readonly model: Model;
  /** Layer being lowered; absent outside layers. */
  readonly layer?: number;
  /** Values that many layers share (rotation angles, position biases), by a key that spells what they are. */
  readonly shared: Map<string, Node>;
  /** Keys and values that each layer's attention keeps, for layers that read another's. */
  readonly keyValues: Map<number, { readonly k: Node; readonly v: Node }>;
}

/** What an activation needs beside its argument: weight nodes to append to the map's operands. */
export interface BoundActivation {
  readonly operands: readonly Node[];
  /** The expression; `first` is the position of the first of `operands` in the map. */
  readonly apply: (x: Scalar, first: number) => Scalar;
}

/** The value for `key`, built on first use. */
export function sharedNode(ctx: LowerContext, key: string, build: () => Node): Node {
  const known = ctx.shared.get(key);
  if (known) return known;
  const node = build();
  ctx.shared.set(key, node);
  return node;
}

/** Runs `build` with nodes labelled by the slot that they compute. */
export function labelled<R>(ctx: LowerContext, slot: string, build: () => R): R {
  return ctx.graph.within({ label: slot }, build);
}

/** Names what is looked at as `name` (layers.0.attention.q). */
export function named(ctx: LowerContext, name: string, node: Node): Node {
  return ctx.graph.value(name, node);
}

export interface Projection {
  readonly rows: number;
  readonly columns: number;
  readonly bias: boolean;
  /** The weight's shape in the spec's terms. */
  readonly derivation?: string;
}

/** x[..., columns] -> [..., rows]: x times `<slot>.weight` transposed, plus `<slot>.bias`. */
export function project(ctx: LowerContext, x: Node, slot: string, { rows, columns, bias, derivation }: Projection): Node {
  const { graph } = ctx;
  return labelled(ctx, slot, () => {
    const y = graph.linear(x, graph.weight(`${slot}.weight`, [rows, columns], derivation));
    return bias ? graph.map([y, graph.weight(`${slot}.bias`, [rows])], add(arg(0), arg(1))) : y;
  });
}
