/**
 * Random valid specs with random weights, for property tests: whatever a spec says, every way of running it must agree.
 * The same seed gives the same spec, weights and tokens.
 */
import { stringify } from 'yaml';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { loadSpec } from '../../compiler/load.ts';
import { lowerModel } from '../../compiler/lower/lower-model.ts';
import { resolveModel } from '../../compiler/resolve.ts';
import { randomAttention, randomLatentAttention } from './random-attention.ts';
import { customActivations, customBlocks, randomBlock, randomFeedForward, randomMixture } from './random-feed-forward.ts';
import { RandomSource, hashText } from './random-source.ts';
import type { Diagnostic } from '../../compiler/diagnostics.ts';
import type { Graph } from '../../compiler/graph/types.ts';
import type { Model } from '../../compiler/model.ts';
import type { WeightProvider } from '../../runtime/backend.ts';
import type { AttentionChoices, Yaml } from './random-attention.ts';

export interface RandomModel {
  readonly seed: number;
  /** The spec's text, to be shown where a test fails. */
  readonly text: string;
  readonly model: Model;
  readonly graph: Graph;
  readonly weights: WeightProvider;
  readonly ids: Int32Array;
  /** Token counts of the steps that run `ids`: a chunked prefill, then single tokens. Bidirectional models take all at once. */
  readonly steps: readonly number[];
}

const vocab = 23;

/** The YAML text of the spec of a seed. */
export function randomSpecText(seed: number): string {
  const r = new RandomSource(seed);
  const layers = r.integer(1, 3);
  const bidirectional = r.chance(0.12);
  const dim = r.pick([r.integer(3, 33), 8, 12, 16, 32]);
  const width = r.chance(0.1) ? r.integer(3, 20) : dim;
  const choices: AttentionChoices = { dim, layers, bidirectional, activations: Object.keys(customActivations) };
  const norm = r.pick(['rmsnorm', 'rmsnorm', 'layernorm']);
  const tied = r.chance(0.4);
  const spec = {
    peel: 1,
    name: `random_${seed}`,
    params: { head_scale: 0.4, scale_of_wave: 1.5, rows_of_table: vocab, layers },
    embeddings: {
      token: { rows: vocab, dim: width, ...r.maybe(0.3, 'scale', () => 'sqrt(dim_of_token)'.replace('dim_of_token', String(width))), ...r.maybe(0.1, 'norm', () => 'default') },
      ...r.maybe(0.35, 'position', () => (r.chance(0.5)
        ? { learned: { rows: 40, offset: r.pick([0, 2]) } }
        : { sinusoidal: { layout: r.pick(['interleaved', 'halves', 'halves_minus_one']), offset: r.pick([0, 2]) } })),
      ...r.maybe(0.15, 'types', () => ({ rows: 2 })),
      ...r.maybe(0.25, 'norm', () => 'default'),
      ...(width === dim ? {} : { project: { dim, bias: r.chance(0.5) } }),
    },
    normalization: {
      kind: norm, eps: r.pick([1e-6, 1e-5, 1e-3]),
      ...r.maybe(0.15, 'weight', () => false), ...r.maybe(0.3, 'bias', () => r.chance(0.5)), ...r.maybe(0.2, 'offset', () => 1),
    },
    layers: { repeat: 'layers', residual: steps(r, choices) },
    output: {
      ...r.maybe(0.85, 'norm', () => 'default'),
      ...r.maybe(0.2, 'pre_scale', () => 0.5),
      ...(width !== dim && tied ? { project: { bias: r.chance(0.5) } } : {}),
      ...r.maybe(0.1, 'transform', () => ({ activation: 'gelu', bias: r.chance(0.5), norm: 'default' })),
      ...(bidirectional && r.chance(0.5)
        ? { pool: { kind: r.pick(['cls', 'mean', 'last']), ...r.maybe(0.5, 'dense', () => ({ activation: 'tanh', bias: true })) } }
        : { linear: { tied, bias: r.chance(0.3) } }),
      ...r.maybe(0.2, 'scale', () => 0.25),
      ...r.maybe(0.2, 'softcap', () => 5),
    },
    activations: customActivations,
    blocks: customBlocks,
  };
  return stringify(spec, { aliasDuplicateObjects: false });
}

function placement(r: RandomSource, inside: boolean): Yaml {
  return {
    ...r.maybe(inside ? 0.3 : 0.8, 'norm', () => r.pick(['default', 'default', 'rmsnorm', 'layernorm'])),
    ...r.maybe(0.2, 'post_norm', () => 'default'),
  };
}

function steps(r: RandomSource, choices: AttentionChoices): Yaml[] {
  const mixing = (id: string): Yaml => (r.chance(0.3) ? { mla: randomLatentAttention(r, choices) } : { attention: randomAttention(r, choices, id) });
  const feeding = (): Yaml => {
    const ffn = { ffn: randomFeedForward(r, choices.activations) };
    const choice = r.unit();
    if (choice < 0.5) return ffn;
    if (choice < 0.7) return { moe: randomMixture(r, choices.activations) };
    return { variants: [{ when: 'i < 1', ...ffn }, { moe: randomMixture(r, choices.activations) }] };
  };
  const around = (): Yaml => {
    const norms = placement(r, false);
    return {
      ...norms,
      ...r.maybe(0.2, 'scale', () => r.pick([0.5, '1 / (i + 1)'])), ...r.maybe(0.15, 'skip_scale', () => 0.8),
      ...r.maybe(norms['norm'] === undefined ? 0 : 0.15, 'skip_from', () => 'normed'), ...r.maybe(0.2, 'out_norm', () => 'default'),
    };
  };
  const list: Yaml[] = [];
  if (r.chance(0.25)) {
    list.push({ id: 'both', ...around(), parallel: [{ id: 'attention', ...placement(r, true), ...mixing('attention') }, { id: 'ffn', ...placement(r, true), ...feeding() }] });
  } else {
    list.push({ id: 'attention', ...around(), ...mixing('attention') });
    list.push({ id: 'ffn', ...around(), ...feeding() });
  }
  if (r.chance(0.35)) list.push({ id: 'extra', ...around(), ...r.maybe(0.3, 'when', () => 'i % 2 == 0'), block: randomBlock(r, choices.bidirectional) });
  return list;
}

function throwErrors(text: string, diagnostics: readonly Diagnostic[]): void {
  const errors = diagnostics.filter((d) => d.severity === 'error');
  if (errors.length > 0) throw new Error(`${errors.map((d) => formatDiagnostic(d, true)).join('\n')}\n${text}`);
}

export function randomModel(seed: number): RandomModel {
  const text = randomSpecText(seed);
  const loaded = loadSpec('random.yaml', (file) => (file === 'random.yaml' ? text : undefined));
  throwErrors(text, loaded.diagnostics);
  if (!loaded.spec) throw new Error(`seed ${seed} did not load`);
  const resolved = resolveModel(loaded.spec, {});
  throwErrors(text, resolved.diagnostics);
  if (!resolved.model) throw new Error(`seed ${seed} did not resolve`);
  const lowered = lowerModel(resolved.model);
  throwErrors(text, lowered.diagnostics);
  if (!lowered.graph) throw new Error(`seed ${seed} did not lower`);
  const r = new RandomSource(seed + 0x5eed);
  const ids = Int32Array.from({ length: r.integer(2, 9) }, () => r.integer(0, vocab - 1));
  return {
    seed, text, ids, model: resolved.model, graph: lowered.graph,
    weights: randomWeights(lowered.graph, seed),
    steps: lowered.graph.states.length === 0 ? [ids.length] : splitSteps(r, ids.length),
  };
}

function splitSteps(r: RandomSource, total: number): number[] {
  const list: number[] = [];
  for (let left = total; left > 0;) {
    const next = r.chance(0.4) ? 1 : r.integer(1, left);
    list.push(next);
    left -= next;
  }
  return list;
}

/** Values for every slot of a graph, each from its own seed: norms near 1, matrices that keep sizes as they are, small biases. */
export function randomWeights(graph: Graph, seed: number): WeightProvider {
  const shapes = new Map(graph.weights.map((w) => [w.slot, w.shape]));
  return {
    read(slot) {
      const shape = shapes.get(slot);
      if (!shape) return Promise.reject(new Error(`no slot ${slot}`));
      const r = new RandomSource(seed ^ hashText(slot));
      const width = shape[shape.length - 1] ?? 1;
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      const [mean, deviation] = /norm\.weight$|slope$|gain$/.test(slot) ? [1, 0.2]
        : /embeddings\.|relative_bias|sinks/.test(slot) ? [0, 0.6]
        : shape.length === 1 ? [0, 0.2] : [0, 1.1 / Math.sqrt(width)];
      for (let n = 0; n < values.length; n++) values[n] = mean + deviation * r.normal();
      return Promise.resolve(values);
    },
  };
}
