/** What is wrong with a GGUF file is said in one line for each problem, quickly, and nothing is allocated by a number that the file does not bear out. */
import { appendFileSync, truncateSync } from 'node:fs';
import { afterAll, describe, expect, it, test } from 'vitest';
import { formatDiagnostic } from '../../../../compiler/diagnostics.ts';
import { openGgufFile, readGgufHead } from '../../../../runtime/weights/gguf/file.ts';
import { bool, Bytes, f32, f32Tensor, ggufFile, i32, text, texts, u32, u32s, u64, type GgufText, type TensorText } from '../../../support/gguf-file.ts';
import { problemsOf, temporaryFolder } from '../files.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

/** Every problem of a file, as users see it, without the file's name. */
async function problems(bytes: Uint8Array): Promise<string[]> {
  const file = folder.file('model.gguf', bytes);
  const begin = process.cpuUsage();
  const before = process.memoryUsage().arrayBuffers;
  const error = await problemsOf(readGgufHead(file));
  const { user, system } = process.cpuUsage(begin);
  expect(error.exitCode).toBe(11);
  expect(user + system).toBeLessThan(2_000_000);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 << 20);
  return error.diagnostics.map((d) => formatDiagnostic(d).replace(file, 'F'));
}
const name = (value: string): readonly [string, ReturnType<typeof text>] => ['general.name', text(value)];
const two = (change: Partial<TensorText> = {}, more: Partial<GgufText> = {}): Uint8Array =>
  ggufFile({ metadata: [name('x')], ...more, tensors: [f32Tensor('a', [4, 3]), { ...f32Tensor('b', [4, 3]), ...change }] });
const key = (bytes: (b: Bytes) => Bytes): Uint8Array => ggufFile({ metadata: [['k', bytes]] });

describe('files that are right', () => {
  it('reads one without anything, and one of version 2', async () => {
    expect((await readGgufHead(folder.file('empty.gguf', ggufFile({})))).tensors).toEqual([]);
    expect((await readGgufHead(folder.file('two.gguf', two({}, { version: 2 })))).tensors.map((t) => [t.name, t.shape])).toEqual([['a', [3, 4]], ['b', [3, 4]]]);
  });
  it('reads one aligned to single bytes, to 4096, and with tensors in another order', async () => {
    for (const alignment of [1, 4096]) {
      const bytes = ggufFile({ alignment, metadata: [['general.alignment', u32(alignment)]], tensors: [f32Tensor('a', [3], [1, 2, 3]), f32Tensor('b', [2], [5, 6])] });
      const source = await openGgufFile(folder.file('aligned.gguf', bytes));
      const b = new Float32Array(2);
      await source.readInto(source.tensors.get('b')!, 0, b);
      expect([...b]).toEqual([5, 6]);
      await source.dispose();
    }
    const swapped = ggufFile({ tensors: [{ ...f32Tensor('a', [8]), offset: 32 }, { ...f32Tensor('b', [8]), offset: 0 }] });
    expect((await readGgufHead(folder.file('swapped.gguf', swapped))).tensors.map((t) => t.name)).toEqual(['a', 'b']);
  });
  it('gives metadata of every type', async () => {
    const bytes = ggufFile({ metadata: [
      ['u8', (b) => b.u32(0).u8(200)], ['i8', (b) => b.u32(1).u8(200)], ['u16', (b) => b.u32(2).u16(60000)], ['i16', (b) => b.u32(3).u16(60000)], ['u32', u32(4e9)], ['i32', i32(-7)],
      ['f32', f32(0.5)], ['bool', bool(1)], ['text', text('é€😀')], ['u64', u64(7)], ['big', u64(2n ** 60n)], ['i64', (b) => b.u32(11).u64(-3n)], ['f64', (b) => b.u32(12).f64(0.1)],
      ['texts', texts(['a', '', '\ufffd', 'ü'])], ['numbers', u32s([1, 2])], ['bools', (b) => b.u32(9).u32(7).u64(2).raw([1, 0])], ['none', (b) => b.u32(9).u32(6).u64(0)],
    ] });
    const { metadata } = await readGgufHead(folder.file('types.gguf', bytes));
    const { gguf } = metadata.sources();
    expect(Object.fromEntries(Object.entries(gguf))).toEqual({
      u8: 200, i8: -56, u16: 60000, i16: -5536, u32: 4e9, i32: -7, f32: 0.5, bool: true, text: 'é€😀', u64: 7, big: 2n ** 60n, i64: -3, f64: 0.1,
      texts: ['a', '', '\ufffd', 'ü'], numbers: [1, 2], bools: [true, false], none: [],
    });
    expect([metadata.typeOf('texts'), metadata.lengthOf('texts'), metadata.typeOf('f32'), metadata.typeOf('absent')]).toEqual(['array of string', 4, 'float32', undefined]);
  });
  it('reads a head longer than the first piece', async () => {
    const words = Array.from({ length: 60_000 }, (_, i) => `word ${i}`);
    const { metadata } = await readGgufHead(folder.file('long.gguf', ggufFile({ metadata: [['tokens', texts(words)]], tensors: [f32Tensor('a', [4])] })));
    expect(metadata.get('tokens')).toEqual(words);
  });
});

/** The kinds that llama.cpp's own test (tests/test-gguf.cpp) refuses, by its names for them. */
describe('what llama.cpp refuses', () => {
  const huge = 2n ** 64n - 1n;
  test.each<[string, Uint8Array, RegExp]>([
    ['HEADER_BAD_MAGIC', ggufFile({ magic: 'FUGG' }), /^F:1:1 E724 .*it begins with "FUGG" where a GGUF file has "GGUF"/],
    ['HEADER_BAD_VERSION_0', ggufFile({ version: 0 }), /^F:1:5 E737 .*version 0, versions 2 and 3 are read/],
    ['HEADER_BAD_VERSION_1', ggufFile({ version: 1 }), /E737 .*version 1/],
    ['HEADER_BAD_VERSION_FUTURE', ggufFile({ version: 4 }), /E737 .*version 4/],
    ['HEADER_BAD_N_TENSORS', ggufFile({ tensorCount: huge }), /^F:1:9 E723 .*18446744073709551615 tensors, at most 100000 are allowed/],
    ['HEADER_BAD_N_KV', ggufFile({ keyCount: huge }), /^F:1:17 E723 .*18446744073709551615 metadata keys, at most 100000/],
    ['KV_BAD_KEY_SIZE', ggufFile({ metadata: [['k'.repeat(9), u32(1)]] }).fill(255, 24, 32), /E724 .*metadata key 0 would have 18446744073709551615 bytes, at most 65535/],
    ['KV_EMPTY_KEY', ggufFile({ metadata: [['', u32(1)]] }), /E724 .*metadata key 0 is empty/],
    ['KV_BAD_TYPE', key((b) => b.u32(13).u64(0)), /E724 .*the metadata 'k' is of type 13, which is not known/],
    ['KV_DUPLICATE_KEY', ggufFile({ metadata: [['k', u32(1)], ['k', u32(2)]] }), /E725 .*the metadata key 'k' is there twice/],
    ['KV_BAD_ALIGN', ggufFile({ metadata: [['general.alignment', u32(13)]] }), /E738 .*general.alignment must be a power of two up to 1048576, but is 13/],
    ['KV_WRONG_TYPE_ALIGN', ggufFile({ metadata: [['general.alignment', i32(32)]] }), /E738 .*general.alignment must be an uint32, but is int32/],
    ['TENSORS_BAD_NAME_SIZE', two({ name: 'n'.repeat(64) }), /E724 .*the name of tensor 1 would have 64 bytes, at most 63/],
    ['TENSORS_BAD_N_DIMS', two({}, { axes: 5 }), /E724 .*tensor 'a' would have 5 dimensions, from 1 to 4/],
    ['TENSORS_BAD_SHAPE', two({ sizes: [huge, huge] }), /E729 .*tensor 'b'.*\[18446744073709551615, 18446744073709551615\] ends at byte \d+ but the file has/],
    ['TENSORS_NE_TOO_BIG', two({ sizes: [2n ** 33n - 4n, 2n ** 33n - 4n] }), /E729 .*tensor 'b'/],
    ['TENSORS_NBYTES_TOO_BIG', two({ type: 27, sizes: [1533916892n, 1533916892n] }), /E729 .*tensor 'b': I64/],
    ['TENSORS_BAD_TYPE', two({ type: 77 }), /E726 .*tensor 'b': is of type 77, which is not known/],
    ['TENSORS_BAD_OFFSET', two({ offset: huge }), /E728 .*tensor 'b': its data begins at offset 18446744073709551615, which is no multiple of the alignment 32/],
    ['TENSORS_DUPLICATE_NAME', two({ name: 'a' }), /E725 .*tensor 'a': is there twice/],
    ['TENSORS_BAD_ALIGN', two({}, { metadata: [['general.alignment', u32(13)]] }), /E738 .*power of two/],
    ['TENSORS_INCONSISTENT_ALIGN', ggufFile({ alignment: 1, tensors: [f32Tensor('a', [3]), f32Tensor('b', [40])] }), /E728 .*tensor 'b': its data begins at offset 12, which is no multiple/],
    ['DATA_NOT_ENOUGH_DATA', two().subarray(0, two().length - 17), /E729 .*tensor 'b': F32 \[3, 4\] ends at byte \d+ but the file has \d+; the file is truncated/],
    ['DATA_BAD_ALIGN', two({}, { metadata: [['general.alignment', u32(0)]] }), /E738 .*power of two up to 1048576, but is 0/],
    ['DATA_INCONSISTENT_ALIGN', ggufFile({ alignment: 4, tensors: [f32Tensor('a', [3]), f32Tensor('b', [40])] }), /E728 .*offset 12/],
    ['DATA_MEM_SIZE_OVERFLOW', ggufFile({ tensors: [{ name: 'a', type: 24, sizes: [2n ** 63n - 64n], data: new Uint8Array(32) }, { name: 'b', type: 24, sizes: [2n ** 63n - 64n], data: new Uint8Array(0), offset: 2n ** 63n - 64n }] }), /E729 .*tensor 'a'/],
  ])('%s', async (_, bytes, message) => {
    expect((await problems(bytes))[0]).toMatch(message);
  });
});

describe('what else is wrong', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /E723 .*the beginning reaches to byte 1 but the file has 0; the file is truncated/],
    ['an older format', ggufFile({ magic: 'tjgg' }), /E724 .*older than GGUF/],
    ['a pointer of Git LFS', new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:1\n'), /E724 .*Git LFS pointer/],
    ['big-endian', ggufFile({ version: 3 << 24 }), /E737 .*big-endian, only little-endian files are read/],
    ['more tensors than the file has room for', ggufFile({ tensorCount: 5000 }), /E723 .*5000 tensors, but the file has only 32 bytes/],
    ['a text longer than the file', key((b) => b.u32(8).u64(1000)), /E723 .*the metadata 'k' reaches to byte \d+ but the file has/],
    ['a text of 2^40 bytes', key((b) => b.u32(8).u64(2n ** 40n)), /E724 .*the metadata 'k' would have 1099511627776 bytes, at most 67108864/],
    ['text that is not UTF-8', key((b) => b.u32(8).u64(2).raw([0xc3, 0x28])), /E724 .*the metadata 'k' is not valid UTF-8/],
    ['a key that is not UTF-8', ggufFile({ metadata: [['kkk', u32(1)]] }).fill(0xff, 32, 35), /E724 .*metadata key 0 is not valid UTF-8/],
    ['a name with control characters', two({ name: 'a\u001b[2J\n' }), /E724 .*the name of tensor 1 has control characters: "a\\u001b\[2J\\n"/],
    ['a bool of 2', key((b) => b.u32(7).u8(2)), /E724 .*a bool of 2, it must be 0 or 1/],
    ['bools of 7', key((b) => b.u32(9).u32(7).u64(2).raw([1, 7])), /E724 .*neither 0 nor 1/],
    ['an array of arrays', key((b) => b.u32(9).u32(9).u64(1).u32(4).u64(0)), /E724 .*array of arrays/],
    ['an array of an unknown type', key((b) => b.u32(9).u32(14).u64(1)), /E724 .*an element of the metadata 'k' is of type 14/],
    ['an array of 2^61 numbers', key((b) => b.u32(9).u32(10).u64(2n ** 61n)), /E723 .*the metadata 'k' would have 2305843009213693952 elements, but only \d+ bytes follow/],
    ['an array of 2^40 texts', key((b) => b.u32(9).u32(8).u64(2n ** 40n)), /E723 .*1099511627776 elements/],
    ['a text in an array that is too long', key((b) => b.u32(9).u32(8).u64(1).u64(2n ** 50n)), /E724 .*element 0 of the metadata 'k' would have/],
    ['alignment 2^31', ggufFile({ metadata: [['general.alignment', u32(2 ** 31)]] }), /E738 .*power of two up to 1048576, but is 2147483648/],
    ['an architecture that is a number', ggufFile({ metadata: [['general.architecture', u32(3)]] }), /E738 .*general.architecture must be a text, but is uint32/],
    ['tags that are one text', ggufFile({ metadata: [['general.tags', text('a')]] }), /E738 .*general.tags must be an array of texts, but is string/],
    ['a file type that is a text', ggufFile({ metadata: [['general.file_type', text('a')]] }), /E738 .*general.file_type must be a whole number, but is string/],
    ['blocks of another version', ggufFile({ metadata: [['general.quantization_version', u32(3)]], tensors: [{ name: 'a', type: 8, sizes: [32], data: new Uint8Array(34) }] }), /E737 .*quantised by version 3/],
    ['a tensor without dimensions', two({}, { axes: 0 }), /E724 .*would have 0 dimensions/],
    ['a tensor without elements', two({ sizes: [4, 0] }), /E727 .*tensor 'b': \[0, 4\] has no elements/],
    ['a tensor without a name', two({ name: '' }), /E724 .*the name of tensor 1 is empty/],
    ['rows that are no whole blocks', two({ type: 12, sizes: [64, 3] }), /E727 .*tensor 'b': its rows have 64 elements, which is no multiple of the 256 in a block of Q4_K/],
    ['a type that is not supported', two({ type: 16 }), /E726 .*tensor 'b': is of type IQ2_XXS, which is not supported; take a file with/],
    ['an overlap', two({ offset: 32 }), /E728 .*tensor 'b': overlaps tensor 'a' by 16 bytes/],
    ['the same bytes twice', two({ offset: 0 }), /E728 .*overlaps tensor '[ab]' by 48 bytes/],
    ['a hole', ggufFile({ tensors: [f32Tensor('a', [8]), { ...f32Tensor('b', [8]), offset: 64 }, { name: 'c', sizes: [1], data: new Uint8Array(36), offset: 96 }] }), /E728 .*tensor 'b': 32 bytes before it belong to no tensor/],
    ['an offset near 2^64', two({ offset: 2n ** 64n - 32n }), /E729 .*ends at byte 18446744073709551\d+/],
  ])('%s', async (_, bytes, message) => {
    expect((await problems(bytes))[0]).toMatch(message);
  });

  it('says everything at once', async () => {
    const bytes = ggufFile({ metadata: [['k', u32(1)], ['k', u32(1)], ['general.name', u32(1)]], tensors: [f32Tensor('a', [4]), f32Tensor('a', [4]), { ...f32Tensor('b', [4]), type: 99 }, { ...f32Tensor('c', [4]), type: 99 }, { ...f32Tensor('d', [4]), offset: 7 }] });
    expect((await problems(bytes)).map((line) => line.replace(/^F:1:\d+ /, '').replace(/ \/ /, ' '))).toEqual([
      "E725 the metadata key 'k' is there twice", "E725 tensor 'a': is there twice", "E728 tensor 'd': its data begins at offset 7, which is no multiple of the alignment 32",
      "E726 tensor 'b': is of type 99, which is not known, like 1 more", 'E738 general.name must be a text, but is uint32',
    ].map((line) => expect.stringContaining(line.slice(5))));
  });
  it('does not take bytes behind the last tensor', async () => {
    const bytes = new Bytes().raw(two()).u64(0).done();
    expect(await problems(bytes)).toEqual([expect.stringMatching(/E729 .*24 bytes behind the last tensor belong to none/)]);
  });
  it('says where a text in an array is not UTF-8, when it is asked for', async () => {
    const { metadata } = await readGgufHead(folder.file('texts.gguf', key((b) => b.u32(9).u32(8).u64(2).string('a').u64(1).u8(0xff))));
    expect(() => metadata.get('k')).toThrow(/element 1 of 'k' is not valid UTF-8/);
  });
  it('notices that a file became shorter while it was read', async () => {
    const file = folder.file('shrinks.gguf', two());
    const source = await openGgufFile(file);
    truncateSync(file, 100);
    expect((await problemsOf(source.readInto(source.tensors.get('b')!, 0, new Float32Array(12)))).diagnostics[0]?.code).toBe('E732');
    await source.dispose();
    appendFileSync(file, new Uint8Array(1));
  });
});
