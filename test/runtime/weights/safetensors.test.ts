import { afterAll, describe, expect, it } from 'vitest';
import { execFileSync } from 'node:child_process';
import { statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { floatToHalf, halfToFloat } from '../../../runtime/weights/element.ts';
import { openSafetensors, readSafetensorsHeader, readTensor } from '../../../runtime/weights/safetensors.ts';
import { encodeSafetensors, type TensorData } from '../../../runtime/weights/writer.ts';
import { problemsOf, rawSafetensors, temporaryFolder } from './files.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const tensor = (dtype: TensorData['dtype'], shape: number[], data: number[]): TensorData =>
  ({ dtype, shape, data: dtype === 'I32' ? Int32Array.from(data) : Float32Array.from(data) });

describe('reading what was written', () => {
  it('gives f32, f16, bf16 and i32 tensors back', async () => {
    const values = [0, -0, 1, -2.5, 0.333, 65504, 6e-8, 1e-5, Infinity];
    const file = folder.file('types.safetensors', encodeSafetensors(new Map([
      ['a', tensor('F32', [3, 3], values)], ['b', tensor('F16', [9], values)], ['c', tensor('BF16', [9], values)], ['d', tensor('I32', [2, 1], [7, -8])],
    ]), { made: 'here' }));
    const source = await openSafetensors(file);
    expect(source.metadata.get('made')).toBe('here');
    expect([...(await readTensor(source, 'a'))]).toEqual(values.map(Math.fround));
    const half = await readTensor(source, 'b');
    values.forEach((v, i) => { if (Number.isFinite(v)) expect(Math.abs((half[i] ?? NaN) - v)).toBeLessThanOrEqual(Math.max(Math.abs(v) / 2048, 2 ** -25)); });
    const brain = await readTensor(source, 'c');
    values.forEach((v, i) => { if (Number.isFinite(v)) expect(Math.abs((brain[i] ?? NaN) - v)).toBeLessThanOrEqual(Math.abs(v) / 256); });
    expect(half[8]).toBe(Infinity);
    expect(brain[8]).toBe(Infinity);
    expect([...(await readTensor(source, 'd'))]).toEqual([7, -8]);
    await source.dispose();
  });

  it('converts every f16 bit pattern as IEEE 754 says', async () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const header = JSON.stringify({ h: { dtype: 'F16', shape: [65536], data_offsets: [0, 131072] } });
    const file = folder.file('half.safetensors', rawSafetensors(header, new Uint8Array(bits.buffer)));
    const source = await openSafetensors(file);
    const read = await readTensor(source, 'h');
    await source.dispose();
    for (let i = 0; i < 65536; i++) {
      const expected = halfToFloat(i);
      if (!Object.is(read[i], expected)) expect(`${i}: ${read[i]}`).toBe(`${i}: ${expected}`);
      if (!Number.isNaN(expected) && floatToHalf(expected) !== i) expect(`${i}: ${floatToHalf(expected)}`).toBe(`${i}: ${i}`);
    }
  });

  it('reads i64, f64, u8 and bool as numbers', async () => {
    const data = new Uint8Array(16 + 16 + 2 + 2);
    new BigInt64Array(data.buffer, 0, 2).set([-3n, 5n]);
    new Float64Array(data.buffer, 16, 2).set([0.5, -1]);
    data.set([200, 1, 1, 0], 32);
    const file = folder.file('wide.safetensors', rawSafetensors(JSON.stringify({
      l: { dtype: 'I64', shape: [2], data_offsets: [0, 16] }, d: { dtype: 'F64', shape: [2], data_offsets: [16, 32] },
      u: { dtype: 'U8', shape: [2], data_offsets: [32, 34] }, t: { dtype: 'BOOL', shape: [2], data_offsets: [34, 36] },
    }), data));
    const source = await openSafetensors(file);
    const read = async (name: string): Promise<number[]> => [...(await readTensor(source, name))];
    expect([await read('l'), await read('d'), await read('u'), await read('t')]).toEqual([[-3, 5], [0.5, -1], [200, 1], [1, 0]]);
    await source.dispose();
  });

  it('keeps names such as __proto__ apart from the object that holds them', async () => {
    const header = '{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a\\u0062":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}   ';
    const read = await readSafetensorsHeader(folder.file('proto.safetensors', rawSafetensors(header, 4)));
    expect(read.tensors.map((t) => t.name)).toEqual(['__proto__', 'ab']);
  });
});

const entry = (begin: number, end: number, shape = [(end - begin) / 4], dtype = 'F32'): string =>
  `{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${begin},${end}]}`;

describe('refusing what is wrong', () => {
  const cases: [name: string, bytes: Uint8Array, code: string, says: RegExp][] = [
    ['an empty file', new Uint8Array(0), 'E723', /0 bytes/],
    ['a header length of 2^63', rawSafetensors('{}', 0, 1n << 63n), 'E723', /9223372036854775808 bytes/],
    ['a header over 100 MB', rawSafetensors('{}', 0, 100_000_001n), 'E723', /at most 100000000/],
    ['a header past the end', rawSafetensors('{}', 0, 3n), 'E723', /end at byte 11 but the file has 10/],
    ['no JSON', rawSafetensors('hello'), 'E724', /'{' was expected/],
    ['text behind the header', rawSafetensors('{} x'), 'E724', /end of the header/],
    ['a hole', rawSafetensors(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12), 'E728', /4 bytes before it belong to no tensor/],
    ['a hole at the start', rawSafetensors(`{"a":${entry(4, 8)}}`, 8), 'E728', /'a'.*4 bytes before/],
    ['an overlap', rawSafetensors(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12), 'E728', /'b'.*overlaps tensor 'a' by 4/],
    ['trailing bytes', rawSafetensors(`{"a":${entry(0, 4)}}`, 5), 'E729', /1 bytes behind the last tensor/],
    ['missing bytes', rawSafetensors(`{"a":${entry(0, 8)}}`, 4), 'E729', /truncated/],
    ['shape x size other than the range', rawSafetensors(`{"a":${entry(0, 8, [3])}}`, 8), 'E727', /F32 \[3\] takes 12 bytes.*has 8/],
    ['a shape that overflows', rawSafetensors(`{"a":${entry(0, 0, [4294967296, 4294967296, 4294967296])}}`), 'E727', /takes/],
    ['an unknown type', rawSafetensors(`{"a":${entry(0, 4, [1], 'Q4')}}`, 4), 'E726', /'Q4' is not known/],
    ['a duplicate name', rawSafetensors(`{"a":${entry(0, 4)},"a":${entry(4, 8)}}`, 8), 'E725', /tensor 'a': is in the header twice/],
    ['a duplicate name by escape', rawSafetensors(`{"a":${entry(0, 4)},"\\u0061":${entry(4, 8)}}`, 8), 'E725', /'a'/],
    ['a duplicate field', rawSafetensors(`{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), 'E725', /'dtype' is there twice/],
    ['a negative offset', rawSafetensors('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}'), 'E724', /whole number/],
    ['a fractional shape', rawSafetensors('{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}}', 6), 'E724', /expected/],
    ['an end before the begin', rawSafetensors('{"a":{"dtype":"F32","shape":[0],"data_offsets":[4,0]}}', 4), 'E724', /not a begin and an end/],
    ['a missing field', rawSafetensors('{"a":{"dtype":"F32","shape":[1]}}', 4), 'E724', /lacks data_offsets/],
    ['an unknown field', rawSafetensors('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}', 4), 'E724', /unknown key 'x'/],
    ['bad UTF-8', rawSafetensors('{"a\u00e9"}').map((b) => (b === 0xa9 ? 0xff : b)), 'E724', /UTF-8/],
  ];
  it.each(cases)('%s', async (name, bytes, code, says) => {
    const file = folder.file(`${name.replace(/\W/g, '-')}.safetensors`, bytes);
    const error = await problemsOf(openSafetensors(file));
    expect(error.exitCode).toBe(11);
    expect(error.diagnostics[0]?.code).toBe(code);
    expect(error.message).toMatch(says);
    expect(error.message).toContain(file);
  });

  it('reports all tensors at once', async () => {
    const bytes = rawSafetensors(`{"a":${entry(0, 8, [3])},"b":${entry(8, 12, [1], 'X')},"c":${entry(12, 16, [2])}}`, 16);
    const error = await problemsOf(openSafetensors(folder.file('many.safetensors', bytes)));
    expect(error.diagnostics.map((d) => d.code)).toEqual(['E727', 'E726', 'E727']);
  });

  it('a file cut at every byte', async () => {
    const whole = encodeSafetensors(new Map([['a', tensor('F32', [2], [1, 2])], ['b', tensor('F16', [1, 3], [1, 2, 3])]]));
    for (let length = 0; length < whole.length; length++) {
      const error = await problemsOf(openSafetensors(folder.file('cut.safetensors', whole.subarray(0, length))));
      expect(error.exitCode, `cut at ${length}`).toBe(11);
    }
  });

  it('changed bytes never crash it', async () => {
    const whole = encodeSafetensors(new Map([['a', tensor('F32', [2], [1, 2])], ['b', tensor('F16', [1, 3], [1, 2, 3])]]));
    const edit = fc.array(fc.tuple(fc.nat(whole.length - 15), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(fc.asyncProperty(edit, async (edits) => {
      const bytes = whole.slice();
      for (const [at, value] of edits) bytes[at] = value;
      const file = folder.file('fuzz.safetensors', bytes);
      const read = await openSafetensors(file).catch((error: unknown) => error);
      if (read instanceof Error) expect(read.name).toBe('PeelError');
      else await (read as Awaited<ReturnType<typeof openSafetensors>>).dispose();
    }), { numRuns: 300 });
  });

  it('a file that shrinks while it is read', async () => {
    const file = folder.file('shrink.safetensors', encodeSafetensors(new Map([['a', tensor('F32', [4], [1, 2, 3, 4])]])));
    const source = await openSafetensors(file);
    truncateSync(file, statSync(file).size - 1);
    const error = await problemsOf(readTensor(source, 'a'));
    await source.dispose();
    expect(error.exitCode).toBe(11);
    expect(error.diagnostics[0]?.code).toBe('E732');
  });

  it('a folder, a named pipe and a missing file, with exit code 14', async () => {
    const pipe = path.join(folder.path, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const errors = await Promise.all([folder.path, pipe, path.join(folder.path, 'none')].map((file) => problemsOf(openSafetensors(file))));
    expect(errors.map((e) => e.exitCode)).toEqual([14, 14, 14]);
    expect(errors.map((e) => e.diagnostics[0]?.message)).toEqual(
      ['is a folder, a file was expected', 'is a named pipe, a file was expected', 'cannot be read: no such file or folder']);
  });
});
