/** Looks into a model while it reads a text: what its layers do, what each would say next, and how long its kernels take. */
import { withLens } from '../../compiler/lens.ts';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import type { DeviceReport } from '../backend.ts';
import type { LoadedModel, SessionOptions } from '../model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { timeKernels, type KernelReport } from './kernels.ts';
import { traceLayers, wantedValues, type LayerTrace, type TracedValue } from './layers.ts';
import { lensReport, type LensLayer } from './lens.ts';
import { sizeOf, type Size } from './measures.ts';
import { tokenText } from './token-text.ts';

/** Most tokens of a text that is traced. */
export const mostTracedTokens = 256;

export interface TraceOptions extends SessionOptions {
  /** Values to bring back besides those that the report needs and the spec's own taps, as patterns. */
  readonly taps?: readonly string[];
  /** Tokens that the lens gives for each place: 5 if absent, 0 for no lens. */
  readonly lens?: number;
  /** Times the kernels: true if absent. */
  readonly kernels?: boolean;
  readonly repetitions?: number;
  /** Activations below this share of their root mean square count as small: 0.01 if absent. */
  readonly threshold?: number;
  /** For the tokens' texts; without one, they are numbers. */
  readonly tokenizer?: Tokenizer;
  /** Called before each stage. */
  readonly onStage?: (stage: 'loading' | 'reading' | 'timing') => void;
}

export interface Trace {
  readonly model: string;
  readonly device: DeviceReport;
  readonly tokens: readonly { readonly id: number; readonly text: string }[];
  readonly embeddings?: Size;
  readonly layers: readonly LayerTrace[];
  readonly lens?: readonly LensLayer[];
  readonly kernels?: KernelReport;
  /** Everything that was brought back, in the order of computation. */
  readonly values: ReadonlyMap<string, TracedValue & { readonly dtype: 'f32' | 'i32' }>;
}

/** Tokens of a step: what a chunk takes (logits of every token, for each layer) stays small. */
const chunk = 64;

/** Traces a text of 1 to 256 tokens. Throws PeelError (exit code 2) for one that is longer, or a pattern that fits nothing. */
export async function traceModel(model: LoadedModel, ids: readonly number[], options: TraceOptions = {}): Promise<Trace> {
  const { taps = [], lens: guesses = 5, kernels = true, repetitions, threshold = 0.01, tokenizer, onStage, ...rest } = options;
  if (ids.length > mostTracedTokens) {
    throw new PeelError(ExitCode.usage, [{ code: 'E024', severity: 'error', path: '/ids', message: `the text has ${ids.length} tokens, a trace takes at most ${mostTracedTokens}`, hint: 'give a shorter one' }]);
  }
  onStage?.('loading');
  const lens = guesses > 0 ? withLens(model.graph, guesses) : { graph: model.graph, layers: [] };
  const wanted = wantedValues(model.graph.values.map(({ name }) => name));
  const session = await model.session({
    ...rest, graph: lens.graph, taps: [...wanted, ...lens.layers.flatMap((i) => [`lens.${i}.top`, `lens.${i}.probabilities`]), ...model.model.taps, ...taps],
    context: Math.max(1, ids.length), maxTokens: Math.max(1, Math.min(chunk, ids.length)), logitRows: Math.max(1, ids.length),
  });
  let device: DeviceReport;
  let found: { readonly outputs: ReadonlyMap<string, Float32Array>; readonly shapes: ReadonlyMap<string, readonly number[]> };
  try {
    onStage?.('reading');
    found = await session.feed(ids, { outputs: session.taps, logitRows: ids.length });
    ({ device } = session);
  } finally {
    await session.dispose();
  }
  const types = new Map(lens.graph.nodes.map(({ id, dtype }) => [id, dtype]));
  const dtypes = new Map(lens.graph.values.map(({ name, node }) => [name, types.get(node) ?? 'f32']));
  const values = new Map([...found.outputs].map(([name, data]) => [name, { data, shape: found.shapes.get(name) ?? [data.length], dtype: dtypes.get(name) ?? 'f32' }]));
  const embeddings = values.get('embeddings');
  onStage?.('timing');
  return {
    model: model.name, device, tokens: ids.map((id) => ({ id, text: tokenText(id, tokenizer) })),
    ...(embeddings ? { embeddings: sizeOf(embeddings.data, ids.length) } : {}),
    layers: traceLayers(model.model.layers, values, ids.length, threshold),
    ...(lens.layers.length > 0 ? { lens: lensReport(lens.layers, values, ids.length, tokenizer) } : {}),
    ...(kernels ? { kernels: await timeKernels(model, ids, { ...rest, ...(repetitions === undefined ? {} : { repetitions }) }) } : {}),
    values,
  };
}
