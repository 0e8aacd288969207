/** Graph -> Schedule: every operator becomes a kernel of its own, in the graph's order. The fusion passes start from this. */
import { InternalError } from './diagnostics.ts';
import { add, axes, axis, dim, int } from './kernels/index-expression.ts';
import { closeKernel } from './kernels/sources.ts';
import { load, numberReduceAxes } from './kernels/scalar-expression.ts';
import { extentsOf, simplifyIndex } from './kernels/simplify-index.ts';
import { accumulator } from './kernels/scalar-expression.ts';
import { nestValue, read, simplified, type Operand } from './schedule/operators.ts';
import type { Buffer, BufferId, Kernel, LinearKernel, Schedule, Store } from './kernels/types.ts';
import type { Index, Scalar, Shape } from './kernels/scalar.ts';
import type { Graph, Node, NodeId } from './graph/types.ts';

/** The name of the output that holds the index of the largest logit of the last row, i32[1]. */
export const ARGMAX = 'argmax';

type NewBuffer = Omit<Buffer, 'id'>;

class Builder {
  readonly buffers: Buffer[] = [];
  readonly kernels: Kernel[] = [];
  readonly byNode = new Map<NodeId, Buffer>();
  private readonly shared = new Map<string, Buffer>();

  buffer(b: NewBuffer): Buffer {
    const made = { id: this.buffers.length, ...b };
    this.buffers.push(made);
    return made;
  }
  /** One buffer for each weight slot, state and input, however many nodes name it. */
  once(b: NewBuffer): Buffer {
    const key = `${b.role} ${b.name}`;
    const known = this.shared.get(key) ?? this.buffer(b);
    this.shared.set(key, known);
    return known;
  }
  operand(id: NodeId): Operand {
    const b = this.byNode.get(id);
    if (!b) throw new InternalError('schedule', `node ${id} is used before it is computed`);
    return { source: b.id, dtype: b.dtype, shape: b.shape };
  }
  emit(kernel: Kernel): void { this.kernels.push(closeKernel(kernel)); }
  /** A nest over `space` that stores one value. */
  nest(node: Node, space: Shape, target: BufferId, index: readonly Index[], value: Scalar): void {
    const extents = extentsOf(space);
    const store: Store = {
      buffer: target,
      index: index.map((i) => simplifyIndex(i, extents)),
      value: numberReduceAxes(simplified(value, space), space.length),
    };
    this.emit({ kind: 'nest', id: this.kernels.length, origin: node.origin, nodes: [node.id], sources: [], space, stores: [store] });
  }
}

export function schedule(graph: Graph): Schedule {
  const b = new Builder();
  const outputNames = new Map(graph.outputs.map((o) => [o.node, o.name] as const).reverse());
  const states = new Map(graph.states.map((s) => [s.name, s]));
  for (const node of graph.nodes) b.byNode.set(node.id, scheduleNode(b, node, outputNames.get(node.id), states));
  const outputs = graph.outputs.map((o) => ({ name: o.name, buffer: outputBuffer(b, graph, o.node, o.name) }));
  const logits = outputs.find((o) => o.name === 'logits');
  if (logits) outputs.push({ name: ARGMAX, buffer: scheduleArgmax(b, logits.buffer) });
  const slots = new Set(b.buffers.filter((x) => x.role === 'weight').map((x) => x.name));
  return {
    name: graph.name, buffers: b.buffers, kernels: b.kernels, outputs,
    weights: graph.weights.filter((w) => slots.has(w.slot)), states: graph.states,
  };
}

function scheduleNode(b: Builder, node: Node, output: string | undefined, states: ReadonlyMap<string, { readonly row: readonly number[] }>): Buffer {
  const { operator, shape, dtype } = node;
  const inputs = node.inputs.map((id) => b.operand(id));
  const [x] = inputs;
  const result = (): Buffer => b.buffer({ role: output ? 'output' : 'activation', name: output ?? node.origin.label, dtype, shape });
  switch (operator.op) {
    case 'input': return b.once({ role: 'input', name: operator.name, dtype, shape });
    case 'weight': return b.once({ role: 'weight', name: operator.slot, dtype, shape });
    case 'constant': return b.buffer({ role: 'constant', name: node.origin.label, dtype, shape, data: operator.data });
    case 'cache': {
      const slot = states.get(operator.state);
      if (!slot || !x) throw new InternalError('schedule', `node ${node.id} appends to an unknown state ${operator.state}`);
      const state = b.once({ role: 'state', name: operator.state, dtype: 'f32', shape: ['S', ...slot.row] });
      const here = axes(x.shape.length);
      b.nest(node, x.shape, state.id, [add(dim('P'), axis(0)), ...here.slice(1)], read(x, here));
      return state;
    }
    case 'linear': {
      const target = result();
      // Backends lay weights out for the product; a matrix that the step itself computes is read as it is.
      if (b.byNode.get(node.inputs[1] ?? -1)?.role !== 'weight') b.nest(node, shape, target.id, axes(shape.length), nestValue(node, inputs));
      else b.emit(linearKernel(b.kernels.length, node, inputs, target.id));
      return target;
    }
    case 'topk': {
      if (!x) throw new InternalError('schedule', `node ${node.id} lacks an operand`);
      const target = result();
      b.emit({
        kind: 'topk', id: b.kernels.length, origin: node.origin, nodes: [node.id], sources: [], rowShape: shape.slice(0, -1),
        n: x.shape.at(-1) as number, k: operator.k, value: load(x.source, axes(x.shape.length)), target: target.id,
      });
      return target;
    }
    case 'concat': {
      const target = result();
      let start = 0;
      for (const part of inputs) {
        const here = axes(part.shape.length);
        const at = start;
        b.nest(node, part.shape, target.id, here.map((i, n) => (n === operator.axis ? add(i, int(at)) : i)), read(part, here));
        start += part.shape[operator.axis] as number;
      }
      return target;
    }
    case 'map': case 'gather': case 'norm': case 'softmax': case 'reduce': case 'rope': case 'mask': case 'scores': case 'mix': case 'take':
    case 'member': case 'reshape': case 'transpose': case 'slice': case 'lag': case 'tail': case 'row': {
      const target = result();
      b.nest(node, shape, target.id, axes(shape.length), nestValue(node, inputs));
      return target;
    }
    default: return operator satisfies never;
  }
}

function linearKernel(id: number, node: Node, inputs: readonly Operand[], target: BufferId): LinearKernel {
  const [x, w, choice] = inputs;
  if (node.operator.op !== 'linear' || !x || !w) throw new InternalError('schedule', `node ${node.id} is no linear operator`);
  const { group } = node.operator;
  const rowShape = node.shape.slice(0, -1);
  const rows = axes(rowShape.length);
  const k = axis(rowShape.length);
  const n = node.shape.at(-1) as number;
  // An expert's input may be the same for all of a token's choices.
  const inputRow = rows.slice(0, x.shape.length - 1);
  return {
    kind: 'linear', id, origin: node.origin, nodes: [node.id], sources: [], group, rowShape, k: w.shape.at(-1) as number,
    weights: [{ buffer: w.source, rows: n }], order: 'stacked', granule: 1,
    input: load(x.source, [...inputRow, k]),
    ...(group === 'expert' && choice ? { choice: { source: choice.source, index: rows } } : {}),
    stores: [{ buffer: target, index: [...rows, k], value: accumulator([...rows, k]), from: 0, to: n }],
  };
}

/** The buffer of an output: the node's own, or a copy where that is no result of a kernel or bears another's name. */
function outputBuffer(b: Builder, graph: Graph, id: NodeId, name: string): BufferId {
  const own = b.byNode.get(id);
  const node = graph.nodes.find((n) => n.id === id);
  if (!own || !node) throw new InternalError('schedule', `output ${name} names an unknown node ${id}`);
  if (own.role === 'output') return own.id;
  const here = axes(own.shape.length);
  const copy = b.buffer({ role: 'output', name, dtype: own.dtype, shape: own.shape });
  b.nest(node, own.shape, copy.id, here, read(b.operand(id), here));
  return copy.id;
}

function scheduleArgmax(b: Builder, logits: BufferId): BufferId {
  const input = b.buffers[logits] as Buffer;
  const target = b.buffer({ role: 'output', name: ARGMAX, dtype: 'i32', shape: [1] });
  b.emit({
    kind: 'argmax', id: b.kernels.length, origin: { label: ARGMAX }, nodes: [], sources: [],
    input: logits, n: input.shape.at(-1) as number, target: target.id,
  });
  return target.id;
}
