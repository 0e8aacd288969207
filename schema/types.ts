/** What a spec file holds, as types: for programs that write specs. The JSON Schema beside this file says the same, with words. */

/** A number, or an expression of params and of `i`. */
export type NumberField = number | string;
/** true or false, or an expression. */
export type ConditionField = boolean | string;
/** One of some names, or an expression that gives one. */
export type ChoiceField<T extends string> = T | (string & {});
export type ConstantField = number | string | boolean | null;

export type ActivationName = ChoiceField<'identity' | 'relu' | 'relu2' | 'gelu' | 'gelu_tanh' | 'gelu_quick' | 'silu' | 'sigmoid' | 'tanh' | 'softplus' | 'mish'>;

export interface ParamSpec {
  config?: string | string[];
  gguf?: string | string[];
  gguf_default?: ConstantField | (ConstantField)[];
  default?: ConstantField | (ConstantField)[];
  if_null?: ConstantField | (ConstantField)[];
  per_layer?: boolean;
  type?: 'number' | 'integer' | 'boolean' | 'text' | 'list' | 'map';
  one_of?: ConstantField[];
  description?: string;
}

export interface NormSettings {
  kind?: ChoiceField<'rmsnorm' | 'layernorm' | 'l2norm' | 'none'>;
  eps?: NumberField;
  weight?: ConditionField;
  bias?: ConditionField;
  offset?: NumberField;
  when?: ConditionField;
}
export type NormSpec = ChoiceField<'default' | 'rmsnorm' | 'layernorm' | 'l2norm' | 'none'> | NormSettings;

export interface RopeScalingSpec {
  type?: ChoiceField<'none' | 'default' | 'linear' | 'dynamic' | 'llama3' | 'yarn' | 'longrope' | 'su' | 'proportional'>;
  factor?: NumberField;
  original_context?: NumberField;
  low_freq_factor?: NumberField;
  high_freq_factor?: NumberField;
  beta_fast?: NumberField;
  beta_slow?: NumberField;
  truncate?: ConditionField;
  attention_factor?: NumberField;
  mscale?: NumberField;
  mscale_all_dim?: NumberField;
  short_factor?: string | NumberField[];
  long_factor?: string | NumberField[];
  partial?: NumberField;
  when?: ConditionField;
}
export interface RopeSpec {
  dims?: NumberField;
  part?: ChoiceField<'first' | 'last'>;
  theta?: NumberField;
  pairing?: ChoiceField<'half' | 'interleaved'>;
  direction?: ChoiceField<'forward' | 'backward'>;
  scaling?: RopeScalingSpec;
  frequency_factors?: string | null;
  when?: ConditionField;
}
export type PositionSpec = 'none' | {
  rope?: RopeSpec;
  alibi?: { max_bias?: NumberField; inside_scale?: ConditionField; strength?: NumberField; slope_type?: ChoiceField<'f32' | 'bf16'>; when?: ConditionField };
  relative_bias?: { buckets?: NumberField; max_distance?: NumberField; bidirectional?: ConditionField; slot?: string };
};

interface AttentionFields {
  heads: NumberField;
  scale?: NumberField;
  softcap?: NumberField;
  sinks?: ConditionField;
  mask?: ChoiceField<'causal' | 'bidirectional'>;
  window?: { size?: NumberField; kind?: ChoiceField<'sliding' | 'chunked' | 'symmetric'>; when?: ConditionField };
  sub_norm?: NormSpec;
  gate?: { activation?: ActivationName; per?: ChoiceField<'element' | 'head'>; bias?: ConditionField; when?: ConditionField };
  query_temperature?: { scale?: NumberField; floor?: NumberField; offset?: NumberField; when?: ConditionField };
  position?: PositionSpec;
}
export interface AttentionSpec extends AttentionFields {
  kv_heads?: NumberField;
  head_dim?: NumberField;
  value_dim?: NumberField;
  bias?: ConditionField | { q?: ConditionField; k?: ConditionField; v?: ConditionField; o?: ConditionField };
  qk_norm?: Omit<NormSettings, 'when'> & { when?: ChoiceField<'before_rope' | 'after_rope'>; scope?: ChoiceField<'head' | 'per_head' | 'full'>; enabled?: ConditionField };
  v_norm?: NormSpec;
  clip?: NumberField;
  clip_when?: ChoiceField<'before_norm' | 'after_norm'>;
  value_scale?: NumberField;
  kv_from?: NumberField;
}
export interface LatentAttentionSpec extends AttentionFields {
  q_rank?: NumberField;
  kv_rank: NumberField;
  nope_dim: NumberField;
  rope_dim: NumberField;
  value_dim: NumberField;
  bias?: ConditionField | { q_a?: ConditionField; kv_a?: ConditionField; o?: ConditionField };
  latent_norm?: NormSpec;
}

export interface FeedForwardSpec {
  hidden: NumberField;
  activation?: ActivationName;
  gated?: ConditionField;
  bias?: ConditionField | { up?: ConditionField; gate?: ConditionField; down?: ConditionField };
  clamp?: NumberField;
  alpha?: NumberField;
  up_offset?: NumberField;
  mid_norm?: NormSpec;
}
export interface RouterSpec {
  score?: ChoiceField<'softmax' | 'sigmoid'>;
  order?: ChoiceField<'score_then_topk' | 'topk_then_score'>;
  bias?: ConditionField;
  selection_bias?: ConditionField;
  groups?: NumberField;
  top_groups?: NumberField;
  group_score?: ChoiceField<'max' | 'sum_top2'>;
  group_mask?: ChoiceField<'zero' | 'minus_infinity'>;
  normalize?: ConditionField;
  norm_eps?: NumberField;
  norm_min?: NumberField;
  scale?: NumberField;
  apply?: ChoiceField<'output' | 'input'>;
}
export interface MixtureSpec {
  experts: NumberField;
  top_k: NumberField;
  router?: RouterSpec;
  expert: FeedForwardSpec;
  shared?: FeedForwardSpec & { gate?: ConditionField; when?: ConditionField };
}
export interface BlockUse {
  use: string;
  with?: Record<string, NumberField | boolean | NumberField[]>;
}

interface Bodies {
  attention?: AttentionSpec;
  mla?: LatentAttentionSpec;
  ffn?: FeedForwardSpec;
  moe?: MixtureSpec;
  block?: BlockUse;
}
export interface VariantSpec extends Bodies { when?: ConditionField }
export interface BranchSpec extends Bodies {
  id?: string;
  when?: ConditionField;
  norm?: NormSpec;
  variants?: VariantSpec[];
  post_norm?: NormSpec;
}
export interface StepSpec extends BranchSpec {
  parallel?: BranchSpec[];
  scale?: NumberField;
  skip_scale?: NumberField;
  skip_from?: ChoiceField<'input' | 'normed'>;
  out_norm?: NormSpec;
}

export interface EmbeddingsSpec {
  token: { rows: NumberField; dim: NumberField; scale?: NumberField; norm?: NormSpec };
  position?: 'none' | {
    learned?: { rows: NumberField; offset?: NumberField };
    sinusoidal?: { layout?: ChoiceField<'interleaved' | 'halves' | 'halves_minus_one'>; theta?: NumberField; offset?: NumberField };
    when?: ConditionField;
  };
  types?: { rows: NumberField; when?: ConditionField };
  norm?: NormSpec;
  project?: { dim: NumberField; of?: ChoiceField<'sum' | 'token'>; bias?: ConditionField; when?: ConditionField };
}
export interface OutputSpec {
  norm?: NormSpec;
  pre_scale?: NumberField;
  project?: { bias?: ConditionField; when?: ConditionField };
  transform?: { activation?: ActivationName; bias?: ConditionField; norm?: NormSpec; when?: ConditionField };
  linear?: { rows?: NumberField; tied?: ConditionField; bias?: ConditionField; when?: ConditionField };
  scale?: NumberField;
  softcap?: NumberField;
  softmax?: ConditionField;
  pool?: { kind?: ChoiceField<'none' | 'cls' | 'mean' | 'last'>; dense?: { activation?: ActivationName; bias?: ConditionField; when?: ConditionField } };
}

export interface TokenizerBlock {
  from?: 'model';
  kind?: 'bpe' | 'byte_bpe' | 'sentencepiece_bpe' | 'unigram' | 'wordpiece';
  vocab?: string[] | [string, number][] | Record<string, number>;
  merges?: (string | [string, string])[];
  unknown?: string;
  byte_fallback?: boolean;
  split?: 'gpt2' | 'llama3' | 'qwen2' | 'whitespace' | 'digits_gpt2' | 'bert' | 'none';
  normalize?: string | string[];
  space_prefix?: boolean;
  continuing_prefix?: string;
  ignore_merges?: boolean;
  special?: { begin?: string; end?: string | string[]; pad?: string; separator?: string; class?: string; mask?: string; more?: string[] };
  add_begin?: boolean;
  add_end?: boolean;
  chat_template?: string;
}

export interface TensorSourceSpec {
  name?: string | string[];
  transpose?: ConditionField;
  stack?: NumberField;
  unpack?: { outer?: NumberField; parts: Record<string, NumberField>; inner?: NumberField; take?: string };
  transpose_inner?: ConditionField;
  batched?: ConditionField;
  fill?: NumberField;
  when?: ConditionField;
}
export interface WeightMapSpec {
  prefixes?: string[];
  ignore?: string[];
  tensors?: Record<string, string | TensorSourceSpec | (string | TensorSourceSpec)[] | null>;
}

export interface Spec {
  /** Graph tests; schema/test.schema.json describes them. */
  tests?: Record<string, unknown>[];
  peel: 1;
  name?: string;
  description?: string;
  model_types?: string[];
  gguf_architectures?: string[];
  extends?: string | string[];
  params?: Record<string, ConstantField | (ConstantField)[] | ParamSpec>;
  metadata?: { ignore?: string[]; expect?: Record<string, unknown> };
  config?: { ignore?: string[]; expect?: Record<string, unknown>; within?: string[] };
  tokenizer?: TokenizerBlock;
  embeddings?: EmbeddingsSpec;
  normalization?: NormSpec;
  layers?: { repeat?: NumberField; residual?: StepSpec[] };
  output?: OutputSpec;
  activations?: Record<string, { weights?: Record<string, NumberField[]>; value: string | number; description?: string }>;
  blocks?: Record<string, { description?: string; input?: string; params?: Record<string, ConstantField>; weights?: Record<string, NumberField[]>; body: Record<string, string | number>[] }>;
  /** Values to bring back besides the results, by name: layers.*.attention.probs. */
  taps?: string[];
  weights?: { huggingface?: WeightMapSpec; gguf?: WeightMapSpec };
}
