/** Builds a graph one node at a time; every node is checked and typed by the operator table as it is added. */
import { InternalError } from '../diagnostics.ts';
import * as e from './expressions.ts';
import { inferNode } from './operators.ts';
import { ShapeError, broadcast, sameShape, showShape } from './shapes.ts';
import type { BinaryFunction, Scalar, UnaryFunction } from '../kernels/scalar.ts';
import type { Graph, GraphOutput, Node, NodeId, Operator, Origin, Shape, StateSlot, WeightSlot } from './types.ts';

/** A ShapeError with the place in the model where it happened. */
export class LoweringShapeError extends ShapeError {
  constructor(message: string, readonly origin: Origin) {
    super(message);
  }
}

export class GraphBuilder {
  private readonly nodes: Node[] = [];
  private readonly slots = new Map<string, { readonly slot: WeightSlot; readonly node: Node }>();
  private readonly states = new Map<string, StateSlot>();
  private readonly outputs: GraphOutput[] = [];
  private readonly values = new Map<string, NodeId>();
  private readonly inputs = new Map<string, Node>();
  private origin: Origin = { label: 'model' };

  constructor(private readonly name: string) {}

  /** Nodes added by `build` come from `origin`; its label, layer and path fall back to the surrounding ones. */
  within<R>(origin: Partial<Origin>, build: () => R): R {
    const outer = this.origin;
    this.origin = { ...outer, ...origin };
    try {
      return build();
    } finally {
      this.origin = outer;
    }
  }

  /** The label that the next node gets. */
  get label(): string {
    return this.origin.label;
  }

  /** The spec's JSON pointer that the next node comes from; empty where there is none. */
  get path(): string {
    return this.origin.path ?? '';
  }

  node(operator: Operator, inputs: readonly Node[], declared?: Shape): Node {
    const { dtype, shape } = this.checked(() => inferNode(operator, inputs, declared));
    const node: Node = { id: this.nodes.length, operator, inputs: inputs.map((n) => n.id), dtype, shape, origin: this.origin };
    this.nodes.push(node);
    return node;
  }

  /** The node that is operand `n` of another. */
  operand(node: Node, n: number): Node {
    const found = this.nodes[node.inputs[n] ?? -1];
    if (!found) throw new InternalError('graph', `%${node.id} has no operand ${n}`);
    return found;
  }

  /** Runs a shape computation and tells where in the model it failed. */
  checked<R>(compute: () => R): R {
    try {
      return compute();
    } catch (error) {
      if (error instanceof ShapeError && !(error instanceof LoweringShapeError)) throw new LoweringShapeError(error.message, this.origin);
      throw error;
    }
  }

  input(name: 'ids' | 'positions' | 'types'): Node {
    const known = this.inputs.get(name);
    if (known) return known;
    const node = this.node({ op: 'input', name }, []);
    this.inputs.set(name, node);
    return node;
  }

  /** A weight slot. Asked for again (tied weights), it is the same node. `derivation` spells the shape in the spec's terms. */
  weight(slot: string, shape: readonly number[], derivation?: string): Node {
    const known = this.slots.get(slot);
    if (known) {
      if (!sameShape(known.node.shape, shape)) throw new LoweringShapeError(`weight ${slot} is used as ${showShape(shape)} and as ${showShape(known.node.shape)}`, this.origin);
      return known.node;
    }
    const node = this.node({ op: 'weight', slot }, [], shape);
    const { path } = this.origin;
    this.slots.set(slot, { slot: { slot, shape, ...(derivation === undefined ? {} : { derivation }), ...(path === undefined ? {} : { path }) }, node });
    return node;
  }

  hasWeight(slot: string): boolean {
    return this.slots.has(slot);
  }

  constant(data: readonly number[], shape: readonly number[]): Node {
    return this.node({ op: 'constant', data }, [], shape);
  }

  /** Elementwise over operands broadcast together, or to `shape` where it is given (it must be for an expression of positions alone). */
  map(operands: readonly Node[], expression: Scalar, shape?: Shape): Node {
    const result = shape ?? this.checked(() => broadcast(operands.map((n) => n.shape)));
    return this.node({ op: 'map', expression }, operands, result);
  }
  unary(fn: UnaryFunction, x: Node): Node {
    return this.map([x], e.unary(fn, e.arg(0)));
  }
  binary(fn: BinaryFunction, a: Node, b: Node): Node {
    return this.map([a, b], e.binary(fn, e.arg(0), e.arg(1)));
  }
  add(a: Node, b: Node): Node {
    return this.binary('add', a, b);
  }
  mul(a: Node, b: Node): Node {
    return this.binary('mul', a, b);
  }
  /** x times a number; x itself for 1. */
  scale(x: Node, factor: number): Node {
    return factor === 1 ? x : this.map([x], e.mul(e.arg(0), e.constant(factor)));
  }
  /** cap * tanh(x / cap) */
  softcap(x: Node, cap: number | undefined): Node {
    return cap === undefined ? x : this.map([x], e.mul(e.constant(cap), e.unary('tanh', e.div(e.arg(0), e.constant(cap)))));
  }

  gather(table: Node, ids: Node): Node {
    return this.node({ op: 'gather' }, [table, ids]);
  }
  linear(x: Node, weight: Node): Node {
    return this.node({ op: 'linear', group: 'none' }, [x, weight]);
  }
  headLinear(x: Node, weight: Node): Node {
    return this.node({ op: 'linear', group: 'head' }, [x, weight]);
  }
  expertLinear(x: Node, weight: Node, choice: Node): Node {
    return this.node({ op: 'linear', group: 'expert' }, [x, weight, choice]);
  }
  norm(kind: 'rms' | 'layer' | 'l2', x: Node, eps: number): Node {
    return this.node({ op: 'norm', kind, eps }, [x]);
  }
  softmax(x: Node, sinks?: Node): Node {
    return this.node({ op: 'softmax' }, sinks ? [x, sinks] : [x]);
  }
  reduce(fn: 'sum' | 'max' | 'min' | 'mean', x: Node, axis: number): Node {
    return this.node({ op: 'reduce', fn, axis }, [x]);
  }
  hasState(name: string): boolean {
    return this.states.has(name);
  }
  cache(state: string, x: Node): Node {
    const node = this.node({ op: 'cache', state }, [x]);
    const row = node.shape.slice(1).map((d) => {
      if (typeof d !== 'number') throw new InternalError('graph', `state ${state} has a row of shape ${showShape(node.shape)}`);
      return d;
    });
    if (this.states.has(state)) throw new InternalError('graph', `state ${state} is written twice`);
    this.states.set(state, { name: state, row });
    return node;
  }
  reshape(x: Node, shape: Shape): Node {
    return sameShape(x.shape, shape) ? x : this.node({ op: 'reshape' }, [x], shape);
  }
  transpose(x: Node, permutation: readonly number[]): Node {
    return this.node({ op: 'transpose', permutation }, [x]);
  }
  slice(x: Node, axis: number, start: number, length: number): Node {
    return start === 0 && x.shape[axis] === length ? x : this.node({ op: 'slice', axis, start, length }, [x]);
  }
  concat(parts: readonly Node[], axis: number): Node {
    const [only] = parts;
    return parts.length === 1 && only ? only : this.node({ op: 'concat', axis }, parts);
  }

  output(name: string, node: Node): void {
    if (this.outputs.some((o) => o.name === name)) throw new InternalError('graph', `output ${name} is given twice`);
    this.outputs.push({ name, node: node.id });
    this.value(name, node);
  }

  /** Gives `node` a name by which it can be looked at, and returns it. */
  value(name: string, node: Node): Node {
    const known = this.values.get(name);
    if (known !== undefined && known !== node.id) throw new InternalError('graph', `the name ${name} is given to two values`);
    this.values.set(name, node.id);
    return node;
  }
  hasValue(name: string): boolean {
    return this.values.has(name);
  }

  finish(): Graph {
    return {
      name: this.name,
      nodes: [...this.nodes],
      weights: [...this.slots.values()].map((w) => w.slot),
      states: [...this.states.values()],
      outputs: [...this.outputs],
      values: [...this.values].map(([name, node]) => ({ name, node })),
    };
  }
}
