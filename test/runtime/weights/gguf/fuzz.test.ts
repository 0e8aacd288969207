/** Damaged GGUF files end in diagnostics or in tensors inside the file: never in a crash, a hang, or a large allocation. */
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import fc from 'fast-check';
import { formatDiagnostic, PeelError } from '../../../../compiler/diagnostics.ts';
import { openGgufFile } from '../../../../runtime/weights/gguf/file.ts';
import { bool, f32, f32Tensor, ggufFile, text, texts, u32, u32s, u64 } from '../../../support/gguf-file.ts';
import { temporaryFolder } from '../files.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const whole = ggufFile({
  metadata: [
    ['general.architecture', text('llama')], ['general.alignment', u32(32)], ['general.file_type', u32(7)], ['llama.block_count', u32(2)], ['llama.eps', f32(1e-5)], ['big', u64(2n ** 60n)],
    ['flag', bool(1)], ['tokenizer.ggml.tokens', texts(['a', 'bc', 'ü', ''])], ['tokenizer.ggml.token_type', u32s([1, 2, 3, 4])],
  ],
  tensors: [f32Tensor('token_embd.weight', [4, 3]), { name: 'q', sizes: [32, 2], type: 8, data: new Uint8Array(68) }, { name: 'k', sizes: [256], type: 11, data: new Uint8Array(110) }, f32Tensor('norm', [4])],
});

/** Opens the bytes and reads everything; says what came out. */
async function outcome(bytes: Uint8Array): Promise<string> {
  const file = folder.file('damaged.gguf', bytes);
  const before = process.memoryUsage().arrayBuffers;
  try {
    const source = await openGgufFile(file);
    try {
      for (const key of source.metadata.keys()) source.metadata.get(key);
      for (const info of source.tensors.values()) {
        expect(info.end).toBeLessThanOrEqual(bytes.length);
        await source.readInto(info, 0, new Float32Array(info.shape.reduce((a, b) => a * b, 1)));
      }
      return 'read';
    } finally {
      await source.dispose();
    }
  } catch (error) {
    if (!(error instanceof PeelError)) throw error;
    expect(error.exitCode).toBe(11);
    expect(error.diagnostics.length).toBeGreaterThan(0);
    expect(error.diagnostics.length).toBeLessThanOrEqual(50);
    for (const diagnostic of error.diagnostics) expect(formatDiagnostic(diagnostic)).not.toMatch(/\p{Cc}|undefined|NaN/u);
    return 'refused';
  } finally {
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 << 20);
  }
}

test('whole, it is read; cut at any byte, it is refused', async () => {
  expect(await outcome(whole)).toBe('read');
  for (let length = 0; length < whole.length - 32; length++) expect([length, await outcome(whole.subarray(0, length))]).toEqual([length, 'refused']);
});

test('each byte turned over', async () => {
  let refused = 0;
  for (let at = 0; at < whole.length; at++) {
    for (const flip of [at % 3 === 0 ? 0xff : at % 3 === 1 ? 0x80 : 0x01]) {
      const bytes = whole.slice();
      bytes[at] = (bytes[at] ?? 0) ^ flip;
      if (await outcome(bytes) === 'refused') refused++;
    }
  }
  expect(refused).toBeGreaterThan(80);
});

test('several values replaced by extreme ones', async () => {
  const extremes = [0n, 1n, 0x7fn, 0xffn, 0xffffn, 0x7fffffffn, 0xffffffffn, 1n << 40n, (1n << 53n) + 1n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n];
  await fc.assert(fc.asyncProperty(
    fc.array(fc.tuple(fc.nat(whole.length - 9), fc.constantFrom(...extremes), fc.constantFrom(1, 4, 8)), { minLength: 1, maxLength: 4 }),
    async (changes) => {
      const bytes = whole.slice();
      for (const [at, value, size] of changes) {
        const raw = new Uint8Array(BigUint64Array.of(value).buffer).subarray(0, size);
        bytes.set(raw, at);
      }
      await outcome(bytes);
    }), { numRuns: 250, seed: 3 });
});

test('random bytes behind a right beginning', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 0, maxLength: 300 }), fc.nat(200), async (noise, keep) => {
    const bytes = new Uint8Array(24 + keep + noise.length);
    bytes.set(whole.subarray(0, 24 + keep));
    bytes.set(noise, 24 + keep);
    await outcome(bytes);
  }), { numRuns: 200, seed: 5 });
});

test('the blocks of all types, damaged in the head', async () => {
  const blocks = new Uint8Array(readFileSync('test/runtime/weights/gguf/blocks.gguf'));
  await fc.assert(fc.asyncProperty(fc.nat(2000), fc.nat(255), async (at, value) => {
    const bytes = blocks.slice();
    bytes[at] = value;
    await outcome(bytes);
  }), { numRuns: 60, seed: 7 });
});
