/** What passes make of kernels is worked out once for those that are alike. */
import { describe, expect, it } from 'vitest';
import { add, axis, int } from '../../../compiler/kernels/index-expression.ts';
import { binary, constant, load } from '../../../compiler/kernels/scalar-expression.ts';
import { Alike, kernelKey } from '../../../compiler/passes/alike.ts';
import type { Kernel, LinearKernel, NestKernel } from '../../../compiler/kernels/types.ts';
import type { Index, Scalar } from '../../../compiler/kernels/scalar.ts';

const nest = (id: number, target: number, value: Scalar, index: Index = axis(0)): NestKernel =>
  ({ kind: 'nest', id, origin: { label: `layer ${id}` }, nodes: [id], sources: [], space: [8], stores: [{ buffer: target, index: [index], value }] });
const read = (source: number): Scalar => load(source, [axis(0)]);
const sum = (a: number, b: number): Scalar => binary('add', read(a), read(b));

/** Says how often something was worked out. */
function counted(): { readonly made: () => number; readonly doubled: (kernel: NestKernel) => Kernel | undefined } {
  const alike = new Alike();
  let made = 0;
  return {
    made: () => made,
    doubled: (kernel) => alike.kernel<Kernel, undefined>(kernel, (name) => [kernelKey(kernel, name)], () => {
      made++;
      const [store] = kernel.stores;
      return store && { ...kernel, stores: [{ ...store, value: binary('mul', store.value, constant(2)) }] };
    }),
  };
}

describe('kernels that are alike', () => {
  it('gives the result over the buffers of the kernel that it is for, with its id, origin and nodes', () => {
    const { made, doubled } = counted();
    doubled(nest(1, 10, sum(11, 12)));
    expect(doubled(nest(2, 20, sum(3, 22)))).toEqual({ ...nest(2, 20, binary('mul', sum(3, 22), constant(2))) });
    expect(made()).toBe(1);
  });

  it.each<[string, NestKernel]>([
    ['reads one buffer twice', nest(2, 20, sum(21, 21))],
    ['reads what it writes', nest(2, 20, sum(20, 22))],
    ['reads another element', nest(2, 20, binary('add', read(21), load(22, [add(axis(0), int(1))])))],
    ['stores elsewhere', nest(2, 20, sum(21, 22), int(0))],
    ['is of another size', { ...nest(2, 20, sum(21, 22)), space: [9] }],
    ['computes something else', nest(2, 20, binary('sub', read(21), read(22)))],
  ])('works it out again for a kernel that %s', (_, other) => {
    const { made, doubled } = counted();
    doubled(nest(1, 10, sum(11, 12)));
    expect(doubled(other)).toEqual({ ...other, stores: other.stores.map((s) => ({ ...s, value: binary('mul', s.value, constant(2)) })) });
    expect(made()).toBe(2);
  });

  it('tells negative zero from zero', () => {
    const { made, doubled } = counted();
    doubled(nest(1, 10, binary('add', read(11), constant(0))));
    doubled(nest(2, 20, binary('add', read(21), constant(-0))));
    expect(made()).toBe(2);
  });

  it('remembers a refusal', () => {
    const alike = new Alike();
    const facts = (kernel: Kernel) => (name: (id: number) => number): string[] => [kernelKey(kernel, name)];
    const [a, b] = [nest(1, 10, sum(11, 12)), nest(2, 20, sum(21, 22))];
    expect(alike.kernel<Kernel, string>(a, facts(a), () => 'too large')).toBe('too large');
    expect(alike.kernel<Kernel, string>(b, facts(b), () => b)).toBe('too large');
  });

  it('puts the buffers of a product\'s weights, choice and input in their places', () => {
    const product = (id: number, first: number): LinearKernel => ({
      kind: 'linear', id, origin: { label: `${id}` }, nodes: [id], sources: [], group: 'expert', rowShape: ['T', 2], k: 4, order: 'stacked', granule: 1,
      weights: [{ buffer: first, rows: 4 }], input: load(first + 1, [axis(0), axis(2)]), choice: { source: first + 2, index: [axis(0), axis(1)] },
      stores: [{ buffer: first + 3, index: [axis(0), axis(1), axis(2)], value: { op: 'accumulator', index: [axis(0), axis(1), axis(2)] }, from: 0, to: 4 }],
    });
    const alike = new Alike();
    const facts = (kernel: Kernel) => (name: (id: number) => number): string[] => [kernelKey(kernel, name)];
    const [a, b] = [product(1, 10), product(2, 50)];
    alike.kernel<Kernel, string>(a, facts(a), () => ({ ...a, granule: 2 }));
    expect(alike.kernel<Kernel, string>(b, facts(b), () => 'not asked')).toEqual({ ...b, granule: 2 });
  });
});
