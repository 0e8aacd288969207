/**
 * The reference backend: a float64 interpreter of the unfused graph. Slow and obvious on purpose; every other backend is
 * compared with it. Runs the operators in the graph's order, drops values after their last use, and keeps the states.
 */
import { InternalError } from '../../compiler/diagnostics.ts';
import { rope, mask } from './attention.ts';
import { concat, lag, row, slice, tail, transpose } from './layout.ts';
import { map } from './map.ts';
import { expertLinear, gather, headLinear, linear, mix, scores } from './products.ts';
import { member, norm, reduce, softmax, take, topk } from './rows.ts';
import { count, resolveShape } from './tensor.ts';
import type { Sizes, Tensor } from './tensor.ts';
import type { Graph, Node, NodeId } from '../../compiler/graph/types.ts';
import type { DeviceReport, Executor, GraphBackend, StepInput, StepResult, StepTimes, WeightProvider } from '../backend.ts';

export const referenceBackend: GraphBackend = { load: (graph, weights, reason) => loadReference(graph, weights, reason) };

/** Sees every operator's result and operands as they are computed; true ends the step. */
export type Watch = (node: Node, result: Tensor, operands: readonly Tensor[]) => boolean;

export async function loadReference(graph: Graph, weights: WeightProvider, reason: string, watch?: Watch): Promise<Executor> {
  const data = new Map<string, Tensor>();
  for (const { slot, shape } of graph.weights) data.set(slot, await readWeight(weights, slot, shape));
  return new ReferenceExecutor(graph, data, reason, watch);
}

async function readWeight(weights: WeightProvider, slot: string, shape: readonly number[]): Promise<Tensor> {
  const values = await weights.read(slot);
  if (values.length !== count(shape)) throw new InternalError('reference', `weight ${slot} has ${values.length} values for [${shape.join(',')}]`);
  return { data: values, shape };
}

class ReferenceExecutor implements Executor {
  readonly report: DeviceReport;
  /** Rows 0..length-1 of each state, by name. */
  private readonly states = new Map<string, Float64Array>();
  private length = 0;
  private readonly lastUse: ReadonlyMap<NodeId, number>;

  constructor(private readonly graph: Graph, private readonly weights: Map<string, Tensor>, reason: string, private readonly watch?: Watch) {
    this.report = { device: 'reference', description: 'reference: float64 interpreter', reason, kernels: graph.nodes.length };
    const lastUse = new Map<NodeId, number>();
    graph.nodes.forEach((node, at) => { for (const id of node.inputs) lastUse.set(id, at); });
    for (const output of graph.outputs) lastUse.set(output.node, graph.nodes.length);
    this.lastUse = lastUse;
  }

  step(input: StepInput, outputs: readonly string[] = []): Promise<StepResult> {
    try {
      return Promise.resolve(this.run(input, outputs));
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  dispose(): Promise<void> {
    this.weights.clear();
    this.states.clear();
    return Promise.resolve();
  }

  profile(input: StepInput): Promise<StepTimes> {
    const kernels = new Float64Array(this.graph.nodes.length);
    try {
      let last = performance.now();
      this.run(input, [], (at) => {
        const now = performance.now();
        kernels[at] = now - last;
        last = now;
      });
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
    return Promise.resolve({ kernels, how: 'a clock read after each operator' });
  }

  /** `done` hears of each node, by its position, once it is computed. */
  private run(input: StepInput, outputs: readonly string[], done?: (at: number) => void): StepResult {
    const sizes = this.sizes(input);
    const values = new Map<NodeId, Tensor>();
    for (const [at, node] of this.graph.nodes.entries()) {
      const operands = node.inputs.map((id) => {
        const value = values.get(id);
        if (!value) throw new InternalError('reference', `%${id} has no value at %${node.id}`);
        return value;
      });
      const result = this.evaluate(node, operands, sizes, input);
      if (this.watch?.(node, result, operands)) return { argmax: -1, outputs: new Map() };
      values.set(node.id, result);
      done?.(at);
      for (const id of [...node.inputs, node.id]) if ((this.lastUse.get(id) ?? -1) <= at) values.delete(id);
    }
    this.length = sizes.S;

    const named = new Map<string, Float32Array>();
    let argmax = -1;
    for (const { name, node } of this.graph.outputs) {
      const value = values.get(node);
      if (!value) throw new InternalError('reference', `output ${name} has no value`);
      if (outputs.includes(name)) named.set(name, Float32Array.from(value.data));
      if (name === 'logits') argmax = argmaxOfLastRow(value);
    }
    const unknown = outputs.find((name) => !named.has(name));
    if (unknown !== undefined) throw new InternalError('reference', `no output ${unknown}`);
    return { argmax, outputs: named };
  }

  private sizes(input: StepInput): Sizes {
    const T = input.ids.length;
    const P = input.past;
    if (T < 1 || P < 0 || P > this.length) throw new InternalError('reference', `a step of ${T} tokens at ${P} of ${this.length}`);
    if (input.logitRows < 1 || input.logitRows > T) throw new InternalError('reference', `${input.logitRows} rows of logits of ${T} tokens`);
    return { T, P, S: P + T, R: input.logitRows, L: input.ropeLength ?? P + T };
  }

  private evaluate(node: Node, operands: readonly Tensor[], sizes: Sizes, input: StepInput): Tensor {
    const o = node.operator;
    const operand = (n: number): Tensor => {
      const value = operands[n];
      if (!value) throw new InternalError('reference', `%${node.id} lacks operand ${n}`);
      return value;
    };
    switch (o.op) {
      case 'input': return { data: inputValues(o.name, input), shape: [sizes.T] };
      case 'weight': {
        const weight = this.weights.get(o.slot);
        if (!weight) throw new InternalError('reference', `weight ${o.slot} is not loaded`);
        return weight;
      }
      case 'constant': return { data: Float64Array.from(o.data), shape: resolveShape(node.shape, sizes) };
      case 'map': return map(o.expression, operands, resolveShape(node.shape, sizes), sizes);
      case 'gather': return gather(operand(0), operand(1));
      case 'linear':
        switch (o.group) {
          case 'none': return linear(operand(0), operand(1));
          case 'head': return headLinear(operand(0), operand(1));
          case 'expert': return expertLinear(operand(0), operand(1), operand(2));
          default: return o.group satisfies never;
        }
      case 'norm': return norm(o.kind, o.eps, operand(0));
      case 'softmax': return softmax(operand(0), operands[1]);
      case 'reduce': return reduce(o.fn, o.axis, operand(0));
      case 'rope': return rope(o.pairing, o.dims, o.scale, operand(0), operand(1));
      case 'mask': return mask(o.causal, o.window, sizes.P, operand(0));
      case 'scores': return scores(operand(0), operand(1));
      case 'mix': return mix(operand(0), operand(1));
      case 'cache': return this.append(o.state, operand(0), sizes);
      case 'topk': return topk(o.k, operand(0));
      case 'take': return take(operand(0), operand(1));
      case 'member': return member(o.size, operand(0));
      case 'reshape': return { data: operand(0).data, shape: resolveShape(node.shape, sizes) };
      case 'transpose': return transpose(o.permutation, operand(0));
      case 'slice': return slice(o.axis, o.start, o.length, operand(0));
      case 'concat': return concat(o.axis, operands);
      case 'lag': return lag(o.rows, sizes, operand(0));
      case 'tail': return tail(sizes.R, operand(0));
      case 'row': return row(o.which, operand(0));
      default: return o satisfies never;
    }
  }

  private append(state: string, x: Tensor, sizes: Sizes): Tensor {
    const row = x.data.length / sizes.T;
    const kept = this.states.get(state)?.subarray(0, sizes.P * row) ?? new Float64Array(0);
    const data = new Float64Array(sizes.S * row);
    data.set(kept);
    data.set(x.data, sizes.P * row);
    this.states.set(state, data);
    return { data, shape: [sizes.S, ...x.shape.slice(1)] };
  }
}

function inputValues(name: 'ids' | 'positions' | 'types', input: StepInput): Int32Array {
  switch (name) {
    case 'ids': return input.ids;
    case 'positions': return Int32Array.from(input.ids, (_, t) => input.past + t);
    case 'types': return input.types ?? new Int32Array(input.ids.length);
    default: return name satisfies never;
  }
}

function argmaxOfLastRow(logits: Tensor): number {
  const width = logits.shape[logits.shape.length - 1] ?? 0;
  const last = logits.data.subarray(logits.data.length - width);
  let best = 0;
  for (let j = 0; j < width; j++) {
    const v = last[j] ?? NaN;
    if (Number.isNaN(v)) return -1;
    if (v > (last[best] ?? NaN)) best = j;
  }
  // As other devices have it: beyond what f32 holds is infinite.
  return Number.isFinite(Math.fround(last[best] ?? NaN)) ? best : -1;
}
