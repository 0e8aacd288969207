/** Reads stored rows of weights part by part, the next part while the last is in use. */
import { InternalError } from '../../compiler/diagnostics.ts';
import type { WeightProvider } from '../backend.ts';

/** Rows `from`..`to` of a slot, all axes but the last flattened into rows, which take `bytes`. */
export interface StoredPart {
  readonly slot: string;
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

/** The parts with their bytes, which hold until the next ones are asked for: two pieces of memory take turns. */
export async function* readAhead<P extends StoredPart>(weights: WeightProvider, parts: Iterable<P>): AsyncGenerator<{ readonly part: P; readonly stored: Uint8Array }> {
  let [next, last] = [new Uint8Array(0), new Uint8Array(0)];
  const begin = (part: P): { readonly part: P; readonly stored: Promise<Uint8Array> } => {
    if (!weights.readStored) throw new InternalError('weights', `${part.slot} is to be read as it is stored, which its provider cannot do`);
    [next, last] = [last, next.length >= part.bytes ? next : new Uint8Array(part.bytes)];
    const stored = weights.readStored(part.slot, part.from, part.to, last);
    // Where something fails before its turn, nobody asks for it any more.
    stored.catch(() => undefined);
    return { part, stored };
  };
  let coming: ReturnType<typeof begin> | undefined;
  for (const part of parts) {
    const before = coming;
    coming = begin(part);
    if (before) yield { part: before.part, stored: await before.stored };
  }
  if (coming) yield { part: coming.part, stored: await coming.stored };
}
