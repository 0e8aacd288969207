/** Reads stored rows of weights part by part, the next part while the last is in use. */
import { InternalError } from '../../compiler/diagnostics.ts';
import type { WeightProvider } from '../backend.ts';

/** Rows `from`..`to` of a slot, all axes but the last flattened into rows. */
export interface StoredPart {
  readonly slot: string;
  readonly from: number;
  readonly to: number;
}

/** The parts with the piece of memory that their bytes begin, until the next ones are asked for: two pieces, large enough for any part, take turns. */
export async function* readAhead<P extends StoredPart>(
  weights: WeightProvider, parts: Iterable<P>, pieces: readonly [Uint8Array, Uint8Array],
): AsyncGenerator<{ readonly part: P; readonly piece: Uint8Array }> {
  let [next, last] = pieces;
  const read = async ({ slot, from, to }: P, piece: Uint8Array): Promise<Uint8Array> => {
    if (!weights.readStored) throw new InternalError('weights', `${slot} is to be read as it is stored, which its provider cannot do`);
    const stored = await weights.readStored(slot, from, to, piece);
    if (stored.buffer !== piece.buffer || stored.byteOffset !== piece.byteOffset) piece.set(stored);
    return piece;
  };
  const begin = (part: P): { readonly part: P; readonly piece: Promise<Uint8Array> } => {
    const piece = read(part, next);
    [next, last] = [last, next];
    // Where something fails before its turn, nobody asks for it any more.
    piece.catch(() => undefined);
    return { part, piece };
  };
  let coming: ReturnType<typeof begin> | undefined;
  for (const part of parts) {
    const before = coming;
    coming = begin(part);
    if (before) yield { part: before.part, piece: await before.piece };
  }
  if (coming) yield { part: coming.part, piece: await coming.piece };
}
