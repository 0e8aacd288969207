/** Pulling from a hub that is slow, broken or hostile: the cache holds the right bytes or none. */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cachedModel, cacheFolder } from '../../../runtime/hub/cache.ts';
import { parseHubName } from '../../../runtime/hub/name.ts';
import { pullModel, type Pulled, type PullOptions } from '../../../runtime/hub/pull.ts';
import { hubFrom } from '../../../runtime/hub/request.ts';
import { loadModel } from '../../../runtime/model.ts';
import { goldenFolder } from '../../support/model-folder.ts';
import { problemsOf, temporaryFolder } from '../weights/files.ts';
import { COMMIT, FakeHub } from './fake-hub.ts';

let hub: FakeHub, folder: ReturnType<typeof temporaryFolder>;
const NAME = 'hf:owner/name';
const weights = Buffer.from(Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7 + (i >> 8)) % 251));

beforeEach(async () => {
  hub = await new FakeHub().start();
  folder = temporaryFolder();
  hub.files.set('config.json', Buffer.from('{"model_type":"llama"}'));
  hub.files.set('tokenizer.json', Buffer.from('{}'));
  hub.files.set('README.md', Buffer.from('# no'));
  hub.files.set('model.safetensors', weights);
});
afterEach(async () => {
  await hub.stop();
  folder.remove();
});

const pull = (options: Partial<PullOptions> = {}): Promise<Pulled> => pullModel({
  name: NAME, cache: folder.path, ...options, hub: { endpoint: hub.endpoint, pause: 5, attempts: 4, idle: 400, ...options.hub },
});
const repo = (...parts: string[]): string => path.join(folder.path, 'models--owner--name', ...parts);
const pulled = (name: string): Buffer => readFileSync(repo('snapshots', COMMIT, name));
const downloads = (): typeof hub.asked => hub.asked.filter(({ url }) => url.endsWith('/model.safetensors'));
const isWeights = (url = ''): boolean => url.endsWith('/model.safetensors');
const said = async (work: Promise<unknown>): Promise<string> => {
  const { exitCode, diagnostics } = await problemsOf(work);
  return `${exitCode} ${diagnostics.map((d) => `${d.code} ${d.message}; ${d.hint ?? ''}`).join('\n')}`;
};

describe('pull', () => {
  it('takes what a model needs, in the layout of the cache of Hugging Face, once', async () => {
    const result = await pull();
    expect(result.files.map((file) => file.path).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    expect(result.model).toBe(repo('snapshots', COMMIT));
    expect(pulled('model.safetensors').equals(weights)).toBe(true);
    expect(lstatSync(repo('snapshots', COMMIT, 'model.safetensors')).isSymbolicLink()).toBe(true);
    expect(readFileSync(repo('refs', 'main'), 'utf8')).toBe(COMMIT);
    expect(readdirSync(repo('blobs')).map((name) => name.length).sort()).toEqual([40, 40, 64]);
    expect(cachedModel(NAME, folder.path)).toBe(result.model);
    const before = downloads().length;
    await pull();
    expect(downloads().length).toBe(before);
  });
  it('takes the shards that the index names, and no others', async () => {
    hub.files.delete('model.safetensors');
    hub.files.set('model.safetensors.index.json', Buffer.from(JSON.stringify({ weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors' } })));
    for (const name of ['model-1.safetensors', 'model-2.safetensors', 'other.safetensors']) hub.files.set(name, Buffer.from(name));
    expect((await pull()).files.map((file) => file.path).filter((name) => name.endsWith('.safetensors')).sort()).toEqual(['model-1.safetensors', 'model-2.safetensors']);
    hub.files.delete('model-2.safetensors');
    expect(await said(pull())).toMatch(/^14 E744 .*index.json names the shard "model-2.safetensors", which the repository does not have/);
  });
  it('goes on where a cut connection stopped', async () => {
    let cuts = 0;
    hub.misbehave = (request, response) => {
      if (!isWeights(request.url) || cuts++ >= 2) return false;
      hub.send(request, response, weights, { stopAfter: 60_000 });
      return true;
    };
    await pull();
    expect(pulled('model.safetensors').equals(weights)).toBe(true);
    const starts = downloads().map(({ range }) => Number(/\d+/.exec(range ?? '0')?.[0]));
    expect(starts.length).toBe(3);
    expect(starts[2]).toBeGreaterThan(starts[1] ?? 0);
    expect(starts[1]).toBeGreaterThan(0);
  });
  it('goes on with what an ended process left, also where the server ignores ranges', async () => {
    mkdirSync(repo('blobs'), { recursive: true });
    const { digest } = (await pull()).files.find((file) => file.path === 'model.safetensors') ?? { digest: '' };
    for (const ranges of [true, false]) {
      const fresh = temporaryFolder();
      try {
        const blobs = path.join(fresh.path, 'models--owner--name', 'blobs');
        mkdirSync(blobs, { recursive: true });
        writeFileSync(path.join(blobs, `${digest}.0-0-abcd.part`), weights.subarray(0, 150_000));
        hub.asked.length = 0;
        hub.misbehave = (request, response) => {
          if (ranges || !isWeights(request.url)) return false;
          hub.send(request, response, weights, { ranges: false });
          return true;
        };
        await pull({ cache: fresh.path });
        expect(downloads().map(({ range }) => range)).toEqual(['bytes=150000-']);
        expect(readFileSync(path.join(blobs, digest)).equals(weights)).toBe(true);
        expect(readdirSync(blobs).filter((name) => name.endsWith('.part'))).toEqual([]);
      } finally {
        fresh.remove();
      }
    }
  });
  it('fetches wrong bytes once more, then refuses them; nothing has the name of the right ones', async () => {
    let wrong = 1;
    const spoiled = Buffer.from(weights);
    spoiled[1234] = (spoiled[1234] ?? 0) ^ 1;
    hub.misbehave = (request, response) => {
      if (!isWeights(request.url) || wrong-- <= 0) return false;
      hub.send(request, response, spoiled);
      return true;
    };
    await pull();
    expect(pulled('model.safetensors').equals(weights)).toBe(true);
    wrong = Infinity;
    const fresh = temporaryFolder();
    expect(await said(pull({ cache: fresh.path }))).toMatch(/^14 E742 model.safetensors: its sha256 is [0-9a-f]{64}, but the hub lists/);
    expect(readdirSync(path.join(fresh.path, 'models--owner--name', 'blobs')).filter((name) => name.length === 64)).toEqual([]);
    expect(await said(Promise.resolve().then(() => cachedModel(NAME, fresh.path)))).toMatch(/^14 E743 hf:owner\/name is not in the cache .*; peel pull hf:owner\/name/);
    fresh.remove();
  });
  it('waits for a busy server, and gives up on one that stays so', async () => {
    const answers = [503, 429, 500];
    hub.misbehave = (_, response) => {
      const status = answers.shift();
      if (status !== undefined) response.writeHead(status, { 'retry-after': '0' }).end();
      return status !== undefined;
    };
    const retries: string[] = [];
    await pull({ hub: { onRetry: (why) => retries.push(why) } });
    expect(retries.map((text) => /\d{3}; trying/.exec(text)?.[0])).toEqual(['503; trying', '429; trying', '500; trying']);
    hub.misbehave = (_, response) => { response.writeHead(503).end(); return true; };
    expect(await said(pull())).toMatch(/^14 E741 .*answers 503, 4 times in a row; pull again later/);
  });
  it('drops a connection that stays silent, and goes on', async () => {
    let silent = 1;
    hub.misbehave = (request, response) => {
      if (!isWeights(request.url) || silent-- <= 0) return false;
      response.writeHead(200, { 'content-length': weights.length });
      response.write(weights.subarray(0, 1000));
      return true;
    };
    await pull();
    expect(downloads().map(({ range }) => range)).toEqual([undefined, 'bytes=1000-']);
    expect(pulled('model.safetensors').equals(weights)).toBe(true);
  });
  it('says what a refusal may mean, with the name', async () => {
    for (const [status, words] of [[401, /401.*private or gated.*HF_TOKEN/], [403, /403.*gated.*accept its conditions at/], [404, /404.*private or gated/]] as const) {
      hub.misbehave = (_, response) => { response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":"no"}'); return true; };
      const text = await said(pull());
      expect(text).toMatch(/^14 E741 .*owner\/name/);
      expect(text).toMatch(words);
    }
  });
  it('sends the token to the hub, and to no other host that it redirects to', async () => {
    const other = await new FakeHub().start();
    other.files.set('model.safetensors', weights);
    hub.misbehave = (request, response) => {
      if (!isWeights(request.url)) return false;
      response.writeHead(302, { location: `${other.endpoint}${request.url ?? ''}` }).end();
      return true;
    };
    await pull({ hub: { token: 'secret' } });
    expect(new Set(hub.asked.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer secret']));
    expect(other.asked.map(({ authorization }) => authorization)).toEqual([undefined]);
    await other.stop();
  });
  it('refuses paths, digests and commits that would leave the cache', async () => {
    for (const bad of ['../evil', '/etc/evil', 'a/../../evil', 'a\\..\\evil', 'C:evil', 'a//b', '.', 'nul\0']) {
      hub.listing = (entries) => [...entries, { ...entries[0], path: bad }];
      expect(await said(pull()), bad).toMatch(/^14 E744 .*would leave the cache/);
    }
    hub.listing = (entries) => entries.map((entry) => ({ ...entry, oid: '../../evil', lfs: undefined }));
    expect(await said(pull())).toMatch(/^14 E744 .*no digest or size/);
    hub.listing = undefined;
    hub.commit = '../../evil';
    expect(await said(pull())).toMatch(/^14 E744 .*gives no commit/);
    expect(existsSync(path.join(folder.path, '..', 'evil'))).toBe(false);
  });
  it('does not follow a link in the cache that leads out of it', async () => {
    hub.files.set('model.safetensors', weights);
    hub.files.set('sub/extra.json', Buffer.from('{}'));
    const outside = temporaryFolder();
    mkdirSync(repo('snapshots', COMMIT), { recursive: true });
    const { symlinkSync } = await import('node:fs');
    symlinkSync(outside.path, repo('snapshots', COMMIT, 'sub'));
    expect(await said(pull({ include: ['sub/*'] }))).toMatch(/^14 E721 .*leads out of the cache/);
    expect(readdirSync(outside.path)).toEqual([]);
    outside.remove();
  });
  it('waits for another writer, and takes over from one that is gone', async () => {
    const [first, second] = await Promise.all([pull(), pull()]);
    expect(first.model).toBe(second.model);
    expect(downloads().length).toBe(1);
    expect(readdirSync(repo('blobs')).filter((name) => name.endsWith('.part'))).toEqual([]);
    // A partial file of a process that is alive, but has not touched it for long.
    const fresh = temporaryFolder();
    const blobs = path.join(fresh.path, 'models--owner--name', 'blobs');
    mkdirSync(blobs, { recursive: true });
    const left = path.join(blobs, `${first.files.find((file) => file.path === 'model.safetensors')?.digest ?? ''}.00000000-${process.pid}-abcd.part`);
    writeFileSync(left, weights.subarray(0, 10));
    utimesSync(left, 1, 1);
    await pull({ cache: fresh.path });
    expect(downloads().at(-1)?.range).toBe('bytes=10-');
    fresh.remove();
  });
});

describe('GGUF repositories', () => {
  beforeEach(() => {
    hub.files.clear();
    for (const name of ['model-Q4_K_M.gguf', 'model-Q8_0.gguf', 'mmproj-model.gguf', 'model-F16-00001-of-00002.gguf', 'model-F16-00002-of-00002.gguf']) hub.files.set(name, Buffer.from(name));
  });
  it('take one file by quantisation or name, or say what there is', async () => {
    expect((await pull({ name: `${NAME}:q4_k_m` })).model).toBe(repo('snapshots', COMMIT, 'model-Q4_K_M.gguf'));
    expect(cachedModel(NAME, folder.path)).toBe(repo('snapshots', COMMIT, 'model-Q4_K_M.gguf'));
    expect((await pull({ name: `${NAME}:model-Q8_0.gguf` })).files.length).toBe(1);
    expect((await pull({ name: `${NAME}:F16` })).files.map((file) => file.path)).toEqual(['model-F16-00001-of-00002.gguf', 'model-F16-00002-of-00002.gguf']);
    expect(await said(pull())).toMatch(/^2 E744 .*3 GGUF models: model-F16.gguf, model-Q4_K_M.gguf, model-Q8_0.gguf; choose one: hf:owner\/name:F16/);
    expect(await said(pull({ name: `${NAME}:Q5_0` }))).toMatch(/^2 E744 .*no GGUF file fits 'Q5_0'/);
  });
});

describe('what was pulled', () => {
  it('runs without a network; what is incomplete does not, and says how to get it', async () => {
    for (const name of ['config.json', 'model.safetensors']) hub.files.set(name, readFileSync(path.join(goldenFolder, 'llama', name)));
    await pull();
    const before = process.env.HF_HUB_CACHE;
    process.env.HF_HUB_CACHE = folder.path;
    try {
      const model = await loadModel({ path: NAME });
      expect(model.name).toBe('llama');
      await model.dispose();
      expect(await said(loadModel({ path: 'hf:owner/other' }))).toMatch(/^14 E743 .*; peel pull hf:owner\/other/);
      writeFileSync(repo('peel', `${COMMIT}.json`), JSON.stringify({ files: [{ path: 'model.safetensors', size: 5 }] }));
      expect(await said(loadModel({ path: NAME }))).toMatch(/^14 E743 .*is incomplete \(model.safetensors\)/);
    } finally {
      if (before === undefined) delete process.env.HF_HUB_CACHE;
      else process.env.HF_HUB_CACHE = before;
    }
  });
  it('names and places', async () => {
    expect(parseHubName('hf:a/b@refs/pr/1:Q4_0')).toEqual({ repo: 'a/b', revision: 'refs/pr/1', choice: 'Q4_0' });
    for (const bad of ['hf:a', 'hf:../b', 'hf:a/..', 'hf:a/b/c', 'hf:a/b@../c', 'hf:a/b@', 'hf:a/b:', 'hf:a--b/c', 'hf:/a/b']) {
      expect(await said(Promise.resolve().then(() => parseHubName(bad))), bad).toMatch(/^2 E744 /);
    }
    expect(cacheFolder({ HF_HOME: '/h' })).toBe(path.join('/h', 'hub'));
    expect(hubFrom({ HF_ENDPOINT: 'http://x/', HF_TOKEN: ' t ' })).toMatchObject({ endpoint: 'http://x', token: 't' });
    expect(await said(Promise.resolve().then(() => hubFrom({ HF_ENDPOINT: 'file:///x' })))).toMatch(/^14 E741 HF_ENDPOINT is no web address/);
  });
});
