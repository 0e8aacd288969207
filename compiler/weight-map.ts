/** Weight maps: from a slot of the model to the tensors of a file, as data in the spec. */
import { expandBraces } from './braces.ts';
import { textList } from './load.ts';
import type { WeightRecipe } from './model.ts';
import { pointer } from './source.ts';
import { Cursor } from './resolve/cursor.ts';
import type { Values } from './resolve/context.ts';

export interface WeightMap {
  readonly recipes: (slot: string) => WeightRecipe | undefined;
  /** Globs of tensors that may be left unused. */
  readonly ignored: readonly string[];
  /** Tensor names that a slot could have, whether or not the model has the slot. */
  readonly namesOf: (slot: string) => readonly string[];
}

interface Entry {
  readonly field: Cursor;
  /** What the braces of the key gave. */
  readonly choices: readonly string[];
}

/** `field` is weights.<format>. Scopes give expressions their values: `shared` outside layers, `scopes[i]` in layer i. */
export function weightRecipes(field: Cursor, shared: Values, scopes: readonly Values[]): WeightMap {
  const entries = new Map<string, Entry>();
  const tensors = field.get('tensors');
  for (const [key, value] of tensors.entries()) {
    for (const { text, choices } of expandBraces(key)) {
      if (entries.has(text)) value.report('E701', `the slot \`${text}\` is given twice`);
      entries.set(text, { field: value, choices });
    }
  }
  const prefixes = field.get('prefixes').present ? textList(field.get('prefixes').node) : [''];
  const find = (slot: string): { entry: Entry; leaf: string; exact: boolean; layer?: number; scope: Values } | undefined => {
    const layer = /^layers\.(\d+)\./.exec(slot);
    const key = layer ? `layers.${slot.slice(layer[0].length)}` : slot;
    const dot = key.lastIndexOf('.');
    // A key with the slot's ending names the tensor as it is; one without stands for all endings.
    const exact = entries.has(key);
    const entry = entries.get(exact ? key : key.slice(0, dot));
    if (!entry) return undefined;
    const index = layer ? Number(layer[1]) : undefined;
    return { entry, exact, leaf: key.slice(dot + 1), ...(index === undefined ? {} : { layer: index }), scope: (index === undefined ? undefined : scopes[index]) ?? shared };
  };
  const known = new Map<string, WeightRecipe | undefined>();
  const recipes = (slot: string): WeightRecipe | undefined => {
    if (known.has(slot)) return known.get(slot);
    const found = find(slot);
    const recipe = found && buildRecipe(found.entry, slot, found.exact ? '' : `.${found.leaf}`, found.layer, found.scope, prefixes);
    known.set(slot, recipe);
    return recipe;
  };
  return { recipes, ignored: textList(field.get('ignore').node).flatMap((pattern) => fillIn(pattern, field.get('ignore').at(shared))), namesOf: (slot) => recipes(slot)?.names ?? [] };
}

function buildRecipe(entry: Entry, slot: string, suffix: string, layer: number | undefined, scope: Values, prefixes: readonly string[]): WeightRecipe | undefined {
  const all = entry.field.at(scope);
  const items = all.items();
  const maps = items.filter((item) => item.isMap);
  const source = maps.length > 0 ? maps.find((item) => item.get('when').boolean(true)) : all;
  if (!source || (source.isMap && !source.get('when').boolean(true))) return undefined;
  const written = source.isMap ? textList(source.get('name').node) : textList(source.node);
  if (written.length === 0) source.report('E701', 'the entry names no tensor');
  const names = written.flatMap((name) => {
    let used = 0;
    const filled = name.replace(/\{\}/g, () => entry.choices[Math.min(used++, entry.choices.length - 1)] ?? '').replaceAll('{i}', String(layer ?? ''));
    return prefixes.map((prefix) => prefix + filled + suffix);
  });
  const matrix = !slot.endsWith('.bias');
  const stack = source.get('stack').dimension();
  const unpack = resolveUnpack(source.get('unpack'), entry.choices);
  const fill = source.get('fill').number();
  const batched = source.isMap && source.get('batched').present ? source.get('batched').boolean(false) : stack === undefined && slot.includes('.experts.');
  if (stack !== undefined && !names.every((name) => name.includes('{e}'))) source.report('E701', 'a stacked tensor name needs {e}, the number of the expert');
  return {
    names, path: entry.field.path,
    ...(matrix && source.get('transpose').boolean(false) ? { transpose: true } : {}),
    ...(stack === undefined ? {} : { stack }),
    ...(unpack ? { unpack } : {}),
    ...(batched ? { batched } : {}),
    ...(matrix && source.get('transpose_inner').boolean(false) ? { transposeInner: true } : {}),
    ...(fill === undefined ? {} : { fill }),
  };
}

function resolveUnpack(field: Cursor, choices: readonly string[]): WeightRecipe['unpack'] {
  if (!field.present) return undefined;
  const parts = field.get('parts').entries();
  const name = field.get('take').text() ?? choices.find((choice) => parts.some(([part]) => part === choice));
  const take = parts.findIndex(([part]) => part === name);
  if (take < 0) {
    field.report('E701', name === undefined ? 'say which part to `take`' : `there is no part \`${name}\`; there are ${parts.map(([part]) => part).join(', ')}`);
    return undefined;
  }
  return {
    outer: field.get('outer').dimension() ?? 1,
    parts: parts.map(([, size]) => size.requiredDimension(0)),
    inner: field.get('inner').dimension() ?? 1,
    take,
  };
}

/** `model.layers.{layers}.*`: expressions in braces replaced by their values. */
function fillIn(pattern: string, field: Cursor): string[] {
  const parts = pattern.split(/\{([^{}]*)\}/);
  const texts = parts.map((part, index) => {
    if (index % 2 === 0) return part;
    const place = field.place;
    if (!place) return undefined;
    const value = new Cursor(field.reporter, field.scope, { kind: 'scalar', value: part, place }, pointer(field.path, pattern)).value();
    return value === undefined ? undefined : String(value);
  });
  return texts.includes(undefined) ? [] : [texts.join('')];
}
