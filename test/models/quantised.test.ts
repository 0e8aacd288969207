/**
 * What quantising costs a trained model: bits per byte of the validation text, which is perplexity whatever the tokenizer. Each device
 * measures the f32 model on the same windows first. On the whole text (111,540 bytes) nano-llama has 2.1828 in f32, 2.1829 in q8_0, 2.1898 in q4_0.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Quantisation } from '../../compiler/quantise-choice.ts';
import type { DeviceOptions } from '../../runtime/device.ts';
import { bitsPerByte } from '../../runtime/evaluate.ts';
import { loadModel } from '../../runtime/model.ts';

const text = readFileSync('models/nano/tinyshakespeare.txt', 'utf8').slice(-20000);

/** Largest share that each form may cost. q4_0 measures 0.32 % on the whole text; a few windows scatter around that. */
const limits = { q8_0: 0.005, q4_0: 0.02, q4_K: 0.02 } as const;

const devices: readonly { readonly name: string; readonly options: DeviceOptions; readonly characters: number; readonly forms: readonly Quantisation[] }[] = [
  { name: 'reference', options: { device: 'reference' }, characters: 500, forms: ['q8_0', 'q4_0'] },
  { name: 'cpu', options: { device: 'cpu', threads: 2 }, characters: 6000, forms: ['q8_0', 'q4_0', 'q4_K'] },
  { name: 'cpu, exact', options: { device: 'cpu', threads: 2, exact: true }, characters: 6000, forms: ['q8_0', 'q4_0'] },
  { name: 'webgpu', options: { device: 'webgpu' }, characters: 250, forms: ['q8_0', 'q4_0'] },
];

async function measure(options: DeviceOptions, characters: number, quantize?: Quantisation): Promise<number> {
  const model = await loadModel({ path: 'nano-llama', ...options, ...(quantize === undefined ? {} : { quantize }) });
  try {
    const session = await model.session({ context: 256, maxTokens: 128, logitRows: 128 });
    return (await bitsPerByte(session, await model.tokenizer(), text.slice(0, characters), 256)).bitsPerByte;
  } finally {
    await model.dispose();
  }
}

describe.each(devices)('bits per byte of nano-llama on $name', ({ options, characters, forms }) => {
  it('q8_0 costs at most 0.5 %, 4 bits at most 2 %', async () => {
    const plain = await measure(options, characters);
    expect(plain).toBeGreaterThan(1.8);
    expect(plain).toBeLessThan(2.6);
    for (const form of forms) {
      const cost = (await measure(options, characters, form)) / plain - 1;
      expect(cost, form).toBeLessThan(limits[form]);
      expect(cost, form).toBeGreaterThan(-limits[form]);
      expect(cost, form).not.toBe(0);
    }
  });
});
