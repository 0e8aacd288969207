/** Where the elements of a buffer lie in memory. */
import { cellBytes, cellRows, type CellFormat } from '../../compiler/cell-layout.ts';
import type { CellKind } from './emit/cell-products.ts';
import { add, div, indexKey, int, mod, mul } from '../../compiler/kernels/index-expression.ts';
import { simplifyIndex, type Extents } from '../../compiler/kernels/simplify-index.ts';
import type { DimName, Index, Shape } from '../../compiler/kernels/scalar.ts';

/**
 * How a weight is stored.
 * rows: row-major. blocks: the matrix's rows in blocks of 8, and in a block the 8 elements of one column side by side, so that a
 * product reads one sequential stream and needs no horizontal sums: element (n, k) of [N, K] is at ((n / 8) K + k) 8 + n % 8, and
 * the last block is filled up with zeros. A stack of matrices [groups, N, K] is one such block list after another.
 * Packed: 16-bit numbers in the same blocks, or quantised numbers in cells (compiler/cell-layout.ts), in the order of words that their products need.
 */
export type Packed = { readonly packed: 'f16' | 'bf16' } | { readonly packed: CellFormat; readonly kind: CellKind };
export type Format = 'rows' | 'blocks' | Packed;
export const blockRows = cellRows;

export const isPacked = (format: Format): format is Packed => typeof format === 'object';
export const isCells = (format: Format): format is Exclude<Packed, { packed: 'f16' | 'bf16' }> => typeof format === 'object' && 'kind' in format;

/** Bytes that a buffer of this shape takes, padding included. */
export function storedBytes(shape: readonly number[], format: Format): number {
  if (isCells(format)) return cellBytes(format.packed, shape);
  return isPacked(format) ? 2 * storedElements(shape, 'blocks') : 4 * storedElements(shape, format);
}

/** Elements that a buffer of this shape takes, padding included; of packed ones, those that it stands for. */
export function storedElements(shape: readonly number[], format: Format): number {
  const count = shape.reduce((product, d) => product * d, 1);
  if (format !== 'blocks') return count;
  const rows = shape[shape.length - 2] ?? 1;
  return (count / rows) * Math.ceil(rows / blockRows) * blockRows;
}

/** A sum of indices, each times a product of run-time dimensions: an element's number in a buffer with symbolic inner axes. */
export type Linear = readonly { readonly index: Index; readonly dims: readonly DimName[] }[];

export function linearKey(linear: Linear): string {
  return linear.map((t) => `${t.dims.join('*')}:${indexKey(t.index)}`).join('+');
}

export function mapLinear(linear: Linear, change: (index: Index) => Index): Linear {
  return linear.map((t) => ({ index: change(t.index), dims: t.dims }));
}

/** The element's number, in memory order. */
export function linearize(index: readonly Index[], shape: Shape, format: Format, extents: Extents): Linear {
  if (format === 'blocks') return [{ index: simplifyIndex(blockElement(index, shape), extents), dims: [] }];
  const groups = new Map<string, { index: Index; readonly dims: readonly DimName[] }>();
  let stride = 1;
  let dims: DimName[] = [];
  for (let n = shape.length - 1; n >= 0; n--) {
    const key = dims.join('*');
    const term = mul(index[n] ?? int(0), stride);
    const group = groups.get(key);
    groups.set(key, { index: group ? add(group.index, term) : term, dims });
    const d = shape[n] ?? 1;
    if (typeof d === 'number') stride *= d;
    else dims = [...dims, d].sort();
  }
  return mapLinear([...groups.values()], (i) => simplifyIndex(i, extents));
}

function blockElement(index: readonly Index[], shape: Shape): Index {
  const rows = Number(shape[shape.length - 2]);
  const k = Number(shape[shape.length - 1]);
  const n = index[shape.length - 2] ?? int(0);
  const column = index[shape.length - 1] ?? int(0);
  const within = add(add(mul(div(n, blockRows), blockRows * k), mul(column, blockRows)), mod(n, blockRows));
  let group: Index = int(0);
  for (let a = 0; a < shape.length - 2; a++) group = add(mul(group, Number(shape[a])), index[a] ?? int(0));
  return add(mul(group, Math.ceil(rows / blockRows) * blockRows * k), within);
}
