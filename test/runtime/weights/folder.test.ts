import { afterAll, describe, expect, it } from 'vitest';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openModelFolder, openWeights } from '../../../runtime/weights/folder.ts';
import { readTensor } from '../../../runtime/weights/safetensors.ts';
import { encodeSafetensors } from '../../../runtime/weights/writer.ts';
import { problemsOf, temporaryFolder } from './files.ts';

const root = temporaryFolder();
afterAll(() => root.remove());

const one = (name: string, value: number): Uint8Array =>
  encodeSafetensors(new Map([[name, { dtype: 'F32', shape: [1], data: Float32Array.of(value) }]]));

let made = 0;
function sharded(map: Record<string, unknown> | string, shards: Record<string, Uint8Array>): string {
  const folder = path.join(root.path, `m${made++}`);
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'model.safetensors.index.json'), typeof map === 'string' ? map : JSON.stringify({ weight_map: map }));
  for (const [name, bytes] of Object.entries(shards)) writeFileSync(path.join(folder, name), bytes);
  return folder;
}

describe('a folder of shards', () => {
  it('reads each tensor from its shard', async () => {
    const source = await openWeights(sharded({ a: '1.safetensors', b: '2.safetensors' }, { '1.safetensors': one('a', 1), '2.safetensors': one('b', 2) }));
    expect([...source.tensors.keys()]).toEqual(['a', 'b']);
    expect([...(await readTensor(source, 'b'))]).toEqual([2]);
    await source.dispose();
  });

  it.each(['../up.safetensors', '/etc/passwd', 'https://x/y', 'a/../../b', 'C:\\x', '..\\x', ''])('refuses the shard name %j', async (name) => {
    const error = await problemsOf(openWeights(sharded({ a: name }, {})));
    expect(error.exitCode).toBe(11);
    expect(error.diagnostics[0]?.code).toBe('E731');
  });

  it('refuses symbolic links that leave the folder, and takes those of the Hugging Face cache', async () => {
    const outside = root.file('outside.safetensors', one('a', 1));
    const folder = sharded({ a: 'x.safetensors' }, {});
    symlinkSync(outside, path.join(folder, 'x.safetensors'));
    expect((await problemsOf(openWeights(folder))).message).toMatch(/symbolic link that leaves the folder/);

    const snapshot = path.join(root.path, 'cache', 'snapshots', 'abc');
    const blobs = path.join(root.path, 'cache', 'blobs');
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(blobs);
    writeFileSync(path.join(blobs, 'f00'), one('a', 5));
    symlinkSync('../../blobs/f00', path.join(snapshot, 'model.safetensors'));
    const source = await openWeights(snapshot);
    expect([...(await readTensor(source, 'a'))]).toEqual([5]);
    await source.dispose();
  });

  it('names every missing shard, and wrong shards with them', async () => {
    const error = await problemsOf(openWeights(sharded({ a: '1.st', b: '2.st', c: '3.st' }, { '3.st': new Uint8Array(3) })));
    expect(error.exitCode).toBe(11);
    expect(error.diagnostics.map((d) => d.code)).toEqual(['E721', 'E721', 'E723']);
  });

  it('finds tensors in two shards, in none, and twice in the index', async () => {
    expect((await problemsOf(openWeights(sharded({ a: '1.st', b: '2.st' }, { '1.st': one('a', 1), '2.st': one('a', 1) })))).message)
      .toMatch(/'a': is in '1.st' and in '2.st'/);
    expect((await problemsOf(openWeights(sharded({ a: '1.st', b: '1.st' }, { '1.st': one('a', 1) })))).message).toMatch(/'b': is not in '1.st'/);
    expect((await problemsOf(openWeights(sharded('{"weight_map":{"a":"1.st","a":"2.st"}}', {})))).message).toMatch(/the name 'a' is there twice/);
    expect((await problemsOf(openWeights(sharded('{"map":{}}', {})))).message).toMatch(/weight_map/);
    expect((await problemsOf(openWeights(sharded({ a: 3 }, {})))).message).toMatch(/must be a name/);
  });
});

describe('a model folder', () => {
  it('without weights or config says what is missing', async () => {
    const empty = path.join(root.path, 'empty');
    mkdirSync(empty);
    expect((await problemsOf(openWeights(empty))).exitCode).toBe(14);
    expect((await problemsOf(openModelFolder(empty))).message).toMatch(/config.json:1:1 E721 \/ is missing/);
    expect((await problemsOf(openModelFolder(path.join(root.path, 'nowhere')))).exitCode).toBe(14);
  });
  it('shows where config.json is not JSON', async () => {
    const folder = path.join(root.path, 'broken');
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'config.json'), '{\n  "a": 1,\n  "b": oops\n}');
    expect((await problemsOf(openModelFolder(folder))).message).toMatch(/config.json:3:8 E735 \/ is not valid JSON: a value was expected, found 'oops'/);
  });
});
