/** Random weights, so that a spec runs before it is trained: the same for the same seed, on every device. */
import type { WeightSlot } from '../../compiler/graph/types.ts';
import { InternalError } from '../../compiler/diagnostics.ts';
import type { WeightProvider } from '../backend.ts';
import { randomSource } from '../sampling/random.ts';

/** FNV-1a, so that each slot has numbers of its own whatever the order of reading. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** Matrices are normal with variance 1 / columns, vectors near 1 (weights) or near 0 (biases). */
export class RandomProvider implements WeightProvider {
  private readonly slots: ReadonlyMap<string, WeightSlot>;
  constructor(slots: readonly WeightSlot[], private readonly seed: number) {
    this.slots = new Map(slots.map((slot) => [slot.slot, slot]));
  }
  /** All numbers of a slot are made at once. */
  bytesToRead(slot: string): number {
    return 4 * (this.slots.get(slot)?.shape ?? []).reduce((a, b) => a * b, 1);
  }

  read(slot: string): Promise<Float32Array> {
    const shape = this.slots.get(slot)?.shape;
    if (!shape) throw new InternalError('weights', `slot '${slot}' is not one of the graph's`);
    const random = randomSource(hash(slot) ^ this.seed);
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const bias = slot.endsWith('bias');
    const matrix = shape.length > 1 && !bias;
    const [mean, deviation] = matrix ? [0, 1 / Math.sqrt(shape.at(-1) ?? 1)] : bias ? [0, 0.02] : [1, 0.05];
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < data.length; i++) data[i] = mean + deviation * normal();
    return Promise.resolve(data);
  }
}
