/**
 * Which rows of N belong together: those whose accumulators one store needs at once (the two halves of a rotated pair, a gate and
 * its up). A thread that computes a whole group needs no other thread's results.
 */
import type { Index, Scalar } from '../../../compiler/kernels/scalar.ts';
import { visitScalar } from '../../../compiler/kernels/scalar-expression.ts';
import type { LinearKernel } from '../../../compiler/kernels/types.ts';

export interface RowGroups {
  /** Rows that a thread computes. */
  readonly each: number;
  readonly threads: number;
  /** Row c of thread t at [c * threads + t], -1 for none; absent where it is t * each + c. */
  readonly table?: Int32Array;
}

/** Groups of at most `most` rows, `rows` rows in all; undefined where stores reach further or which rows they use depends on more than the point. */
export function rowGroups(kernel: LinearKernel, rows: number, most: number): RowGroups | undefined {
  const perPoint = kernel.order === 'interleaved' ? kernel.weights.length : 1;
  const rank = kernel.rowShape.length;
  const parent = Int32Array.from({ length: rows }, (_, n) => n);
  const find = (n: number): number => {
    let root = n;
    while (parent[root] !== root) root = parent[root] as number;
    parent[n] = root;
    return root;
  };
  for (const store of kernel.stores) {
    const used = usedRows(store.value);
    for (let point = store.from; point < store.to; point++) {
      const own = find(point * perPoint);
      for (const index of used) {
        const row = evaluate(index, rank, point);
        if (row === undefined || row < 0 || row >= rows) return undefined;
        parent[find(row)] = own;
      }
    }
  }
  const groups = new Map<number, number[]>();
  for (let n = 0; n < rows; n++) {
    const root = find(n);
    const group = groups.get(root);
    if (group) group.push(n);
    else groups.set(root, [n]);
  }
  const each = [...groups.values()].reduce((n, g) => Math.max(n, g.length), 1);
  if (each > most) return undefined;
  // Whole groups are put together until a thread is full.
  const threads: number[][] = [];
  for (const group of groups.values()) {
    const last = threads.at(-1);
    if (last && last.length + group.length <= each) last.push(...group);
    else threads.push([...group]);
  }
  if (rows % each === 0 && threads.every((t, n) => t.length === each && t.every((row, c) => row === n * each + c))) return { each, threads: threads.length };
  const table = new Int32Array(threads.length * each).fill(-1);
  threads.forEach((t, n) => t.forEach((row, c) => { table[c * threads.length + n] = row; }));
  return { each, threads: threads.length, table };
}

/** The last index of every distinct accumulator. */
function usedRows(value: Scalar): Index[] {
  const found: Index[] = [];
  visitScalar(value, (x) => {
    const last = x.op === 'accumulator' ? x.index.at(-1) : undefined;
    if (last) found.push(last);
  });
  return found;
}

/** The value at `point` on the last axis; undefined where it depends on anything else. */
function evaluate(index: Index, rank: number, point: number): number | undefined {
  const part = (i: Index): number => evaluate(i, rank, point) ?? NaN;
  let value: number;
  switch (index.op) {
    case 'int': return index.value;
    case 'axis': return index.axis === rank ? point : undefined;
    case 'dim': case 'at': return undefined;
    case 'add': value = part(index.a) + part(index.b); break;
    case 'sub': value = part(index.a) - part(index.b); break;
    case 'min': value = Math.min(part(index.a), part(index.b)); break;
    case 'max': value = Math.max(part(index.a), part(index.b)); break;
    case 'mul': value = part(index.a) * index.by; break;
    case 'div': value = Math.floor(part(index.a) / index.by); break;
    case 'mod': value = part(index.a) - Math.floor(part(index.a) / index.by) * index.by; break;
    default: return index satisfies never;
  }
  return Number.isNaN(value) ? undefined : value;
}
