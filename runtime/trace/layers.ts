/** What each layer of a model does to a text, from the values that were brought back of it. */
import type { AttentionCommon, BranchBody, Layer } from '../../compiler/model.ts';
import { entropiesOf, sizeOf, sparsityOf, type Entropy, type Size, type Sparsity, type Visible } from './measures.ts';

/** A value as a session gives it. */
export interface TracedValue {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
export type TracedValues = ReadonlyMap<string, TracedValue>;

export interface AttentionTrace {
  /** The value that holds the weights [tokens, heads, keys]. */
  readonly value: string;
  readonly heads: readonly Entropy[];
}

export interface ExpertsTrace {
  readonly value: string;
  readonly experts: number;
  /** Experts of each token, the heaviest first, with their weights. */
  readonly choice: readonly (readonly { readonly expert: number; readonly weight: number }[])[];
  /** Tokens that chose each expert. */
  readonly counts: readonly number[];
}

export interface BranchTrace {
  readonly id: string;
  readonly kind: BranchBody['kind'];
  /** What the branch gives, before a norm behind it. */
  readonly out?: Size;
  readonly attention: readonly AttentionTrace[];
  /** Of the hidden activations of feed-forwards: those of the branch itself, of routed and of shared experts. */
  readonly hidden: readonly { readonly value: string; readonly sparsity: Sparsity }[];
  readonly experts?: ExpertsTrace;
}

export interface StepTrace {
  readonly id: string;
  /** What the step adds to the residual stream: the stream behind it less the stream before it. */
  readonly added: Size;
  /** The stream behind the step. */
  readonly stream: Size;
  readonly branches: readonly BranchTrace[];
}

export interface LayerTrace {
  readonly layer: number;
  readonly steps: readonly StepTrace[];
}

/** Of the names of a model's values, those that `traceLayers` and the page look at. */
export function wantedValues(names: readonly string[]): string[] {
  return names.filter((name) => /^(embeddings|final|hidden\.\d+)$/.test(name)
    || (/^layers\.\d+\./.test(name) && /\.(residual|probs|hidden|choice|weights|out)$/.test(name) && !/\.(experts|shared)\.out$/.test(name)));
}

/** `rows` are tokens. Steps whose stream was not brought back are left out. */
export function traceLayers(layers: readonly Layer[], values: TracedValues, tokens: number, threshold: number): LayerTrace[] {
  let before = values.get('embeddings');
  return layers.map(({ index, steps }) => ({
    layer: index,
    steps: steps.flatMap((step): StepTrace[] => {
      const after = values.get(`layers.${index}.${step.id}.residual`);
      if (!after || !before) return [];
      const earlier = before.data;
      before = after;
      return [{
        id: step.id, added: sizeOf(after.data.map((x, i) => x - (earlier[i] ?? NaN)), tokens), stream: sizeOf(after.data, tokens),
        branches: step.branches.map(({ id, body }) => traceBranch(`layers.${index}.${id}`, id, body, values, tokens, threshold)),
      }];
    }),
  }));
}

function traceBranch(slot: string, id: string, body: BranchBody, values: TracedValues, tokens: number, threshold: number): BranchTrace {
  const inside = [...values].filter(([name]) => name.startsWith(`${slot}.`));
  const out = values.get(`${slot}.out`);
  const experts = body.kind === 'moe' ? traceExperts(slot, body.experts, values, tokens) : undefined;
  return {
    id, kind: body.kind,
    ...(out && out.shape[0] === tokens ? { out: sizeOf(out.data, tokens) } : {}),
    attention: inside.flatMap(([value, { data, shape }]) => {
      const [queries, heads, keys] = shape;
      if (!value.endsWith('.probs') || shape.length !== 3 || queries === undefined || heads === undefined || keys === undefined) return [];
      return [{ value, heads: entropiesOf(data, [queries, heads, keys], visibleIn(body, data, [queries, heads, keys])) }];
    }),
    hidden: body.kind === 'ffn' || body.kind === 'moe'
      ? inside.filter(([value]) => value.endsWith('.hidden')).map(([value, { data }]) => ({ value, sparsity: sparsityOf(data, threshold) })) : [],
    ...(experts ? { experts } : {}),
  };
}

/** Keys that each query may see: as the mask says, and where a block of the spec's own makes the weights, those up to the last that any query weighs. */
function visibleIn(body: BranchBody, weights: Float32Array, [queries, heads, keys]: readonly [number, number, number]): Visible {
  if (body.kind === 'attention' || body.kind === 'mla') return (query) => masked(body, query, keys);
  const row = heads * keys;
  const causal = !weights.some((p, i) => p !== 0 && i % keys > Math.floor(i / row));
  return (query) => ({ first: 0, end: causal && queries === keys ? query + 1 : keys });
}

function masked({ mask, window }: Pick<AttentionCommon, 'mask' | 'window'>, query: number, keys: number): { readonly first: number; readonly end: number } {
  const end = mask === 'causal' ? query + 1 : keys;
  if (!window) return { first: 0, end };
  switch (window.kind) {
    case 'sliding': return { first: Math.max(0, query - window.size + 1), end };
    case 'chunked': { const first = Math.floor(query / window.size) * window.size; return { first, end: Math.min(end, first + window.size) }; }
    case 'symmetric': return { first: Math.max(0, query - window.size), end: Math.min(end, query + window.size + 1) };
    default: return window.kind satisfies never;
  }
}

function traceExperts(slot: string, experts: number, values: TracedValues, tokens: number): ExpertsTrace | undefined {
  const choice = values.get(`${slot}.choice`);
  const weights = values.get(`${slot}.weights`);
  if (!choice || !weights) return undefined;
  const k = choice.data.length / tokens;
  const counts = Array.from({ length: experts }, () => 0);
  const chosen = Array.from({ length: tokens }, (_, t) => Array.from({ length: k }, (__, n) => {
    const expert = choice.data[t * k + n] ?? NaN;
    counts[expert] = (counts[expert] ?? 0) + 1;
    return { expert, weight: weights.data[t * k + n] ?? NaN };
  }).sort((a, b) => b.weight - a.weight));
  return { value: `${slot}.choice`, experts, choice: chosen, counts };
}
