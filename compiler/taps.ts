/**
 * Looking inside a model: values that have names (see `Graph.values`) become outputs of the graph. A plan keeps outputs in memory, so it stores
 * a tapped value beside what a fused kernel makes of it, or leaves the fusion.
 */
import { expandBraces } from './braces.ts';
import { matchesGlob } from './glob.ts';
import { editDistance, nearest } from './nearest.ts';
import type { Diagnostic } from './diagnostics.ts';
import type { Graph, GraphOutput } from './graph/types.ts';

/** Whether an output of this name is there to look into the model, and not what the model is for: kept only where asked for. */
export const isTap = (name: string): boolean => /^(embeddings|hidden|layers)(\.|$)/.test(name);

export interface Tapped {
  /** The graph with the values among its outputs, under their own names. */
  readonly graph: Graph;
  /** The values that the patterns fit, in the order in which they are computed. */
  readonly names: readonly string[];
  /** One for each pattern that fits nothing. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * `patterns`: names in which `*` stands for any characters and `{q,k}` for either. `pathOf` gives the place of a pattern in a spec, for diagnostics;
 * none by default.
 */
export function tapGraph(graph: Graph, patterns: readonly string[], pathOf: (pattern: number) => string = () => ''): Tapped {
  const wanted = new Set<string>();
  const diagnostics: Diagnostic[] = [];
  patterns.forEach((pattern, n) => {
    const globs = expandBraces(pattern).map(({ text }) => text);
    const fitting = graph.values.filter(({ name }) => globs.some((glob) => matchesGlob(glob, name)));
    for (const { name } of fitting) wanted.add(name);
    if (fitting.length === 0) diagnostics.push(noSuchValue(graph, pattern, pathOf(n)));
  });
  const names = graph.values.map(({ name }) => name).filter((name) => wanted.has(name));
  const known = new Set(graph.outputs.map(({ name }) => name));
  const added: GraphOutput[] = graph.values.filter(({ name }) => wanted.has(name) && !known.has(name)).map(({ name, node }) => ({ name, node }));
  return { graph: added.length === 0 ? graph : { ...graph, outputs: [...graph.outputs, ...added] }, names, diagnostics };
}

function noSuchValue(graph: Graph, pattern: string, path: string): Diagnostic {
  const names = graph.values.map(({ name }) => name);
  // Layers are alike: one name stands for the values of all of them.
  const families = [...new Set(names.map((name) => name.replace(/(?<=\.)\d+(?=\.|$)/g, '*')))];
  const meant = corrected(pattern.slice(0, 200), names) ?? nearest(pattern, [...names, ...families]);
  const hint = meant === undefined ? `the nearest names are ${similar(pattern, families).join(', ')}` : `did you mean \`${meant}\`?`;
  return { code: 'E030', severity: 'error', path, message: `no value of the model fits \`${pattern.slice(0, 200)}\``, hint };
}

/** The pattern with each word that no name has replaced by one that they have (attn and self_attn by attention, q_proj by q), if that fits something. */
function corrected(pattern: string, names: readonly string[]): string | undefined {
  const known = new Set(names.flatMap((name) => name.split('.')));
  const numbers = /^\d+$/;
  const words = pattern.split('.').map((word) => {
    if (word === '' || known.has(word) || /[*{},]/.test(word) || numbers.test(word)) return [word];
    const parts = word.split('_');
    const candidates = [...known].filter((name) => !numbers.test(name));
    const near = nearest(word, candidates);
    const likely = [...(near === undefined ? [] : [near]), ...candidates.filter((name) => parts.includes(name)), ...candidates.filter((name) => parts.some((part) => abbreviates(part, name)))];
    return likely.slice(0, 4);
  });
  let attempts: string[][] = [[]];
  for (const options of words) attempts = attempts.flatMap((before) => options.map((word) => [...before, word])).slice(0, 64);
  return attempts.map((attempt) => attempt.join('.')).find((text) => text !== pattern && expandBraces(text).some((glob) => names.some((name) => matchesGlob(glob.text, name))));
}

/** Whether a word's letters stand in this order in a name, the first first: attn in attention. */
function abbreviates(word: string, name: string): boolean {
  if (word.length < 2 || word[0] !== name[0]) return false;
  let at = 0;
  for (const letter of name) if (letter === word[at]) at++;
  return at === word.length;
}

/** The five names that share most with a pattern: words first, then letters. */
function similar(pattern: string, names: readonly string[]): string[] {
  const words = new Set(pattern.slice(0, 200).toLowerCase().split(/[^a-z0-9]+/).filter((word) => word !== ''));
  return names
    .map((name) => ({ name, shared: name.split('.').filter((word) => words.has(word)).length, distance: editDistance(pattern.slice(0, 80), name.slice(0, 80)) }))
    .sort((a, b) => b.shared - a.shared || a.distance - b.distance)
    .slice(0, 5).map(({ name }) => `\`${name}\``);
}
