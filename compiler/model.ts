/**
 * A resolved model: a spec with every parameter known, every expression evaluated, every per-layer choice made.
 * Field names are the YAML's, in camel case. This is what lowering reads; nothing in it depends on a file format or a device.
 */

/** A norm with or without weights. `slot` prefixes its weights: `<slot>.weight`, `<slot>.bias`. */
export interface Norm {
  readonly kind: 'rmsnorm' | 'layernorm' | 'l2norm';
  readonly eps: number;
  readonly weight: boolean;
  readonly bias: boolean;
  /** Added to the stored weight: 1 for Gemma's (1 + w). */
  readonly offset: number;
}

export type RopeScaling =
  | { readonly type: 'none' }
  | { readonly type: 'linear'; readonly factor: number }
  | { readonly type: 'dynamic'; readonly factor: number; readonly originalContext: number }
  | { readonly type: 'llama3'; readonly factor: number; readonly lowFreqFactor: number; readonly highFreqFactor: number; readonly originalContext: number }
  | { readonly type: 'yarn'; readonly factor: number; readonly originalContext: number; readonly betaFast: number; readonly betaSlow: number;
      readonly truncate: boolean; readonly attentionFactor?: number; readonly mscale?: number; readonly mscaleAllDim?: number }
  /** Divisors of the frequencies, or the slot of a weight that holds them. */
  | { readonly type: 'longrope'; readonly shortFactor: readonly number[] | string; readonly longFactor: readonly number[] | string; readonly originalContext: number;
      readonly factor?: number; readonly attentionFactor?: number }
  /** `partial` of the frequencies rotate, the rest stand still (factor 0), over the whole head. */
  | { readonly type: 'proportional'; readonly factor: number; readonly partial: number };

export interface Rope {
  readonly kind: 'rope';
  /** Leading elements of each head that rotate. */
  readonly dims: number;
  /** Where the rotated part starts within the head: 0, or head_dim - dims for `part: last`. */
  readonly start: number;
  readonly theta: number;
  readonly pairing: 'half' | 'interleaved';
  /** Angles are negative. */
  readonly backward?: boolean;
  readonly scaling: RopeScaling;
  /** Slot of a weight that divides the inverse frequencies (GGUF's rope_freqs), if any. */
  readonly frequencyFactors?: string;
}
export interface Alibi {
  readonly kind: 'alibi';
  /** Bias max: slopes are 2^(-maxBias * j / heads'). 8 in the paper. */
  readonly maxBias: number;
  /** The bias is added before the scores are scaled (Falcon), so it is scaled too. */
  readonly insideScale: boolean;
  /** Multiplies the bias, whatever its slopes were rounded to. */
  readonly strength: number;
  readonly slopeType: 'f32' | 'bf16';
}
/** T5's bucketed relative bias; the slot of the table [heads, buckets] may be shared by layers. */
export interface RelativeBias {
  readonly kind: 'relative_bias';
  readonly buckets: number;
  readonly maxDistance: number;
  readonly bidirectional: boolean;
  readonly slot: string;
}
export type Position = Rope | Alibi | RelativeBias | { readonly kind: 'none' };

export interface Biases { readonly q: boolean; readonly k: boolean; readonly v: boolean; readonly o: boolean }

export interface QkNorm {
  readonly norm: Norm;
  readonly when: 'before_rope' | 'after_rope';
  /** head: one weight of head_dim for all heads. per_head: weights [heads, head_dim], statistics per head. full: statistics and weights over all heads at once. */
  readonly scope: 'head' | 'per_head' | 'full';
}

export interface AttentionCommon {
  readonly heads: number;
  readonly scale: number;
  readonly softcap?: number;
  readonly sinks: boolean;
  readonly mask: 'causal' | 'bidirectional';
  readonly window?: { readonly kind: 'sliding' | 'chunked' | 'symmetric'; readonly size: number };
  readonly position: Position;
  /** Multiplies queries by 1 + scale * ln(1 + floor((position + offset) / floor)): Llama 4's temperature on its layers without positions. */
  readonly queryTemperature?: { readonly scale: number; readonly floor: number; readonly offset: number };
  /** A gate on the mixed values, from a projection of the block's input: per element [heads * value_dim], or one a head. */
  readonly gate?: { readonly activation: Activation; readonly per: 'element' | 'head'; readonly bias: boolean };
  /** A norm on the mixed values of all heads before the output projection. */
  readonly subNorm?: Norm;
}

export interface Attention extends AttentionCommon {
  readonly kind: 'attention';
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  readonly bias: Biases;
  readonly qkNorm?: QkNorm;
  readonly vNorm?: Norm;
  /** q, k and v are clamped to +-clip; q and k after their norm where `clipWhen` says so. */
  readonly clip?: number;
  readonly clipWhen?: 'before_norm' | 'after_norm';
  /** Multiplies the values; 1 if absent. */
  readonly valueScale?: number;
  /** This layer reads the keys and values that an earlier layer's attention cached. */
  readonly kvFrom?: number;
}

/** Multi-head latent attention (DeepSeek V2, arXiv 2405.04434). */
export interface LatentAttention extends AttentionCommon {
  readonly kind: 'mla';
  /** Absent: queries are projected directly. */
  readonly qRank?: number;
  readonly kvRank: number;
  readonly nopeDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
  readonly bias: { readonly qA: boolean; readonly kvA: boolean; readonly o: boolean };
  readonly latentNorm: Norm;
}

/** An activation by name, or one that the spec defines (`activations:`), with its weights under `<branch slot>.activation.<name>.<weight>`. */
export type Activation =
  | { readonly kind: 'builtin'; readonly name: 'identity' | 'relu' | 'relu2' | 'gelu' | 'gelu_tanh' | 'gelu_quick' | 'silu' | 'sigmoid' | 'tanh' | 'softplus' | 'mish' }
  | { readonly kind: 'custom'; readonly name: string };

export interface FeedForward {
  readonly kind: 'ffn';
  readonly hidden: number;
  readonly activation: Activation;
  /** activation(gate(x)) * up(x) rather than activation(up(x)). */
  readonly gated: boolean;
  readonly bias: { readonly up: boolean; readonly gate: boolean; readonly down: boolean };
  /** gate is clamped above at `limit`, up to +-limit, before anything else (gpt-oss). */
  readonly clamp?: number;
  /** Slope inside a sigmoid-weighted activation: x * sigmoid(alpha x). */
  readonly alpha?: number;
  /** Added to up before the product. */
  readonly upOffset: number;
  readonly midNorm?: Norm;
}

export interface Router {
  readonly score: 'softmax' | 'sigmoid';
  /** Whether scores are computed over all experts and then the best taken, or the best logits taken and then scored among themselves. */
  readonly order: 'score_then_topk' | 'topk_then_score';
  readonly bias: boolean;
  /** A learned bias that takes part in the choice but not in the weights. */
  readonly selectionBias: boolean;
  readonly groups: number;
  readonly topGroups: number;
  readonly groupScore: 'max' | 'sum_top2';
  /** Score that experts of groups not chosen get: 0 (DeepSeek) or -infinity. */
  readonly groupMask: 'zero' | 'minus_infinity';
  readonly normalize: boolean;
  readonly normEps: number;
  /** Lower limit of the normaliser (ERNIE), if any. */
  readonly normMin?: number;
  readonly scale: number;
  readonly apply: 'output' | 'input';
}

export interface MixtureOfExperts {
  readonly kind: 'moe';
  readonly experts: number;
  readonly topK: number;
  readonly router: Router;
  readonly expert: FeedForward;
  /** Always-on expert(s), as one feed-forward; `gate`: its output times sigmoid of a projection to one number. */
  readonly shared?: FeedForward & { readonly gate: boolean };
}

/** A block written in the spec from primitive operators: statements over named tensors. */
export interface CustomBlock {
  readonly kind: 'custom';
  readonly block: string;
  /** Values of the block's parameters in this layer. */
  readonly params: Readonly<Record<string, ParamValue>>;
}

export type BranchBody = Attention | LatentAttention | FeedForward | MixtureOfExperts | CustomBlock;

export interface Branch {
  /** Unique within the layer; its weights are under `layers.{i}.<id>`. */
  readonly id: string;
  readonly path: string;
  readonly norm?: Norm;
  readonly body: BranchBody;
  readonly postNorm?: Norm;
}

/** x <- outNorm(skipScale * skip + scale * postNorm(sum of branch(norm(x)))), skip = x, or norm(x) where `from` is normed. */
export interface ResidualStep {
  readonly id: string;
  readonly path: string;
  readonly norm?: Norm;
  readonly branches: readonly Branch[];
  readonly postNorm?: Norm;
  readonly scale: number;
  readonly skipScale: number;
  readonly from: 'input' | 'normed';
  readonly outNorm?: Norm;
}

export interface Layer {
  readonly index: number;
  /** Values here of the params that depend on the layer index. */
  readonly params?: Readonly<Record<string, ParamValue>>;
  readonly steps: readonly ResidualStep[];
}

export interface Embeddings {
  readonly token: { readonly rows: number; readonly dim: number; readonly scale: number; readonly norm?: Norm };
  readonly position?:
    /** `rows` of the table, the first `offset` of which no position uses. */
    | { readonly kind: 'learned'; readonly rows: number; readonly offset: number }
    | { readonly kind: 'sinusoidal'; readonly layout: 'interleaved' | 'halves' | 'halves_minus_one'; readonly theta: number; readonly offset: number };
  readonly types?: { readonly rows: number };
  /** After the sum. */
  readonly norm?: Norm;
  /** From the embedding's width to the model's: of the token vectors, or of the sum after the norm. */
  readonly project?: { readonly bias: boolean; readonly of: 'token' | 'sum' };
}

export interface Output {
  readonly norm?: Norm;
  /** Multiplies the normed hidden state before the head. */
  readonly preScale: number;
  /** From the model's width to the embedding's, before the head. */
  readonly project?: { readonly bias: boolean };
  /** A dense layer with activation and norm before the head (BERT's masked-language-model transform). */
  readonly transform?: { readonly activation: Activation; readonly bias: boolean; readonly norm?: Norm };
  readonly linear?: { readonly rows: number; readonly tied: boolean; readonly bias: boolean };
  readonly scale: number;
  readonly softcap?: number;
  /** Whether there is an output `probabilities`, the softmax of the logits. */
  readonly softmax: boolean;
  readonly pool?: { readonly kind: 'none' | 'cls' | 'mean' | 'last'; readonly dense?: { readonly activation: Activation; readonly bias: boolean } };
}

export type ParamValue = number | string | boolean | null | readonly ParamValue[] | { readonly [key: string]: ParamValue };

/** A custom block or activation, parsed. `Tensor expressions` are kept as text with their place and parsed by lowering. */
export interface BlockDefinition {
  readonly name: string;
  readonly path: string;
  readonly input: string;
  readonly weights: readonly { readonly name: string; readonly shape: readonly string[]; readonly path: string }[];
  readonly params: Readonly<Record<string, string>>;
  readonly body: readonly { readonly name: string; readonly expression: string; readonly path: string }[];
}
export interface ActivationDefinition {
  readonly name: string;
  readonly path: string;
  readonly weights: readonly { readonly name: string; readonly shape: readonly string[]; readonly path: string }[];
  /** A scalar expression of `x` and the weights. */
  readonly value: string;
}

/** How one weight slot is cut out of a file's tensors. Steps apply in this order: stack, transpose, unpack, transposeInner, reshape to the slot. */
export interface WeightRecipe {
  /** Names to try, in order. With `stack`, names hold `{e}`. */
  readonly names: readonly string[];
  /** Swap the two axes of the file's matrix (GPT-2's Conv1D). With experts stacked in the file [e, a, b]: the last two. */
  readonly transpose?: boolean;
  /** One file tensor per expert, stacked along a new first axis. */
  readonly stack?: number;
  /** View the rows as (outer, sum of parts, inner) and take part `take`. With experts in the file, per expert. */
  readonly unpack?: { readonly outer: number; readonly parts: readonly number[]; readonly inner: number; readonly take: number };
  /** The file's first axis is the slot's first axis (experts stacked in the file), and the steps apply within each of its entries. */
  readonly batched?: boolean;
  /** After unpacking rows into (outer, part * inner, k): swap the last two axes within each outer block (MLA's absorbed key matrix). */
  readonly transposeInner?: boolean;
  /** Tensors may be absent from the file; then the slot is filled with this value. */
  readonly fill?: number;
  /** JSON pointer of the map entry in the spec. */
  readonly path: string;
}

/** How text becomes token ids: the tokenizer that comes with the weights, or one that the spec spells out. */
export type TokenizerSpec = { readonly from: 'model' } | InlineTokenizer;
export interface InlineTokenizer {
  readonly from: 'spec';
  readonly path: string;
  readonly kind: 'bpe' | 'byte_bpe' | 'sentencepiece_bpe' | 'unigram' | 'wordpiece';
  /** Tokens and their ids; `score` is the log probability of unigram pieces, 0 for the others. */
  readonly vocab: readonly { readonly token: string; readonly id: number; readonly score: number }[];
  /** The first merges first. */
  readonly merges: readonly (readonly [string, string])[];
  readonly unknown?: string;
  readonly byteFallback: boolean;
  readonly split: 'gpt2' | 'llama3' | 'qwen2' | 'whitespace' | 'digits_gpt2' | 'bert' | 'none';
  readonly normalize: readonly ('nfc' | 'nfd' | 'nfkc' | 'nfkd' | 'lowercase' | 'strip_accents')[];
  readonly spacePrefix: boolean;
  readonly continuingPrefix: string;
  readonly ignoreMerges: boolean;
  readonly special: {
    readonly begin?: string; readonly end: readonly string[]; readonly pad?: string; readonly separator?: string; readonly class?: string; readonly mask?: string;
    readonly more: readonly string[];
  };
  readonly addBegin: boolean;
  readonly addEnd: boolean;
  readonly chatTemplate?: string;
}

export interface Model {
  readonly name: string;
  readonly tokenizer: TokenizerSpec;
  readonly params: Readonly<Record<string, ParamValue>>;
  /** Width of the residual stream. */
  readonly dim: number;
  /** Longest sequence the model was made for, if known. */
  readonly context?: number;
  readonly embeddings: Embeddings;
  readonly layers: readonly Layer[];
  readonly output: Output;
  readonly blocks: Readonly<Record<string, BlockDefinition>>;
  readonly activations: Readonly<Record<string, ActivationDefinition>>;
  /** Where each slot (full name, such as `layers.0.attention.q.weight`) comes from in the format in use; absent without a file. */
  readonly recipes?: (slot: string) => WeightRecipe | undefined;
  /** Patterns of values to bring back besides the results, where who runs the model says nothing else. See compiler/taps.ts. */
  readonly taps: readonly string[];
  /** Glob patterns of file tensors that may be left unused. */
  readonly ignoredTensors: readonly string[];
}
