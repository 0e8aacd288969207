/** Which weights of a graph `--quantize` quantises, and to what: those of products and the token table, as llama.cpp chooses them. */
import { formatBlock, formatBytes, type WeightFormat } from './formats.ts';
import { matchesGlob } from './glob.ts';
import type { Graph, Node, NodeId, WeightSlot } from './graph/types.ts';

/** What weights can be quantised to at load. */
export const quantisations = ['q8_0', 'q4_0', 'q4_K'] as const;
export type Quantisation = (typeof quantisations)[number];

/** q4_1_fitted is q4_1 with the scale and minimum searched for, as in q4_K. */
export type QuantisedForm = Quantisation | 'q4_1' | 'q4_1_fitted';

/** The format that stores a form. */
export const storedAs = (form: QuantisedForm): WeightFormat => (form === 'q4_1_fitted' ? 'q4_1' : form);

export interface QuantisationChoice {
  readonly wanted: Quantisation;
  /** The form of every slot that is quantised. */
  readonly forms: ReadonlyMap<string, QuantisedForm>;
  /** Slots that a `--keep` pattern leaves alone. */
  readonly kept: readonly string[];
  /** Patterns that name no weight. */
  readonly unmatched: readonly string[];
  /** Slots whose rows hold no whole blocks of the wanted format, and what they take instead; f32 where none fits. */
  readonly fallbacks: ReadonlyMap<string, WeightFormat>;
  /** Slots that their file has quantised already: they stay as they are. */
  readonly already: readonly string[];
  /** Bytes of all weights after and before, before as the provider has them. */
  readonly bytes: { readonly after: number; readonly before: number };
}

/** The weight node at the start of reshapes and slices. */
function weightBehind(id: NodeId | undefined, nodes: ReadonlyMap<NodeId, Node>): string | undefined {
  let node = id === undefined ? undefined : nodes.get(id);
  while (node && ['reshape', 'transpose', 'slice'].includes(node.operator.op)) node = nodes.get(node.inputs[0] ?? -1);
  return node?.operator.op === 'weight' ? node.operator.slot : undefined;
}

/**
 * Slots that products multiply by, and tables that token ids look up, each with the names that it goes by: its own and those of the
 * products that use it, so that a tied head answers to `output.*` too.
 */
function candidates(graph: Graph): Map<string, Set<string>> {
  const nodes = new Map(graph.nodes.map((n) => [n.id, n]));
  const names = new Map<string, Set<string>>();
  const add = (slot: string | undefined, label: string): void => {
    if (slot === undefined) return;
    const known = names.get(slot) ?? new Set([slot]);
    known.add(`${label}.weight`);
    names.set(slot, known);
  };
  for (const node of graph.nodes) {
    if (node.operator.op === 'linear') add(weightBehind(node.inputs[1], nodes), node.origin.label);
    if (node.operator.op === 'gather') {
      const index = nodes.get(node.inputs[1] ?? -1)?.operator;
      if (index?.op === 'input' && index.name === 'ids') add(weightBehind(node.inputs[0], nodes), node.origin.label);
    }
  }
  return names;
}

/** A router's few rows decide between experts, a single row is a vector: both stay exact. */
function isDelicate(slot: WeightSlot): boolean {
  return slot.slot.includes('.router.') || slot.shape.length < 2 || slot.shape.slice(0, -1).every((d) => d === 1);
}

/**
 * The wanted form where rows hold whole blocks of it. q4_K needs 256 numbers: rows of 32 take q4_1 (5 bits a number, each 32 numbers
 * with a scale and minimum of their own, searched for in the same way, so at least as near as q4_K).
 */
function formFor(wanted: Quantisation, k: number): QuantisedForm | undefined {
  if (k % formatBlock(wanted).elements === 0) return wanted;
  return wanted === 'q4_K' && k % formatBlock('q4_1').elements === 0 ? 'q4_1_fitted' : undefined;
}

/** `source` says in what form a slot comes without quantising. */
export function chooseQuantisation(graph: Graph, wanted: Quantisation, keep: readonly string[], source: (slot: string) => WeightFormat): QuantisationChoice {
  const names = candidates(graph);
  const forms = new Map<string, QuantisedForm>();
  const fallbacks = new Map<string, WeightFormat>();
  const kept: string[] = [], already: string[] = [];
  const used = new Set<string>();
  let before = 0, after = 0;
  for (const slot of graph.weights) {
    const stored = source(slot.slot);
    const bytes = formatBytes(stored, slot.shape);
    before += bytes;
    after += bytes;
    const known = names.get(slot.slot);
    const matching = keep.filter((pattern) => [...known ?? [slot.slot]].some((name) => matchesGlob(pattern, name)));
    for (const pattern of matching) used.add(pattern);
    if (!known || isDelicate(slot)) continue;
    if (matching.length > 0) { kept.push(slot.slot); continue; }
    if (formatBlock(stored).elements > 1) { already.push(slot.slot); continue; }
    const form = formFor(wanted, slot.shape.at(-1) ?? 1);
    if (form !== wanted) fallbacks.set(slot.slot, form === undefined ? stored : storedAs(form));
    if (form === undefined) continue;
    forms.set(slot.slot, form);
    after += formatBytes(storedAs(form), slot.shape) - bytes;
  }
  return { wanted, forms, kept, unmatched: keep.filter((pattern) => !used.has(pattern)), fallbacks, already, bytes: { after, before } };
}

const mebibytes = (n: number): string => `${(n / 2 ** 20).toFixed(1)} MiB`;
const slots = (n: number): string => `${n} ${n === 1 ? 'weight' : 'weights'}`;

/** One sentence for a summary. */
export function describeQuantisation(choice: QuantisationChoice): string {
  const { wanted, forms, kept, unmatched, fallbacks, already, bytes } = choice;
  const whole = [...forms.values()].filter((form) => form === wanted).length;
  const others = new Map<WeightFormat, number>();
  for (const format of fallbacks.values()) others.set(format, (others.get(format) ?? 0) + 1);
  const parts = [`quantised to ${wanted}: ${slots(whole)}, ${mebibytes(bytes.before)} become ${mebibytes(bytes.after)}`];
  for (const [format, n] of others) parts.push(`${slots(n)} in ${format}, whose rows are no multiple of ${formatBlock(wanted).elements}`);
  if (kept.length > 0) parts.push(`${slots(kept.length)} kept`);
  if (already.length > 0) parts.push(`${slots(already.length)} left as the file has them quantised`);
  for (const pattern of unmatched) parts.push(`no weight is called '${pattern}'`);
  return parts.join('; ');
}
