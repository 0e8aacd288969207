/** How long each kernel takes, for a prompt and for one token behind it, with layers that are alike told once. */
import { kernelCost } from '../../compiler/cost.ts';
import type { Graph } from '../../compiler/graph/types.ts';
import type { Capacity, ExecutionPlan } from '../../compiler/plan.ts';
import { shapeOf, ranges } from '../../compiler/print-plan.ts';
import { readBandwidth } from '../bandwidth.ts';
import type { LoadedModel, SessionOptions } from '../model.ts';
import type { Session } from '../session.ts';

export interface KernelRow {
  readonly kind: string;
  /** `layers.*.ffn.up` where it stands for several layers. */
  readonly label: string;
  readonly shape: string;
  /** Layers that it stands for, such as `0..29`; empty outside layers. */
  readonly layers: string;
  readonly count: number;
  /** Milliseconds of all of them together: medians of each, added. */
  readonly milliseconds: number;
  /** Bytes that all of them have to move, each once; absent where no plan runs. */
  readonly bytes?: number;
}

export interface StepTiming {
  readonly tokens: number;
  /** Tokens before those of the step. */
  readonly past: number;
  /** Median of whole steps, without marks between kernels. */
  readonly step: number;
  /** Sum over `rows`. */
  readonly kernels: number;
  readonly rows: readonly KernelRow[];
}

export interface KernelReport {
  readonly how: string;
  readonly repetitions: number;
  readonly prompt: StepTiming;
  /** One token behind the prompt; absent where the model reads a text in one step. */
  readonly token?: StepTiming;
  /** What as many threads as the kernels have can read; on the CPU alone. */
  readonly bandwidth?: { readonly threads: number; readonly bytesPerSecond: number };
}

export interface KernelOptions extends SessionOptions {
  /** Most repetitions: 7 if absent, and fewer where they take more than a few seconds. */
  readonly repetitions?: number;
}

/** Rounds before those that count, while the engine still compiles. */
const warmUp = 2;
const mostMilliseconds = 6000;

/** Times a model's own plan: what taps cost does not show. */
export async function timeKernels(model: LoadedModel, ids: readonly number[], options: KernelOptions): Promise<KernelReport> {
  const { repetitions = 7, ...rest } = options;
  // Room for one token more, where positions allow it.
  const context = Math.min(ids.length + 1, Math.max(ids.length, model.capacity().context));
  const session = await model.session({ ...rest, taps: [], profile: true, context, maxTokens: ids.length, logitRows: 1 });
  try {
    const prompt = new Samples(session, model.graph, ids.length, 0);
    const token = session.model.bidirectional || context === ids.length ? undefined : new Samples(session, model.graph, 1, ids.length);
    const begin = performance.now();
    let how = '', last = 0;
    for (let round = 0; round < warmUp + repetitions; round++) {
      const elapsed = performance.now() - begin;
      if (prompt.count > 0 && elapsed + last > mostMilliseconds) break;
      // Where a round takes long there is little to warm up.
      const counts = round >= warmUp || elapsed > mostMilliseconds / 8;
      session.rewind(0);
      how = (await prompt.take(ids, counts)).how;
      if (token) await token.take([Math.max(0, prompt.argmax)], counts);
      last = performance.now() - begin - elapsed;
    }
    const { threads = 1, device } = session.device;
    const bandwidth = device === 'cpu' ? { threads, bytesPerSecond: await readBandwidth(threads) } : undefined;
    return { how, repetitions: prompt.count, prompt: prompt.timing(), ...(token ? { token: token.timing() } : {}), ...(bandwidth ? { bandwidth } : {}) };
  } finally {
    await session.dispose();
  }
}

/** Times of one kind of step. */
class Samples {
  private readonly steps: number[] = [];
  private readonly kernels: Float64Array[] = [];
  argmax = -1;

  constructor(private readonly session: Session, private readonly graph: Graph, private readonly tokens: number, private readonly past: number) {}

  get count(): number { return this.steps.length; }

  /** Runs the step profiled, and as it is. */
  async take(ids: readonly number[], counts: boolean): Promise<{ readonly how: string }> {
    const { kernels, how } = await this.session.profile(ids);
    const begin = performance.now();
    ({ argmax: this.argmax } = await this.session.feed(ids));
    const step = performance.now() - begin;
    if (counts) {
      this.kernels.push(kernels);
      this.steps.push(step);
    }
    return { how };
  }

  timing(): StepTiming {
    const { tokens, past, session: { plan } } = this;
    const parts = plan ? planParts(plan, { maxTokens: tokens, context: past + tokens, maxLogitRows: 1 }) : graphParts(this.graph);
    const rows = foldParts(parts.map((part, at) => ({ ...part, milliseconds: median(this.kernels.map((times) => times[at] ?? NaN)) })));
    return { tokens, past, step: median(this.steps), kernels: rows.reduce((sum, row) => sum + row.milliseconds, 0), rows };
  }
}

interface Part { readonly kind: string; readonly label: string; readonly shape: string; readonly bytes?: number }

function planParts(plan: ExecutionPlan, step: Capacity): Part[] {
  const buffers = new Map(plan.buffers.map((b) => [b.id, b]));
  return plan.kernels.map((kernel) => ({ kind: kernel.kind, label: kernel.origin.label, shape: shapeOf(kernel, buffers), bytes: kernelCost(kernel, buffers, step).bytes }));
}

function graphParts(graph: Graph): Part[] {
  return graph.nodes.map(({ operator, origin, shape }) => ({ kind: operator.op, label: origin.label, shape: `[${shape.join(', ')}]` }));
}

/** Equal but for the number of the layer: one row, at the place of the first. */
export function foldParts(parts: readonly (Part & { readonly milliseconds: number })[]): KernelRow[] {
  const groups = new Map<string, { parts: (Part & { readonly milliseconds: number })[]; layers: number[] }>();
  for (const part of parts) {
    const layer = /^layers\.(\d+)/.exec(part.label)?.[1];
    const key = `${part.kind} ${part.label.replace(/^layers\.\d+/, 'layers.*')} ${part.shape}`;
    const group = groups.get(key) ?? { parts: [], layers: [] };
    group.parts.push(part);
    if (layer !== undefined) group.layers.push(Number(layer));
    groups.set(key, group);
  }
  return [...groups.values()].flatMap(({ parts: alike, layers }): KernelRow[] => {
    const [first] = alike;
    if (!first) return [];
    const { kind, label, shape, bytes } = first;
    return [{
      kind, label: new Set(layers).size > 1 ? label.replace(/^layers\.\d+/, 'layers.*') : label, shape, layers: ranges(layers), count: alike.length,
      milliseconds: alike.reduce((sum, part) => sum + part.milliseconds, 0), ...(bytes === undefined ? {} : { bytes: alike.reduce((sum, part) => sum + (part.bytes ?? 0), 0) }),
    }];
  });
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] ?? NaN : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}
