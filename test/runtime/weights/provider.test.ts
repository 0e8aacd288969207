import { afterAll, describe, expect, it } from 'vitest';
import type { WeightRecipe } from '../../../compiler/model.ts';
import { halfToFloat } from '../../../runtime/weights/element.ts';
import { RecipeProvider, recipeView } from '../../../runtime/weights/provider.ts';
import { openSafetensors, type TensorSource } from '../../../runtime/weights/safetensors.ts';
import { encodeSafetensors } from '../../../runtime/weights/writer.ts';
import { problemsOf, temporaryFolder } from './files.ts';

const root = temporaryFolder();
const open: TensorSource[] = [];
afterAll(async () => {
  await Promise.all(open.map((s) => s.dispose()));
  root.remove();
});

const recipe = (more: Partial<WeightRecipe>): WeightRecipe => ({ names: ['w'], path: '/weights/w', ...more });
let files = 0;

/** What slot `slot` of shape `shape` gets from tensors whose elements count 0, 1, 2, ... */
async function provider(tensors: Record<string, number[]>, slot: string, shape: number[], how: WeightRecipe | undefined): Promise<RecipeProvider> {
  const map = new Map(Object.entries(tensors).map(([name, s]) => {
    const n = s.reduce((a, b) => a * b, 1);
    return [name, { dtype: 'F32' as const, shape: s, data: Float32Array.from({ length: n }, (_, i) => i) }];
  }));
  const source = await openSafetensors(root.file(`p${files++}.safetensors`, encodeSafetensors(map)));
  open.push(source);
  return new RecipeProvider(source, [{ slot, shape }], () => how, 'file');
}
async function get(tensors: Record<string, number[]>, shape: number[], how: Partial<WeightRecipe>, slot = 's.weight'): Promise<number[]> {
  return [...(await (await provider(tensors, slot, shape, recipe(how))).read(slot))];
}

describe('recipes', () => {
  it('takes a tensor as it is, the second name where the first is absent, and a fill where both are', async () => {
    expect(await get({ w: [2, 2] }, [2, 2], {})).toEqual([0, 1, 2, 3]);
    expect(await get({ v: [2] }, [2], { names: ['w', 'v'] })).toEqual([0, 1]);
    expect(await get({ v: [2] }, [2], { fill: 1.5 })).toEqual([1.5, 1.5]);
  });
  it('transposes', async () => {
    expect(await get({ w: [2, 3] }, [3, 2], { transpose: true })).toEqual([0, 3, 1, 4, 2, 5]);
    expect(await get({ w: [2, 2, 3] }, [2, 3, 2], { transpose: true, batched: true })).toEqual([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    const big = await get({ w: [70, 100] }, [100, 70], { transpose: true });
    expect(big[3 * 70 + 65]).toBe(65 * 100 + 3);
  });
  it('unpacks parts of rows, blocked and interleaved, of matrices and biases', async () => {
    const qkv = { outer: 1, parts: [2, 1, 1], inner: 1 };
    expect(await get({ w: [4, 2] }, [2, 2], { unpack: { ...qkv, take: 0 } })).toEqual([0, 1, 2, 3]);
    expect(await get({ w: [4, 2] }, [1, 2], { unpack: { ...qkv, take: 2 } })).toEqual([6, 7]);
    expect(await get({ w: [4] }, [1], { unpack: { ...qkv, take: 1 } }, 's.bias')).toEqual([2]);
    const perHead = { outer: 2, parts: [1, 1], inner: 2 };
    expect(await get({ w: [8, 1] }, [4, 1], { unpack: { ...perHead, take: 1 } })).toEqual([2, 3, 6, 7]);
    expect(await get({ w: [2, 4] }, [2, 2], { transpose: true, unpack: { outer: 2, parts: [1, 1], inner: 1, take: 1 } })).toEqual([1, 5, 3, 7]);
  });
  it('unpacks within each expert of a stacked tensor, and its bias', async () => {
    const gateUp = { outer: 2, parts: [1, 1], inner: 1 };
    expect(await get({ w: [2, 1, 4] }, [2, 2, 1], { batched: true, transpose: true, unpack: { ...gateUp, take: 0 } })).toEqual([0, 2, 4, 6]);
    expect(await get({ w: [2, 4] }, [2, 2], { batched: true, unpack: { ...gateUp, take: 1 } }, 's.bias')).toEqual([1, 3, 5, 7]);
  });
  it('stacks experts', async () => {
    expect(await get({ 'e.0.w': [1, 2], 'e.1.w': [1, 2] }, [2, 1, 2], { names: ['e.{e}.w'], stack: 2 })).toEqual([0, 1, 0, 1]);
    expect(await get({ 'e.0.w': [2, 1], 'e.1.w': [2, 1] }, [2, 1, 2], { names: ['e.{e}.w'], stack: 2, transpose: true })).toEqual([0, 1, 0, 1]);
  });
  it('swaps within blocks for the absorbed key matrix', async () => {
    const unpack = { outer: 2, parts: [2, 1], inner: 1 };
    expect(await get({ w: [6, 2] }, [2, 2, 2], { unpack: { ...unpack, take: 0 }, transposeInner: true })).toEqual([0, 2, 1, 3, 6, 8, 7, 9]);
    expect(await get({ w: [6, 2] }, [2, 1, 2], { unpack: { ...unpack, take: 1 } })).toEqual([4, 5, 10, 11]);
  });
  it('reads rows of a plain matrix, of a transposed one and of a part', async () => {
    const rows = async (shape: number[], how: Partial<WeightRecipe>, file: number[]): Promise<number[]> =>
      [...(await (await provider({ w: file }, 's.weight', shape, recipe(how))).readRows('s.weight', 1, 3))];
    expect(await rows([4, 2], {}, [4, 2])).toEqual([2, 3, 4, 5]);
    expect(await rows([3, 2], { transpose: true }, [2, 3])).toEqual([1, 4, 2, 5]);
    expect(await rows([3, 1], { unpack: { outer: 1, parts: [1, 3], inner: 1, take: 1 } }, [4, 1])).toEqual([2, 3]);
  });
});

describe('what does not fit', () => {
  it('says so for every slot, naming tensor, shapes and the spec', async () => {
    const mis = await provider({ w: [3, 2] }, 's.weight', [2, 3], recipe({}));
    expect(mis.check().map((d) => `${d.code} ${d.path} ${d.message}`)).toEqual([
      `E601 /weights/w tensor 'w': has shape [3, 2], slot 's.weight' needs [2, 3]`]);
    const missing = await provider({ v: [1] }, 's.weight', [2, 3], recipe({ names: ['w', 'u'] }));
    expect(missing.check()[0]?.message).toBe(`tensor 'w' or 'u': is missing: slot 's.weight' [2, 3] needs it`);
    expect((await problemsOf(missing.read('s.weight'))).exitCode).toBe(11);
    const experts = await provider({ 'e.0': [1, 1] }, 's.weight', [3, 1, 1], recipe({ names: ['e.{e}'], stack: 3 }));
    expect(experts.check().map((d) => d.code)).toEqual(['E703', 'E703']);
    expect((await provider({ w: [1] }, 's.weight', [1], undefined)).check()[0]?.message).toMatch(/no entry/);
    expect(recipeView(recipe({ unpack: { outer: 1, parts: [2, 2], inner: 1, take: 0 } }), [5, 2])).toBe('its 5 rows are not 1 x (2 + 2) x 1');
  });
});

describe('stored rows', () => {
  /** Tensors of halves; the value of element i is i. */
  async function halves(tensors: Record<string, number[]>, shape: number[], how: Partial<WeightRecipe>): Promise<RecipeProvider> {
    const map = new Map(Object.entries(tensors).map(([name, s]) => {
      const n = s.reduce((a, b) => a * b, 1);
      return [name, { dtype: 'F16' as const, shape: s, data: Float32Array.from({ length: n }, (_, i) => i) }];
    }));
    const source = await openSafetensors(root.file(`p${files++}.safetensors`, encodeSafetensors(map)));
    open.push(source);
    return new RecipeProvider(source, [{ slot: 's.weight', shape }], () => recipe(how), 'file');
  }
  const numbers = (bytes: Uint8Array): number[] => [...new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2)].map(halfToFloat);

  it('come as they are, parts of fused tensors and stacks too, over any range', async () => {
    const plain = await halves({ w: [4, 3] }, [4, 3], {});
    expect(plain.formatOf('s.weight')).toBe('f16');
    expect(numbers(await plain.readStored('s.weight', 1, 3))).toEqual([3, 4, 5, 6, 7, 8]);
    const part = await halves({ w: [8, 3] }, [4, 3], { unpack: { outer: 2, parts: [1, 1], inner: 2, take: 1 } });
    expect(numbers(await part.readStored('s.weight', 1, 4))).toEqual([9, 10, 11, 18, 19, 20, 21, 22, 23]);
    const stack = await halves({ 'w.0': [2, 3], 'w.1': [2, 3] }, [2, 2, 3], { names: ['w.{e}'], stack: 2 });
    expect(numbers(await stack.readStored('s.weight', 1, 3))).toEqual([3, 4, 5, 0, 1, 2]);
  });
  it('are not to be had of transposed matrices and of vectors', async () => {
    expect((await halves({ w: [3, 4] }, [4, 3], { transpose: true })).formatOf('s.weight')).toBe('f32');
    expect((await halves({ w: [3] }, [3], {})).formatOf('s.weight')).toBe('f32');
  });
});
