/** Gives the rows of weights in the order that a plan stores them in. */
import { rowRuns } from '../../compiler/kernels/row-order.ts';
import type { Buffer } from '../../compiler/kernels/types.ts';
import type { WeightProvider } from '../backend.ts';

export function inPlanOrder(weights: WeightProvider, plan: { readonly buffers: readonly Buffer[] }): WeightProvider {
  const ordered = new Map(plan.buffers.filter((b) => b.role === 'weight' && b.rowOrder).map((b) => [b.name, b]));
  if (ordered.size === 0) return weights;
  const runsOf = (slot: string, from?: number, to?: number): { readonly from: number; readonly to: number }[] | undefined => {
    const b = ordered.get(slot);
    const rows = Number(b?.shape[0]);
    return b?.rowOrder && rowRuns(b.rowOrder, rows, from ?? 0, to ?? rows);
  };
  const { readRows, readStored, formatOf } = weights;
  return {
    async read(slot) {
      const runs = runsOf(slot);
      const data = await weights.read(slot);
      if (!runs) return data;
      const row = data.length / Number(ordered.get(slot)?.shape[0]);
      const result = new Float32Array(data.length);
      let at = 0;
      for (const run of runs) { result.set(data.subarray(run.from * row, run.to * row), at); at += (run.to - run.from) * row; }
      return result;
    },
    ...(readRows ? {
      readRows: async (slot: string, from: number, to: number): Promise<Float32Array> => {
        const runs = runsOf(slot, from, to);
        if (!runs) return readRows.call(weights, slot, from, to);
        const parts: Float32Array[] = [];
        for (const run of runs) parts.push(await readRows.call(weights, slot, run.from, run.to));
        const result = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
        let at = 0;
        for (const p of parts) { result.set(p, at); at += p.length; }
        return result;
      },
    } : {}),
    ...(formatOf ? { formatOf: (slot: string) => formatOf.call(weights, slot) } : {}),
    ...(readStored ? {
      readStored: async (slot: string, from: number, to: number, scratch?: Uint8Array): Promise<Uint8Array> => {
        const runs = runsOf(slot, from, to);
        if (!runs) return readStored.call(weights, slot, from, to, scratch);
        const parts: Uint8Array[] = [];
        for (const run of runs) parts.push(await readStored.call(weights, slot, run.from, run.to));
        const result = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
        let at = 0;
        for (const p of parts) { result.set(p, at); at += p.length; }
        return result;
      },
    } : {}),
  };
}
