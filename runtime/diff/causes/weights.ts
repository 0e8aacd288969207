/** Weights read otherwise: transposed, exchanged, in another order of rows, cut otherwise out of a fused tensor. */
import type { Model, WeightRecipe } from '../../../compiler/model.ts';
import { eachRope, others, type AnyAttention } from './change.ts';
import type { Alternative, Cause, Scope, SlotChange, WeightChange } from './types.ts';

/** Ids of the branches within reach, with their bodies: `layers.3.attention`. */
function branches(model: Model, scope: Scope): { readonly slot: string; readonly attention?: AnyAttention; readonly kind: string; readonly params: Readonly<Record<string, unknown>> }[] {
  return model.layers.filter((layer) => layer.index >= scope.firstLayer).flatMap((layer) => layer.steps.flatMap((step) => step.branches.map(({ id, body }) => ({
    slot: `layers.${layer.index}.${id}`, kind: body.kind, params: body.kind === 'custom' ? body.params : {}, ...(body.kind === 'attention' || body.kind === 'mla' ? { attention: body } : {}),
  }))));
}

/** A change of the slots that a pattern behind `layers.{i}.<branch>.` fits. */
function slots(model: Model, scope: Scope, change: (rest: string, branch: string, attention: AnyAttention | undefined, shape: readonly number[]) => SlotChange | undefined): WeightChange {
  const known = branches(model, scope);
  return (slot, shape) => {
    const branch = known.find((b) => slot.startsWith(`${b.slot}.`));
    return branch && change(slot.slice(branch.slot.length + 1), branch.slot, branch.attention, shape);
  };
}

/** [..., n, n] with its last two axes exchanged. */
function transposed(data: Float32Array, shape: readonly number[]): Float32Array {
  const n = shape.at(-1) ?? 1;
  const result = new Float32Array(data.length);
  for (let base = 0; base < data.length; base += n * n) for (let r = 0; r < n; r++) for (let c = 0; c < n; c++) result[base + r * n + c] = data[base + c * n + r] ?? 0;
  return result;
}

const matrices: Cause = {
  name: 'matrix',
  alternatives: (model, scope) => {
    const names = ['q', 'k', 'v', 'o', 'gate', 'up', 'down', 'q_a', 'q_b', 'kv_a', 'router', 'experts.up', 'experts.gate', 'experts.down', 'shared.up', 'shared.gate', 'shared.down'];
    const of = (text: string, wanted: (rest: string) => boolean): Alternative => ({ text, model, weights: slots(model, scope, (rest, branch, _attention, shape) => (wanted(rest) && shape.length > 1 && shape.at(-1) === shape.at(-2) ? { from: `${branch}.${rest}`, transform: transposed } : undefined)) });
    const custom = [...new Set(branches(model, scope).filter((b) => b.kind === 'custom').map((b) => b.slot.replace(/^layers\.\d+\./, '')))];
    return [
      ...names.map((name) => of(`\`${name}\` transposed`, (rest) => rest === `${name}.weight`)),
      of('`q`, `k`, `v` and `o` transposed', (rest) => /^[qkvo]\.weight$/.test(rest)),
      of('`up`, `gate` and `down` transposed', (rest) => /^(up|gate|down)\.weight$/.test(rest)),
      ...custom.flatMap((id) => weightNames(model, id).map((name): Alternative => of(`\`${id}.${name}\` transposed`, (rest) => rest === name))),
    ];
  },
};

function weightNames(model: Model, id: string): string[] {
  const body = model.layers.flatMap((layer) => layer.steps.flatMap((step) => step.branches)).find((branch) => branch.id === id)?.body;
  return body?.kind === 'custom' ? model.blocks[body.block]?.weights.map((w) => w.name) ?? [] : [];
}

const exchanged: Cause = {
  name: 'weights exchanged',
  alternatives: (model, scope) => ([['gate', 'up'], ['experts.gate', 'experts.up'], ['shared.gate', 'shared.up'], ['k', 'v'], ['q', 'k'], ['q', 'v'], ['up', 'down']] as const).map(([a, b]) => ({
    text: `\`${a}\` and \`${b}\``, model,
    weights: slots(model, scope, (rest, branch) => {
      const other = rest.startsWith(`${a}.`) ? b + rest.slice(a.length) : rest.startsWith(`${b}.`) ? a + rest.slice(b.length) : undefined;
      return other === undefined ? undefined : { from: `${branch}.${other}` };
    }),
  })),
};

/** Rows of each head [heads, dims of it] taken in the order that `source` gives; elements that do not rotate stay. */
function reorder(heads: number, source: (row: number, dims: number) => number, start: number, dims: number): NonNullable<SlotChange['transform']> {
  return (data, shape) => {
    const rows = shape[0] ?? 1;
    const width = data.length / rows, size = rows / heads;
    const result = data.slice();
    for (let h = 0; h < heads; h++) {
      for (let d = 0; d < dims; d++) {
        const from = (h * size + start + source(d, dims)) * width;
        result.set(data.subarray(from, from + width), (h * size + start + d) * width);
      }
    }
    return result;
  };
}

/** Rows of queries and keys in the order that another pairing needs, as files made for llama.cpp have them. */
export const permuted: Cause = {
  name: 'order of the rows of `q` and `k`',
  alternatives: (model, scope) => {
    if (!eachRope(model, scope, (rope) => ({ ...rope }))) return [];
    const orders = [
      ['interleaved pairs, to be put in halves', (d: number, dims: number): number => (d < dims / 2 ? 2 * d : 2 * d - dims + 1)],
      ['halves, to be put in interleaved pairs', (d: number, dims: number): number => (d % 2 === 0 ? d / 2 : (dims + d - 1) / 2)],
    ] as const;
    return orders.map(([text, source]) => ({
      text, model,
      weights: slots(model, scope, (rest, branch, attention) => {
        const which = /^([qk])(?:_norm)?\.(?:weight|bias)$/.exec(rest)?.[1];
        if (which === undefined || attention?.kind !== 'attention' || attention.position.kind !== 'rope') return undefined;
        const { heads, kvHeads, position } = attention;
        const count = rest.includes('norm') ? 1 : which === 'q' ? heads : kvHeads;
        return { from: `${branch}.${rest}`, transform: reorder(count, source, position.start, position.dims) };
      }),
    }));
  },
};

/** Query heads in the other order: those of one key head side by side, or one of each key head after the other. */
const grouped: Cause = {
  name: 'order of the query heads',
  alternatives: (model, scope) => [true, false].map((apart) => ({
    text: apart ? 'heads of one group apart from each other in the file' : 'groups of heads apart from each other in the file', model,
    weights: slots(model, scope, (rest, branch, attention) => {
      const which = /^([qo])\.(?:weight|bias)$/.exec(rest)?.[1];
      if (which === undefined || rest === 'o.bias' || attention?.kind !== 'attention' || attention.kvHeads === 1 || attention.kvHeads === attention.heads) return undefined;
      const { heads, kvHeads } = attention;
      const each = heads / kvHeads;
      const source = (h: number): number => (apart ? (h % each) * kvHeads + Math.floor(h / each) : (h % kvHeads) * each + Math.floor(h / kvHeads));
      return { from: `${branch}.${rest}`, transform: (data, shape) => (which === 'q' ? moveBlocks(data, heads, source, 1) : moveBlocks(data, heads, source, shape[0] ?? 1)) };
    }),
  })),
};

/** Each of `rows` rows cut into `count` blocks, block n of which comes from `source(n)`. */
function moveBlocks(data: Float32Array, count: number, source: (block: number) => number, rows: number): Float32Array {
  const result = new Float32Array(data.length);
  const width = data.length / rows, size = width / count;
  for (let r = 0; r < rows; r++) {
    for (let n = 0; n < count; n++) result.set(data.subarray(r * width + source(n) * size, r * width + (source(n) + 1) * size), r * width + n * size);
  }
  return result;
}

/** Tensors that hold several slots, cut otherwise. */
const unpacked: Cause = {
  name: 'fused tensor',
  alternatives: (model, scope) => {
    const recipes = model.recipes;
    if (!recipes) return [];
    const heads = [...new Set(branches(model, scope).flatMap(({ attention }) => (attention ? [attention.heads, attention.kind === 'attention' ? attention.kvHeads : 1] : [])))];
    const inReach = (slot: string): boolean => Number(/^layers\.(\d+)\./.exec(slot)?.[1] ?? -1) >= scope.firstLayer;
    const to = (text: string, change: (recipe: WeightRecipe) => WeightRecipe): Alternative => ({ text, model: { ...model, recipes: (slot) => {
      const recipe = recipes(slot);
      return recipe && inReach(slot) ? change(recipe) : recipe;
    } } });
    return [
      to('its parts one after the other', (recipe) => (recipe.unpack && recipe.unpack.outer > 1
        ? { ...recipe, unpack: { ...recipe.unpack, outer: 1, parts: recipe.unpack.parts.map((part) => part * (recipe.unpack?.outer ?? 1)) } } : recipe)),
      ...others(heads.filter((n) => n > 1), (outer) => [to(`its parts in turn, ${outer} times`, (recipe) => (recipe.unpack && recipe.unpack.outer === 1 && recipe.unpack.parts.every((part) => part % outer === 0)
        ? { ...recipe, unpack: { ...recipe.unpack, outer, parts: recipe.unpack.parts.map((part) => part / outer) } } : recipe))]),
      to('its parts in turn, row by row', (recipe) => (recipe.unpack && recipe.unpack.outer === 1 && recipe.unpack.inner === 1 && recipe.unpack.parts.every((part) => part === recipe.unpack?.parts[0])
        ? { ...recipe, unpack: { ...recipe.unpack, outer: recipe.unpack.parts[0] ?? 1, parts: recipe.unpack.parts.map(() => 1) } } : recipe)),
      to('its parts in the opposite order', (recipe) => (recipe.unpack ? { ...recipe, unpack: { ...recipe.unpack, parts: [...recipe.unpack.parts].reverse(), take: recipe.unpack.parts.length - 1 - recipe.unpack.take } } : recipe)),
    ];
  },
};

export const weightCauses: readonly Cause[] = [exchanged, matrices, grouped, unpacked];
