/** The order in which a matrix's rows are stored, where that is not their own. */

/** Rows come in blocks of `block` (the heads of a projection): first the first `first` rows of every block, then the other rows of every block. */
export interface RowOrder {
  readonly block: number;
  readonly first: number;
}

/** The row that is stored at `place`, of `rows` rows. */
export function rowAt({ block, first }: RowOrder, rows: number, place: number): number {
  const before = (rows / block) * first;
  if (place < before) return Math.floor(place / first) * block + (place % first);
  const [other, rest] = [place - before, block - first];
  return Math.floor(other / rest) * block + first + (other % rest);
}

/** The rows stored at places `from`..`to`, as runs of consecutive rows. */
export function rowRuns(order: RowOrder, rows: number, from: number, to: number): { readonly from: number; readonly to: number }[] {
  const runs: { from: number; to: number }[] = [];
  for (let place = from; place < to; place++) {
    const row = rowAt(order, rows, place);
    const last = runs.at(-1);
    if (last?.to === row) last.to = row + 1;
    else runs.push({ from: row, to: row + 1 });
  }
  return runs;
}
