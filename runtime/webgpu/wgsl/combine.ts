/**
 * How the threads of a workgroup combine what each has into one value that all of them get. Through workgroup memory in halves, or, where
 * the adapter has subgroups, by a subgroup operation, one exchange through workgroup memory, and a subgroup operation again. Nothing is
 * assumed of a subgroup: neither its size, nor that all its lanes exist, nor which threads of the workgroup are in it.
 */
import { floatLiteral, type Emitter } from './emitter.ts';
import { reduceStart } from '../../../compiler/kernels/scalar-functions.ts';
import type { Module } from './module.ts';
import type { ReduceFunction } from '../../../compiler/kernels/scalar.ts';

/**
 * Writes statements that combine each of `values` (f32 expressions, one a thread) over a workgroup of `size` threads, a power of two.
 * `scratch` is workgroup memory of at least `size` floats a value, free before and after. Control flow must be uniform here.
 * Gives the names of the results, the same in every thread. A maximum or minimum of anything with a NaN is a NaN.
 */
export function combine(module: Module, emitter: Emitter, fn: ReduceFunction, values: readonly string[], size: number, scratch: string): string[] {
  return module.subgroups ? bySubgroups(module, emitter, fn, values, size, scratch) : byHalves(emitter, fn, values, size, scratch);
}

function byHalves(emitter: Emitter, fn: ReduceFunction, values: readonly string[], size: number, scratch: string): string[] {
  const other = emitter.fresh('n');
  const at = (lane: string, n: number): string => `${scratch}[${n === 0 ? lane : `${lane} + ${n * size}`}]`;
  emitter.write('workgroupBarrier();', ...values.map((value, n) => `${at('lane', n)} = ${value};`), 'workgroupBarrier();',
    `for (var ${other}: i32 = ${size / 2}; ${other} > 0; ${other} >>= 1u) {`,
    `  if (lane < ${other}) { ${values.map((_, n) => `${at('lane', n)} = ${emitter.step(fn, at('lane', n), at(`lane + ${other}`, n))};`).join(' ')} }`,
    '  workgroupBarrier();', '}');
  return values.map((_, n) => {
    const total = emitter.fresh('r');
    emitter.write(`let ${total} = ${at('0', n)};`);
    return total;
  });
}

/**
 * Every subgroup's first lane leaves the subgroup's result in its own place of workgroup memory, all others the neutral value; each
 * subgroup then takes in the whole of it, a lane every so many places. So all subgroups get the result, in the same order each time.
 */
function bySubgroups(module: Module, emitter: Emitter, fn: ReduceFunction, values: readonly string[], size: number, scratch: string): string[] {
  const neutral = floatLiteral(reduceStart(fn), (f) => module.use(f));
  const at = (place: string, n: number): string => `${scratch}[${n === 0 ? place : `${place} + ${n * size}`}]`;
  const place = emitter.fresh('n');
  const own = values.map((value) => {
    const name = emitter.fresh('g');
    emitter.write(`let ${name} = ${subgroup(module, fn, value)};`);
    return name;
  });
  emitter.write('workgroupBarrier();', ...own.map((name, n) => `${at('lane', n)} = select(${neutral}, ${name}, subgroupRank == 0);`), 'workgroupBarrier();');
  const rest = own.map(() => emitter.fresh('g'));
  emitter.write(...rest.map((name) => `var ${name}: f32 = ${neutral};`),
    `for (var ${place}: i32 = subgroupRank; ${place} < ${size}; ${place} += subgroupLanes) {`,
    ...rest.map((name, n) => `  ${name} = ${emitter.step(fn, name, at(place, n))};`), '}');
  return rest.map((name) => {
    const total = emitter.fresh('r');
    emitter.write(`let ${total} = ${subgroup(module, fn, name)};`);
    return total;
  });
}

/** A subgroup's result. WGSL leaves open what the extremum of a NaN is, so those are looked for. */
function subgroup(module: Module, fn: ReduceFunction, value: string): string {
  switch (fn) {
    case 'sum': return `subgroupAdd(${value})`;
    case 'max': case 'min':
      module.use('bits');
      module.use('isNan');
      return `select(${fn === 'max' ? 'subgroupMax' : 'subgroupMin'}(${value}), bits(0x7fc00000u), subgroupAny(isNan(${value})))`;
    default: return fn satisfies never;
  }
}
