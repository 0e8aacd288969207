/** Weights quantised while they are loaded: a few rows at a time, so that only those are ever in memory as f32. */
import { InternalError } from '../../compiler/diagnostics.ts';
import { formatBytes, type WeightFormat } from '../../compiler/formats.ts';
import type { WeightSlot } from '../../compiler/graph/types.ts';
import { storedAs, type QuantisedForm } from '../../compiler/quantise-choice.ts';
import type { WeightProvider } from '../backend.ts';
import { dequantiser, type Dequantise } from './dequantise.ts';
import { weightError, weightProblem } from './problem.ts';
import { quantise } from './quantise.ts';

/** Most f32 bytes that are read at once to be quantised. A slot that cannot be read in parts is read whole. */
const bandBytes = 16 << 20;

/** Beyond this a scale would not fit in an f16. */
const largest = 5e5;

interface Band { readonly slot: string; readonly from: number; readonly to: number; readonly bytes: Promise<Uint8Array> }

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Another provider's weights, those of `forms` quantised. Errors (exit code 11) where such a weight holds NaN, infinity or numbers beyond 5e5. */
export class QuantisingProvider implements WeightProvider {
  private readonly slots: ReadonlyMap<string, WeightSlot>;
  /** The bands asked for last, whole: rows are asked for in smaller pieces, mostly in order. */
  private bands: readonly Band[] = [];
  private dequantise: Dequantise | undefined;

  constructor(private readonly inner: WeightProvider, slots: readonly WeightSlot[], private readonly forms: ReadonlyMap<string, QuantisedForm>) {
    this.slots = new Map(slots.map((slot) => [slot.slot, slot]));
  }

  formatOf(slot: string): WeightFormat {
    const form = this.forms.get(slot);
    return form === undefined ? this.inner.formatOf?.(slot) ?? 'f32' : storedAs(form);
  }

  async readStored(slot: string, from: number, to: number, scratch?: Uint8Array): Promise<Uint8Array> {
    const form = this.forms.get(slot);
    if (form === undefined) {
      if (!this.inner.readStored) throw new InternalError('weights', `slot '${slot}' cannot be read as it is stored`);
      return this.inner.readStored(slot, from, to, scratch);
    }
    const shape = this.shapeOf(slot);
    const rowBytes = formatBytes(storedAs(form), [shape.at(-1) ?? 1]);
    const target = new Uint8Array((to - from) * rowBytes);
    for (let row = from; row < to;) {
      const band = this.band(slot, form, row);
      const end = Math.min(to, band.to);
      target.set((await band.bytes).subarray((row - band.from) * rowBytes, (end - band.from) * rowBytes), (row - from) * rowBytes);
      row = end;
    }
    return target;
  }

  async read(slot: string): Promise<Float32Array> {
    const form = this.forms.get(slot);
    if (form === undefined) return this.inner.read(slot);
    const shape = this.shapeOf(slot);
    return this.dequantised(slot, form, 0, product(shape.slice(0, -1)));
  }

  async readRows(slot: string, from: number, to: number): Promise<Float32Array> {
    const form = this.forms.get(slot);
    const shape = this.shapeOf(slot);
    if (form === undefined) {
      if (this.inner.readRows) return this.inner.readRows(slot, from, to);
      const width = product(shape.slice(1));
      return (await this.inner.read(slot)).subarray(from * width, to * width);
    }
    const rows = product(shape.slice(1, -1));
    return this.dequantised(slot, form, from * rows, to * rows);
  }

  /** Two bands stay, quantised, while the f32 numbers of one are read. */
  bytesToRead(slot: string, elements: number, stored: boolean): number {
    const form = this.forms.get(slot);
    const inner = (count: number, asStored: boolean): number => this.inner.bytesToRead?.(slot, count, asStored) ?? 4 * count;
    if (form === undefined) return inner(elements, stored);
    const whole = product(this.shapeOf(slot));
    const band = this.inner.readRows ? Math.min(whole, bandBytes / 4) : whole;
    return inner(band, false) + 2 * formatBytes(storedAs(form), [band]) + (stored ? formatBytes(storedAs(form), [elements]) : 4 * elements);
  }

  private shapeOf(slot: string): readonly number[] {
    const known = this.slots.get(slot);
    if (!known) throw new InternalError('weights', `slot '${slot}' is not one of the graph's`);
    return known.shape;
  }

  private async dequantised(slot: string, form: QuantisedForm, from: number, to: number): Promise<Float32Array> {
    const k = this.shapeOf(slot).at(-1) ?? 1;
    const rowBytes = formatBytes(storedAs(form), [k]);
    const target = new Float32Array((to - from) * k);
    const dequantise = this.dequantise ??= dequantiser();
    for (let row = from; row < to;) {
      const band = this.band(slot, form, row);
      const end = Math.min(to, band.to);
      dequantise(storedAs(form), (await band.bytes).subarray((row - band.from) * rowBytes), target.subarray((row - from) * k, (end - from) * k));
      row = end;
    }
    return target;
  }

  /** The band that holds a row. The last two stay, for callers that read two slots in turn. */
  private band(slot: string, form: QuantisedForm, row: number): Band {
    const found = this.bands.find((b) => b.slot === slot && b.from <= row && row < b.to);
    if (found) return found;
    const shape = this.shapeOf(slot);
    const first = shape[0] ?? 1;
    // Rows of the first axis: that is how providers give parts.
    const inner = product(shape.slice(1, -1)), width = product(shape.slice(1));
    const step = this.inner.readRows ? Math.max(1, Math.floor(bandBytes / (4 * width))) : first;
    const from = Math.floor(Math.floor(row / inner) / step) * step, to = Math.min(first, from + step);
    const bytes = this.quantised(slot, form, from, to, from === 0 && to === first);
    const band: Band = { slot, from: from * inner, to: to * inner, bytes };
    this.bands = [band, ...this.bands.slice(0, 1)];
    return band;
  }

  private async quantised(slot: string, form: QuantisedForm, from: number, to: number, whole: boolean): Promise<Uint8Array> {
    const values = !whole && this.inner.readRows ? await this.inner.readRows(slot, from, to) : await this.inner.read(slot);
    for (let i = 0; i < values.length; i++) {
      const x = values[i] as number;
      if (!(x <= largest && x >= -largest)) {
        const width = values.length / (to - from);
        throw weightError(weightProblem('E736', 'weights', `holds ${x} in row ${from + Math.floor(i / width)} of its first axis, which cannot be quantised`,
          { tensor: slot, hint: Number.isFinite(x) ? `at most ${largest} can; leave it alone with --keep '${slot}'` : 'peel check --values looks through all weights' }));
      }
    }
    const target = new Uint8Array(formatBytes(storedAs(form), [values.length]));
    quantise(form, values, target);
    return target;
  }
}
