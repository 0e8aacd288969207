/** How fast a model runs: prefill and decode apart, against what the machine's memory gives in the same minute. */
import { planCost } from '../compiler/cost.ts';
import type { ExecutionPlan } from '../compiler/plan.ts';
import type { DeviceReport } from './backend.ts';
import { readBandwidth } from './bandwidth.ts';
import type { LoadedModel, SessionOptions } from './model.ts';

export interface BenchmarkOptions extends SessionOptions {
  /** Tokens of a prompt: 128 if absent. */
  readonly prompt?: number;
  /** Tokens written in a round: 32 if absent. */
  readonly decode?: number;
  /** Tokens before those that are written: as many as the prompt has, if absent. */
  readonly past?: number;
  /** Measured rounds, after one that warms up: 5 if absent. */
  readonly rounds?: number;
  /** Called with rounds done and all rounds. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Milliseconds of what was measured several times. */
export interface Times { readonly median: number; readonly min: number; readonly p90: number; readonly count: number }

export interface Benchmark {
  readonly device: DeviceReport;
  /** From opening the session to its being ready, and to the first token of a prompt of `prompt` tokens: nothing is warm. */
  readonly cold: { readonly load: number; readonly firstToken: number };
  readonly prefill: { readonly tokens: number; readonly times: Times; readonly tokensPerSecond: number; readonly flopsPerToken: number; readonly flopsPerSecond: number };
  readonly decode: { readonly tokens: number; readonly past: number; readonly times: Times; readonly tokensPerSecond: number; readonly bytesPerToken: number; readonly bytesPerSecond: number };
  /** Reading alone, by as many threads. Absent where another device than this machine's processor ran. */
  readonly bandwidth?: { readonly threads: number; readonly bytesPerSecond: number; readonly share: number };
  /** Kernels by kind and by the forms of the weights they read. */
  readonly kernels: readonly { readonly kind: string; readonly count: number }[];
  /** Bytes: what the plan needs, and what the process had at most so far, its own memory included. */
  readonly memory: { readonly weights: number; readonly states: number; readonly planned: number; readonly process: number };
}

export function timesOf(list: readonly number[]): Times {
  const sorted = [...list].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(0.5) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
  return { median, min: sorted[0] ?? NaN, p90: at(0.9), count: sorted.length };
}

function kernelKinds(plan: ExecutionPlan): { kind: string; count: number }[] {
  const buffers = new Map(plan.buffers.map((b) => [b.id, b]));
  const counts = new Map<string, number>();
  for (const k of plan.kernels) {
    const formats = k.kind === 'linear' ? ` ${[...new Set(k.weights.map((w) => buffers.get(w.buffer)?.format ?? 'f32'))].join('+')}` : '';
    counts.set(`${k.kind}${formats}`, (counts.get(`${k.kind}${formats}`) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => ({ kind, count }));
}

/** Ids without meaning that differ from round to round. */
export const promptIds = (count: number, vocab: number, round: number): number[] => Array.from({ length: count }, (_, i) => (i * 37 + round * 101 + 3) % vocab);

/** Times a model on a device. Sessions that the model has besides share the machine: have none. */
export async function benchmark(model: LoadedModel, options: BenchmarkOptions = {}): Promise<Benchmark> {
  const { prompt = 128, decode = 32, rounds = 5, onProgress, ...rest } = options;
  const past = options.past ?? prompt;
  const context = rest.context ?? Math.max(prompt, past) + decode;
  const started = performance.now();
  const session = await model.session({ ...rest, context, maxTokens: rest.maxTokens ?? Math.min(512, Math.max(prompt, 1)) });
  try {
    const load = performance.now() - started;
    const vocab = session.model.vocab;
    let { argmax } = await session.feed(promptIds(prompt, vocab, 0));
    const firstToken = performance.now() - started;
    const prefills: number[] = [], decodes: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      session.rewind(0);
      const ids = promptIds(prompt, vocab, round + 1);
      const begin = performance.now();
      ({ argmax } = await session.feed(ids));
      if (round > 0) prefills.push(performance.now() - begin);
      if (past < prompt) session.rewind(past);
      else if (past > prompt) ({ argmax } = await session.feed(promptIds(past - prompt, vocab, round)));
      for (let n = 0; n < decode; n++) {
        const from = performance.now();
        ({ argmax } = await session.feed([Math.max(0, argmax)]));
        if (round > 0) decodes.push(performance.now() - from);
      }
      onProgress?.(round, rounds);
    }
    // The probe has memory of its own: the process's peak is taken first.
    const peak = process.resourceUsage().maxRSS * 1024;
    const plan = session.plan;
    const states = plan?.memory.states ?? 0;
    const one = plan ? planCost(plan, { maxTokens: 1, context: past + Math.ceil(decode / 2), maxLogitRows: 1 }) : { flops: 0, bytes: 0 };
    const all = plan ? planCost(plan, { maxTokens: prompt, context: prompt, maxLogitRows: 1 }) : { flops: 0, bytes: 0 };
    const prefillTimes = timesOf(prefills), decodeTimes = timesOf(decodes);
    const bytesPerSecond = (one.bytes / decodeTimes.median) * 1000;
    const threads = session.device.threads ?? 1;
    const read = session.device.device === 'cpu' ? await readBandwidth(threads) : undefined;
    return {
      device: session.device, cold: { load, firstToken },
      prefill: { tokens: prompt, times: prefillTimes, tokensPerSecond: (prompt / prefillTimes.median) * 1000, flopsPerToken: all.flops / prompt, flopsPerSecond: (all.flops / prefillTimes.median) * 1000 },
      decode: { tokens: decode, past, times: decodeTimes, tokensPerSecond: 1000 / decodeTimes.median, bytesPerToken: one.bytes, bytesPerSecond },
      ...(read === undefined ? {} : { bandwidth: { threads, bytesPerSecond: read, share: bytesPerSecond / read } }),
      kernels: plan ? kernelKinds(plan) : [],
      memory: { weights: plan?.memory.weights ?? 0, states, planned: plan?.memory.peak ?? 0, process: peak },
    };
  } finally {
    await session.dispose();
  }
}
