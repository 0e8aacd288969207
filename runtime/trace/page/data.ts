/** What the page's script works on: a trace without what the page has as tables, numbers rounded, texts told once. */
import { deflateRawSync } from 'node:zlib';
import type { Trace } from '../trace.ts';

export interface PageData {
  readonly tokens: readonly { readonly id: number; readonly text: string }[];
  /** Heads as [bits, share] of their entropy. */
  readonly maps: readonly { readonly layer: number; readonly name: string; readonly heads: readonly (readonly [number | null, number | null])[] }[];
  /** Bytes of all maps' [heads, tokens, tokens], one after the other: 255 times the root of a weight; deflated, in base64. */
  readonly weights: string;
  /** Guesses as [index of the text, probability]. */
  readonly lens?: { readonly layers: readonly number[]; readonly texts: readonly string[]; readonly guesses: readonly (readonly (readonly (readonly [number, number | null])[])[])[] };
  readonly chart: { readonly layers: readonly number[]; readonly series: readonly Series[] };
  readonly experts: readonly { readonly layer: number; readonly counts: readonly number[]; readonly choice: readonly (readonly (readonly [number, number | null])[])[] }[];
}

interface Series {
  readonly name: string;
  /** By layer; null where the layer has none. */
  readonly all: readonly (number | null)[];
  readonly tokens: readonly (readonly (number | null)[] | null)[];
}

/** Three digits; null for what JSON does not know. */
const rounded = (x: number): number | null => (Number.isFinite(x) ? Number(x.toPrecision(4)) : null);

export function pageData(trace: Trace): PageData {
  const { tokens, layers, lens, values } = trace;
  const found = layers.flatMap(({ layer, steps }) => {
    const inLayer = steps.flatMap(({ branches }) => branches.flatMap(({ id, attention }) => attention.map((a) => ({ ...a, layer, id }))));
    return inLayer.map((map) => ({ ...map, name: inLayer.length > 1 ? map.value.slice(`layers.${layer}.`.length).replace(/\.probs$/, '') : '' }));
  }).filter(({ value }) => values.get(value)?.shape[2] === tokens.length);
  const texts = new Map<string, number>();
  const indexOf = (text: string): number => {
    const known = texts.get(text) ?? texts.size;
    texts.set(text, known);
    return known;
  };
  const guesses = lens?.map((row) => row.guesses.map((list) => list.map(({ text, probability }): [number, number | null] => [indexOf(text), rounded(probability)])));
  return {
    tokens, chart: chartOf(trace),
    maps: found.map(({ layer, name, heads }) => ({ layer, name, heads: heads.map(({ bits, share }) => [rounded(bits), rounded(share)] as const) })),
    weights: packWeights(found.map(({ value }) => values.get(value)?.data ?? new Float32Array(0)), tokens.length),
    ...(lens && guesses && lens.length > 0 ? { lens: { layers: lens.map(({ layer }) => layer), texts: [...texts.keys()], guesses } } : {}),
    experts: layers.flatMap(({ layer, steps }) => steps.flatMap(({ branches }) => branches.flatMap(({ experts }) => (experts
      ? [{ layer, counts: experts.counts, choice: experts.choice.map((list) => list.map(({ expert, weight }) => [expert, rounded(weight)] as const)) }] : [])))),
  };
}

/** Weights [tokens, heads, tokens] as bytes, head by head. */
function packWeights(maps: readonly Float32Array[], tokens: number): string {
  const bytes = new Uint8Array(maps.reduce((n, { length }) => n + length, 0));
  let at = 0;
  for (const map of maps) {
    const heads = map.length / (tokens * tokens);
    for (let head = 0; head < heads; head++) {
      for (let query = 0; query < tokens; query++) {
        for (let key = 0; key < tokens; key++) bytes[at++] = Math.round(255 * Math.sqrt(Math.min(1, Math.max(0, map[(query * heads + head) * tokens + key] ?? 0))));
      }
    }
  }
  return deflateRawSync(bytes).toString('base64');
}

/** The stream behind each layer, what the steps add, by their ids, and what parallel branches give. */
function chartOf({ layers }: Trace): PageData['chart'] {
  const ids = [...new Set(layers.flatMap(({ steps }) => steps.map(({ id }) => id)))];
  const parallel = [...new Set(layers.flatMap(({ steps }) => steps.flatMap(({ branches }) => (branches.length > 1 ? branches.map(({ id }) => id) : []))))];
  const series = (name: string, pick: (n: number) => { readonly rms: number; readonly tokens: readonly number[] } | undefined): Series => {
    const sizes = layers.map((_, n) => pick(n));
    return { name, all: sizes.map((size) => (size ? rounded(size.rms) : null)), tokens: sizes.map((size) => (size ? size.tokens.map(rounded) : null)) };
  };
  return {
    layers: layers.map(({ layer }) => layer),
    series: [
      series('residual stream', (n) => layers[n]?.steps.at(-1)?.stream),
      ...ids.map((id) => series(`added by ${id}`, (n) => layers[n]?.steps.find((step) => step.id === id)?.added)),
      ...parallel.map((id) => series(`given by ${id}`, (n) => layers[n]?.steps.flatMap(({ branches }) => branches).find((branch) => branch.id === id)?.out)),
    ],
  };
}
