import { describe, expect, test } from 'vitest';
import { checkConfig } from '../../compiler/config-check.ts';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import type { WeightSlot } from '../../compiler/graph/types.ts';
import { matchesGlob } from '../../compiler/glob.ts';
import { lowerModel } from '../../compiler/lower/lower-model.ts';
import { locateDiagnostics } from '../../compiler/locate.ts';
import { fileShape, preflight } from '../../compiler/preflight.ts';
import type { TensorHeader } from '../../compiler/preflight.ts';
import { resolveModel } from '../../compiler/resolve.ts';
import { recipeView } from '../../runtime/weights/provider.ts';
import { stopwatch } from '../support/stopwatch.ts';
import { loadText, resolved } from './models.ts';

const spec = (weights: string): string => `peel: 1
name: small
params: { heads: 4, d: 8, width: heads * d, kv: 2, e: 3 }
embeddings: { token: { rows: 10, dim: width } }
layers:
  repeat: 2
  residual:
    - { norm: rmsnorm, attention: { heads: heads, kv_heads: kv, bias: { q: true } } }
    - { norm: rmsnorm, ffn: { hidden: 16, activation: relu } }
output: { norm: rmsnorm, linear: { tied: true } }
weights:
  huggingface:
${weights.split('\n').map((line) => `    ${line}`).join('\n')}
`;
const plain = `prefixes: ["", "model."]
ignore: ["*.inv_freq", "extra.{kv}.*"]
tensors:
  embeddings.token: embed
  output.norm: norm
  output.linear: head
  layers.attention.norm: layers.{i}.n1
  layers.attention.{q,k,v,o}: layers.{i}.attn.{}_proj
  layers.ffn.norm: layers.{i}.n2
  layers.ffn.{up,down}: layers.{i}.mlp.{}`;

const load = (weights: string) => {
  const { spec: loaded, diagnostics } = loadText(spec(weights));
  expect(diagnostics).toEqual([]);
  const model = resolved(loaded!, {});
  return { loaded: loaded!, model, slots: lowerModel(model).graph!.weights };
};
const complete = (slots: readonly WeightSlot[], recipes: ReturnType<typeof load>['model']['recipes']): TensorHeader[] => {
  const byName = new Map(slots.map((slot) => {
    const recipe = recipes!(slot.slot)!;
    const shape = fileShape(recipe, slot);
    if (typeof shape === 'string') throw new Error(shape);
    return [recipe.names.at(-1)!, { name: recipe.names.at(-1)!, shape }];
  }));
  return [...byName.values()];
};

describe('preflight', () => {
  const { loaded, model, slots } = load(plain);
  const good = complete(slots, model.recipes);
  const found = (tensors: readonly TensorHeader[]): string[] => preflight(model, slots, tensors, loaded.root).map((d) => formatDiagnostic(d));
  const change = (name: string, shape: number[] | undefined): TensorHeader[] => good.flatMap((t) => (t.name !== name ? t : shape ? { name, shape } : []));

  test('accepts what fits, and what may be ignored', () => {
    expect(found(good)).toEqual([]);
    expect(found([...good, { name: 'model.rotary.inv_freq', shape: [4] }, { name: 'extra.2.w', shape: [1] }, { name: 'head.weight', shape: [10, 32] }])).toEqual([]);
  });
  test('missing, with the nearest name', () => {
    expect(found([...change('model.layers.1.attn.k_proj.weight', undefined), { name: 'model.layers.1.attn.key_proj.weight', shape: [16, 32] }])).toEqual([
      expect.stringMatching(/E704 .*nothing uses the tensor `model.layers.1.attn.key_proj.weight` \[16, 32\]/),
      expect.stringMatching(/^test.yaml:20:7 E703 .*no tensor `layers.1.attn.k_proj.weight` \(nor `model.layers.1.attn.k_proj.weight`\) for `layers.1.attention.k.weight` \(.* = 16x32\); the nearest name in the file is model.layers.1.attn.key_proj.weight$/),
    ]);
  });
  test('mis-shaped, with the derivation', () => {
    expect(found(change('model.layers.0.attn.q_proj.weight', [12, 32]))).toEqual([
      expect.stringMatching(/^test.yaml:20:7 E601 .*model.layers.0.attn.q_proj.weight: heads \* head_dim x dim = 32x32, the file has 12x32$/),
    ]);
    expect(found(change('model.layers.0.attn.q_proj.bias', [12]))).toEqual([expect.stringMatching(/E601 .*q_proj.bias: heads \* head_dim = 32, the file has 12$/)]);
  });
  test('transposed', () => {
    expect(found(change('model.layers.1.mlp.up.weight', [32, 16]))).toEqual([
      expect.stringMatching(/^test.yaml:22:7 E602 .*mlp.up.weight: hidden x dim = 16x32, the file has 32x16: it is transposed; add `transpose: true` to its entry$/),
    ]);
  });
  test('all at once, at most 50', () => {
    expect(found([{ name: 'other', shape: [1] }])).toHaveLength(slots.length + 1);
    expect(found([...good, ...Array.from({ length: 90 }, (_, i) => ({ name: `x${i}`, shape: [1] }))])).toHaveLength(50);
  });
  test('a slot without an entry', () => {
    const partial = load(plain.replace('  output.norm: norm\n', ''));
    expect(preflight(partial.model, partial.slots, good, partial.loaded.root).map((d) => d.code)).toEqual(['E702', 'E704']);
  });
});

describe('recipes', () => {
  const recipe = (weights: string, slot: string) => load(weights).model.recipes!(slot);
  test('fused rows are cut by name, transposed or not', () => {
    const fused = plain.replace('layers.attention.{q,k,v,o}: layers.{i}.attn.{}_proj', `layers.attention.{q,k,v}: { name: "layers.{i}.qkv", transpose: true, unpack: { outer: kv, parts: { q: heads / kv, k: 1, v: 1 }, inner: d } }
  layers.attention.o: layers.{i}.o`);
    expect(recipe(fused, 'layers.1.attention.k.weight')).toEqual({
      names: ['layers.1.qkv.weight', 'model.layers.1.qkv.weight'], path: '/weights/huggingface/tensors/layers.attention.{q,k,v}', transpose: true,
      unpack: { outer: 2, parts: [2, 1, 1], inner: 8, take: 1 },
    });
    const { model, slots } = load(fused);
    const slot = slots.find((s) => s.slot === 'layers.1.attention.k.weight')!;
    expect(fileShape(model.recipes!(slot.slot)!, slot)).toEqual([32, 64]);
  });
  test('the file shape is the one that the loader can cut the slot from', () => {
    const cases: [slot: WeightSlot, recipe: Parameters<typeof fileShape>[0], expected: number[]][] = [
      [{ slot: 'a.weight', shape: [4, 6] }, { names: [], path: '', transpose: true }, [6, 4]],
      [{ slot: 'a.bias', shape: [4] }, { names: [], path: '', unpack: { outer: 2, parts: [1, 2], inner: 1, take: 1 } }, [6]],
      [{ slot: 'l.experts.up.weight', shape: [3, 5, 7] }, { names: [], path: '', batched: true, transpose: true, unpack: { outer: 5, parts: [1, 1], inner: 1, take: 0 } }, [3, 7, 10]],
      [{ slot: 'l.experts.up.bias', shape: [3, 5] }, { names: [], path: '', batched: true, unpack: { outer: 5, parts: [1, 1], inner: 1, take: 0 } }, [3, 10]],
      [{ slot: 'l.k_b.weight', shape: [4, 16, 8] }, { names: [], path: '', transposeInner: true, unpack: { outer: 4, parts: [8, 12], inner: 1, take: 0 } }, [80, 16]],
      [{ slot: 'l.v_b.weight', shape: [4, 12, 16] }, { names: [], path: '', unpack: { outer: 4, parts: [8, 12], inner: 1, take: 1 } }, [80, 16]],
    ];
    for (const [slot, given, expected] of cases) {
      expect(fileShape(given, slot)).toEqual(expected);
      const view = recipeView(given, expected);
      expect(typeof view === 'string' ? view : view.shape.reduce((a, b) => a * b, 1)).toBe(slot.shape.reduce((a, b) => a * b, 1));
    }
  });
  test('candidates, exact endings, conditions, stacks', () => {
    const weights = `tensors:
  embeddings.token: [wte, embed_tokens]
  output.norm.weight: final.gamma
  layers.attention.q: [ { when: i == 0, name: "first.q" }, { name: "rest.{i}.q", transpose: true } ]
  layers.ffn.up: { name: "experts.{e}.up", stack: e }`;
    expect(recipe(weights, 'embeddings.token.weight')!.names).toEqual(['wte.weight', 'embed_tokens.weight']);
    expect(recipe(weights, 'output.norm.weight')!.names).toEqual(['final.gamma']);
    expect(recipe(weights, 'layers.0.attention.q.weight')).toMatchObject({ names: ['first.q.weight'] });
    expect(recipe(weights, 'layers.1.attention.q.weight')).toMatchObject({ names: ['rest.1.q.weight'], transpose: true });
    expect(recipe(weights, 'layers.1.ffn.up.weight')).toMatchObject({ names: ['experts.{e}.up.weight'], stack: 3 });
  });
  test('weights of custom blocks are named whole', () => {
    expect(recipe('tensors:\n  layers.attention.alpha: layers.{i}.alpha', 'layers.1.attention.alpha')).toMatchObject({ names: ['layers.1.alpha'] });
    expect(recipe('tensors:\n  layers.attention: layers.{i}.attn', 'layers.1.attention.wq')).toMatchObject({ names: ['layers.1.attn.wq'] });
  });
});

describe('config.json', () => {
  const base = `peel: 1
params: { dim: { config: hidden_size, default: 8 }, theta: { config: ["rope.*.theta", rope.theta], default: 1 } }
config: { ignore: ["*_dropout", vision_config], expect: { method: [greedy, best], flag: true }, within: [text_config] }`;
  const check = (value: Record<string, unknown>): string[] => {
    const { spec: loaded } = loadText(base);
    return checkConfig(loaded!, { name: 'config.json', value, text: JSON.stringify(value, undefined, 1) }).map((d) => formatDiagnostic(d));
  };
  test('every key is accounted for', () => {
    expect(check({ hidden_size: 3, attn_dropout: 0, method: 'greedy', flag: null, vision_config: { a: { b: 1 } }, rope: { theta: 1, full: { theta: 2 } }, text_config: { hidden_size: 4 } })).toEqual([]);
    expect(check({ hiden_size: 3, rope: { full: { kind: 'x' } }, nothing: null })).toEqual([
      'config.json:2:2 W506 /config the spec does not know the key hiden_size; nearest known: hidden_size',
      expect.stringMatching(/^config.json:5:4 W506 \/config the spec does not know the key rope.full.kind/),
    ]);
  });
  test('a value that the spec does not describe is an error', () => {
    expect(check({ method: 'slow', flag: true })).toEqual(['config.json:2:2 E505 /config/expect/method method is "slow", but the spec describes only "greedy" or "best"']);
  });
  test('two spellings of one value that disagree are named, with the one that counts', () => {
    const { spec: loaded } = loadText('peel: 1\nparams: { theta: { config: [rope_parameters.theta, rope_theta], default: 1 }, dim: { config: [hidden_size, n_embd, d] } }\nconfig: { within: [text_config] }');
    const found = (value: Record<string, unknown>): string[] =>
      checkConfig(loaded!, { name: 'config.json', value, text: JSON.stringify(value, undefined, 1) }).map((d) => formatDiagnostic(d));
    expect(found({ rope_parameters: { theta: 10 }, rope_theta: 20, n_embd: 4, d: 4 })).toEqual([
      'config.json:5:2 W507 /params/theta rope_parameters.theta is 10, but rope_theta is 20; both give the param `theta`; rope_parameters.theta counts; remove the other one',
    ]);
    expect(found({ text_config: { n_embd: 4 }, d: 5 })).toEqual([expect.stringContaining('W507 /params/dim n_embd is 4, but d is 5')]);
    expect(found({ rope_parameters: { theta: 10 }, rope_theta: 10, hidden_size: null, n_embd: 4 })).toEqual([]);
  });
  test('nested configurations are read first', () => {
    const { spec: loaded } = loadText(`${base}\nembeddings: { token: { rows: 4, dim: dim } }\nlayers: { repeat: 0, residual: [] }`);
    expect(resolveModel(loaded!, { config: { hidden_size: 3, text_config: { hidden_size: 4 } } }).model!.dim).toBe(4);
  });
});

test('a problem in a custom block points into its expression', () => {
  const { spec: loaded } = loadText(`peel: 1
embeddings: { token: { rows: 4, dim: 8 } }
blocks: { mine: { body: [ { y: "x + sillu(x)" } ] } }
layers: { repeat: 1, residual: [ { id: a, block: { use: mine } } ] }`);
  const { diagnostics } = lowerModel(resolveModel(loaded!, {}).model!);
  expect(locateDiagnostics(loaded!.root, diagnostics).map((d) => formatDiagnostic(d))).toEqual([expect.stringMatching(/^test.yaml:3:37 E405 .*sillu.*did you mean `silu`\?$/)]);
});

test('globs are matched without backtracking explosions', () => {
  expect(matchesGlob('a.*.c', 'a.b.b.c')).toBe(true);
  expect(matchesGlob('*a', 'ba')).toBe(true);
  expect(matchesGlob('a*', 'b')).toBe(false);
  expect(matchesGlob('**', '')).toBe(true);
  const time = stopwatch();
  expect(matchesGlob('*a'.repeat(500) + 'b', 'a'.repeat(10_000))).toBe(false);
  expect(time()).toBeLessThan(1000);
});
