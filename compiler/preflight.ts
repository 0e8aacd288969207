/** A model's weights against a file's tensors, from names and shapes alone. */
import { capDiagnostics, MOST_DIAGNOSTICS } from './diagnostics.ts';
import type { Diagnostic } from './diagnostics.ts';
import type { WeightSlot } from './graph/types.ts';
import { matchesGlob } from './glob.ts';
import type { Model, WeightRecipe } from './model.ts';
import { nearest } from './nearest.ts';
import { locate, placeOf } from './source.ts';
import type { SourceNode } from './source.ts';

/** Names left over in the file that a missing name is compared with. */
const MOST_COMPARED = 500;

export interface TensorHeader {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype?: string;
}

/**
 * Everything that is missing, left over, transposed or mis-shaped. `slots` is what the graph needs (`graph.weights`), `root` the spec's
 * tree, for line and column. Empty: the weights fit.
 */
export function preflight(model: Model, slots: readonly WeightSlot[], tensors: readonly TensorHeader[], root: SourceNode): readonly Diagnostic[] {
  const files = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const bySlot = new Map(slots.map((slot) => [slot.slot, slot]));
  const claimed = new Set<string>();
  const missed = new Set<string>();
  const found: Diagnostic[] = [];
  const report = (code: Diagnostic['code'], path: string, message: string, hint?: string): void => {
    const { key, value } = placeOf(root, path);
    found.push({ code, severity: 'error', path, message, ...locate(key ?? value), ...(hint === undefined ? {} : { hint }) });
  };
  const nameOf = (recipe: WeightRecipe): string | undefined => recipe.names.find((candidate) => files.has(candidate.replaceAll('{e}', '0')));
  for (const slot of slots) {
    const recipe = model.recipes?.(slot.slot);
    const name = recipe && nameOf(recipe);
    for (let expert = 0; name !== undefined && expert < (recipe?.stack ?? 1); expert++) claimed.add(name.replaceAll('{e}', String(expert)));
  }
  const free = [...files.keys()].filter((name) => !claimed.has(name)).slice(0, MOST_COMPARED);
  for (const slot of slots) {
    const recipe = model.recipes?.(slot.slot);
    if (!recipe) {
      report('E702', slot.path ?? '', `the weight map has no entry for \`${slot.slot}\`${needs(slot, bySlot)}`, `add \`${slotPattern(slot.slot)}\` to weights`);
      continue;
    }
    const name = nameOf(recipe);
    if (name === undefined) {
      if (recipe.fill !== undefined) continue;
      const wanted = (recipe.names[0] ?? '').replaceAll('{e}', '0');
      // A fused tensor holds several slots: it is missed once.
      if (missed.has(wanted)) continue;
      missed.add(wanted);
      const close = found.length < MOST_DIAGNOSTICS ? recipe.names.map((n) => nearest(n.replaceAll('{e}', '0'), free)).find((n) => n !== undefined) : undefined;
      const or = recipe.names.length > 1 ? ` (nor ${recipe.names.slice(1, 4).map((n) => `\`${n.replaceAll('{e}', '0')}\``).join(', ')})` : '';
      report('E703', recipe.path, `the file has no tensor \`${wanted}\`${or} for \`${slot.slot}\`${needs(slot, bySlot)}`, close === undefined ? undefined : `the nearest name in the file is ${close}`);
      continue;
    }
    const expected = fileShape(recipe, slot);
    for (let expert = 0; expert < (recipe.stack ?? 1); expert++) {
      const tensor = name.replaceAll('{e}', String(expert));
      const header = files.get(tensor);
      if (!header) report('E703', recipe.path, `the file has no tensor \`${tensor}\`: \`${slot.slot}\` stacks ${recipe.stack ?? 1} of them`);
      else if (typeof expected === 'string') report('E601', recipe.path, `${tensor}: ${expected}`);
      else compare(header, expected, slot, bySlot, recipe, (code, message, hint) => report(code, recipe.path, message, hint));
    }
  }
  const unclaimed = tensors.filter((tensor) => !claimed.has(tensor.name) && !model.ignoredTensors.some((pattern) => matchesGlob(pattern, tensor.name)));
  for (const tensor of unclaimed) {
    report('E704', '/weights', `nothing uses the tensor \`${tensor.name}\` [${tensor.shape.join(', ')}] of the file`, 'map it, or list it under `ignore`');
  }
  return capDiagnostics(unique(found));
}

/**
 * The shape a slot's tensor has in the file (each of them, where experts are stacked), or why the recipe cannot make the slot.
 * The rows of a matrix are its last axis but one; those of a bias its last.
 */
export function fileShape(recipe: WeightRecipe, slot: WeightSlot): readonly number[] | string {
  const bias = slot.slot.endsWith('.bias');
  let shape = recipe.stack === undefined ? slot.shape : slot.shape.slice(1);
  if (recipe.stack !== undefined && slot.shape[0] !== recipe.stack) return `\`${slot.slot}\` has ${slot.shape[0] ?? 0} entries, but the map stacks ${recipe.stack} tensors`;
  if (recipe.unpack) {
    const { outer, parts, inner, take } = recipe.unpack;
    const lead = recipe.batched && shape.length > 1 ? [shape[0] ?? 1] : [];
    const rows = outer * (parts[take] ?? 0) * inner;
    const columns = product(shape) / ((lead[0] ?? 1) * rows);
    if (!Number.isInteger(columns) || (bias && columns !== 1)) {
      return `its part has ${outer} x ${parts[take] ?? 0} x ${inner} = ${rows} rows, which cannot make \`${slot.slot}\` of ${spell(slot.shape)}`;
    }
    shape = [...lead, outer * parts.reduce((a, b) => a + b, 0) * inner, ...(bias ? [] : [columns])];
  }
  return recipe.transpose && !bias ? swapLast(shape) : shape;
}

function compare(
  header: TensorHeader, expected: readonly number[], slot: WeightSlot, slots: ReadonlyMap<string, WeightSlot>, recipe: WeightRecipe,
  report: (code: 'E601' | 'E602', message: string, hint?: string) => void,
): void {
  if (regroups(header.shape, expected)) return;
  const derived = derivation(slot, slots);
  const plain = spell(slot.shape) === spell(expected);
  const wanted = plain ? `${derived === undefined ? '' : `${derived} = `}${spell(expected)}`
    : `${spell(expected)} (to make ${slot.slot}${derived === undefined ? '' : `: ${derived}`} = ${spell(slot.shape)})`;
  const message = `${header.name}: ${wanted}, the file has ${spell(header.shape)}`;
  const squeezed = header.shape.filter((size) => size !== 1);
  if (squeezed.length >= 2 && !slot.slot.endsWith('.bias') && regroups(swapLast(squeezed), expected)) {
    report('E602', `${message}: it is transposed`, recipe.transpose ? 'remove `transpose` from its entry' : 'add `transpose: true` to its entry');
  } else report('E601', message);
}

/** Whether elements in order may be regrouped: equal counts, and equal rows where both have rows. */
function regroups(from: readonly number[], to: readonly number[]): boolean {
  const a = from.filter((size) => size !== 1);
  const b = to.filter((size) => size !== 1);
  return product(a) === product(b) && (a.length < 2 || b.length < 2 || a.at(-1) === b.at(-1));
}

/** The shape of a slot in the spec's terms. A bias is as long as its matrix has rows. */
function derivation(slot: WeightSlot, slots: ReadonlyMap<string, WeightSlot>): string | undefined {
  if (slot.derivation !== undefined) return slot.derivation;
  if (!slot.slot.endsWith('.bias')) return undefined;
  const matrix = slots.get(slot.slot.replace(/bias$/, 'weight'))?.derivation;
  const rows = matrix?.split(' x ').slice(0, slot.shape.length);
  return rows?.join(' x ');
}

function needs(slot: WeightSlot, slots: ReadonlyMap<string, WeightSlot>): string {
  const derived = derivation(slot, slots);
  return ` (${derived === undefined ? '' : `${derived} = `}${spell(slot.shape)})`;
}

/** A slot as a weight map writes it: without the layer's number. */
function slotPattern(slot: string): string {
  return slot.replace(/^layers\.\d+\./, 'layers.').replace(/\.(weight|bias)$/, '');
}

function unique(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const seen = new Set<string>();
  return diagnostics.filter((d) => {
    const key = `${d.code} ${d.message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function swapLast(shape: readonly number[]): number[] {
  const [b, a] = [shape.at(-1) ?? 1, shape.at(-2) ?? 1];
  return shape.length < 2 ? [...shape] : [...shape.slice(0, -2), b, a];
}

function spell(shape: readonly number[]): string {
  return shape.length === 0 ? 'one number' : shape.join('x');
}

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
