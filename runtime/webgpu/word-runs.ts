/** Repacks quantised weights for the device, some rows at a time: neither their numbers nor a second copy is ever in memory whole. */
import { InternalError } from '../../compiler/diagnostics.ts';
import { formatBytes } from '../../compiler/formats.ts';
import type { Buffer } from '../../compiler/kernels/types.ts';
import type { WeightProvider } from '../backend.ts';
import { formStart, packWordRows, type WordForms } from './word-rows.ts';

/** Weights [rows, k] or [groups, rows, k] of a matrix, `rows` being those of all weights in a group. */
export interface WordWeights {
  readonly weights: readonly Buffer[];
  readonly groups: number;
  readonly rows: number;
  readonly stride: number;
  readonly words: WordForms;
}

/** The matrix's words, in runs of about `most`; `at` is a run's place in the whole. */
export async function* wordRuns({ weights, groups, rows, stride: k, words }: WordWeights, provider: WeightProvider, most: number): AsyncGenerator<{ readonly at: number; readonly data: Uint32Array }> {
  const { forms, interleaved } = words;
  const group = formStart(words, rows);
  // Weights whose rows lie together are filled in together; one weight has its groups one after the other.
  const bands = interleaved ? [forms.map((_, which) => which)] : forms.map((_, which) => [which]);
  const alone = forms.length === 1;
  for (let g = 0; g < (alone ? 1 : groups); g++) {
    let before = 0;
    for (const band of bands) {
      const members = band.map((which) => ({ form: forms[which], weight: weights[which] }));
      const tall = (members[0]?.form?.rows ?? 0) * (alone ? groups : 1);
      const unit = members.reduce((n, m) => n + (m.form?.words ?? 0), 0);
      const step = Math.max(1, Math.floor(most / unit));
      for (let from = 0; from < tall; from += step) {
        const to = Math.min(tall, from + step);
        const data = new Uint32Array((to - from) * unit);
        let start = 0;
        for (const { form, weight } of members) {
          if (!form || !weight) throw new InternalError('webgpu', 'a matrix has more forms than weights');
          const bytes = await storedRows(weight, g * tall + from, g * tall + to, provider);
          packWordRows(form.format, bytes, to - from, k, data, start, unit);
          start += form.words;
        }
        yield { at: g * group + before + from * unit, data };
      }
      before += tall * unit;
    }
  }
}

/** Rows of a weight, all axes but the last being rows, as the file stores them. */
async function storedRows(weight: Buffer, from: number, to: number, provider: WeightProvider): Promise<Uint8Array> {
  const k = Number(weight.shape.at(-1));
  if ((weight.format ?? 'f32') !== 'f32') {
    if (!provider.readStored) throw new InternalError('webgpu', `${weight.name} cannot be read as it is stored`);
    const bytes = await provider.readStored(weight.name, from, to);
    const expected = formatBytes(weight.format ?? 'f32', [to - from, k]);
    if (bytes.length !== expected) throw new InternalError('webgpu', `${to - from} rows of ${weight.name} have ${bytes.length} bytes, not ${expected}`);
    return bytes;
  }
  const values = provider.readRows && weight.shape.length === 2 ? await provider.readRows(weight.name, from, to) : (await provider.read(weight.name)).subarray(from * k, to * k);
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
