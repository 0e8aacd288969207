/** Hypotheses about what makes a model compute something else than was expected. */
import type { Model } from '../../../compiler/model.ts';

/** What may have been wrong, by where the numbers begin to differ: all layers from one on are changed alike, and with them what is behind. */
export interface Scope {
  readonly embeddings: boolean;
  readonly firstLayer: number;
  /** Whether the output's own parts may be what is wrong. */
  readonly output: boolean;
}

/** Another content for a slot: that of slot `from`, its numbers changed. */
export interface SlotChange {
  readonly from: string;
  readonly transform?: (data: Float32Array, shape: readonly number[]) => Float32Array;
}

export type WeightChange = (slot: string, shape: readonly number[]) => SlotChange | undefined;

/** A model that would be right if the hypothesis were. */
export interface Alternative {
  /** Such as `'interleaved' in place of 'half'`. */
  readonly text: string;
  readonly model: Model;
  readonly weights?: WeightChange;
}

export interface Cause {
  /** Such as `rotary pairing`. */
  readonly name: string;
  /** The alternatives that make sense for a model; none where it has nothing of the kind. */
  readonly alternatives: (model: Model, scope: Scope) => readonly Alternative[];
}
