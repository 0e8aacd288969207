/** A model of a hub into the cache. Whatever ends it: what was there before stays, and what came is used the next time. */
import { promises as fs } from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { isObject, readJsonObject } from '../weights/json.ts';
import { writeWhole } from '../weights/write-whole.ts';
import { cachedModel, cacheFolder, manifestFile, readManifest, repoFolder } from './cache.ts';
import { disk, downloadBlob } from './download.ts';
import { listRepo, type HubFile } from './listing.ts';
import { hubError, isCommit, isPlainPath, parseHubName } from './name.ts';
import { hubFrom, type Hub } from './request.ts';
import { INDEX, selectFiles } from './select.ts';

export interface PullOptions {
  /** hf:OWNER/NAME[@REVISION][:FILE or quantisation]. */
  readonly name: string;
  /** Globs of files, instead of those that a model needs. */
  readonly include?: readonly string[];
  readonly cache?: string;
  readonly hub?: Partial<Hub>;
  readonly onProgress?: (done: number, total: number) => void;
  readonly onFile?: (path: string, size: number) => void;
  readonly onWait?: (path: string) => void;
}

export interface Pulled {
  readonly commit: string;
  /** The folder of the model's files. */
  readonly folder: string;
  /** What to run: the folder, or the GGUF file in it; absent where `include` left out what a model needs. */
  readonly model?: string;
  readonly files: readonly HubFile[];
  readonly bytes: number;
}

const AT_ONCE = 4;

/** Throws PeelError: 2 for names and choices, 14 for the hub and the disk. */
export async function pullModel(options: PullOptions): Promise<Pulled> {
  const name = parseHubName(options.name);
  const hub: Hub = { ...hubFrom(), ...options.hub };
  const cache = options.cache ?? cacheFolder();
  const { commit, files } = await listRepo(hub, name);
  const folder = repoFolder(cache, name.repo);
  const blobs = path.join(folder, 'blobs');
  const snapshot = path.join(folder, 'snapshots', commit);
  await disk(snapshot, async () => {
    await fs.mkdir(blobs, { recursive: true });
    await fs.mkdir(snapshot, { recursive: true });
  });
  const selection = selectFiles(files, name, options.name, options.include ?? []);
  const queue: HubFile[] = [...selection.files];
  let total = sum(queue);
  let done = 0;
  const onBytes = (count: number): void => {
    done += count;
    options.onProgress?.(done, total);
  };
  const bring = async (file: HubFile): Promise<void> => {
    await downloadBlob({ hub, name, commit, file, blobs, onBytes, ...(options.onWait ? { onWait: options.onWait } : {}) });
    await disk(path.join(snapshot, file.path), () => link(snapshot, file, folder));
    options.onFile?.(file.path, file.size);
  };
  if (selection.sharded) {
    // The index says which of the shards belong to the model.
    const index = queue.splice(queue.findIndex((file) => file.path === INDEX), 1);
    for (const file of index) await bring(file);
    const shards = await shardsOf(path.join(snapshot, INDEX), files);
    queue.push(...shards);
    total += sum(shards);
  }
  await checkSpace(blobs, queue);
  await inParallel(queue, bring);
  const all = selection.sharded ? [...selection.files, ...queue.filter((file) => !selection.files.includes(file))] : queue;
  const known = new Map([...readManifest(folder, commit), ...all].map(({ path: at, size }) => [at, { path: at, size }]));
  await disk(folder, () => fs.mkdir(path.join(folder, 'peel'), { recursive: true }));
  await writeWhole(manifestFile(folder, commit), `${JSON.stringify({ files: [...known.values()] }, undefined, 1)}\n`, { overwrite: true });
  if (!isCommit(name.revision)) {
    const ref = path.join(folder, 'refs', name.revision);
    await disk(ref, () => fs.mkdir(path.dirname(ref), { recursive: true }));
    await writeWhole(ref, commit, { overwrite: true });
  }
  const model = options.include === undefined || options.include.length === 0 ? cachedModel(options.name, cache) : undefined;
  return { commit, folder: snapshot, files: all, bytes: sum(all), ...(model === undefined ? {} : { model }) };
}

function sum(files: readonly HubFile[]): number {
  return files.reduce((bytes, file) => bytes + file.size, 0);
}

async function shardsOf(index: string, files: readonly HubFile[]): Promise<HubFile[]> {
  const { weight_map: map } = await readJsonObject(index);
  const names = new Set(isObject(map) ? Object.values(map).map(String) : []);
  return [...names].map((name) => {
    const file = isPlainPath(name) ? files.find((candidate) => candidate.path === name) : undefined;
    if (!file) throw hubError('E744', `${INDEX} names the shard ${JSON.stringify(name).slice(0, 200)}, which the repository does not have`);
    return file;
  });
}

/** Some files at once. The first failure ends the others at their next file. */
async function inParallel(files: readonly HubFile[], work: (file: HubFile) => Promise<void>): Promise<void> {
  const waiting = [...files].sort((a, b) => a.size - b.size);
  let failed = false;
  const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, async () => {
    for (let next = waiting.shift(); next && !failed; next = waiting.shift()) {
      await work(next).catch((error: unknown) => {
        failed = true;
        throw error;
      });
    }
  }));
  const problem = results.find((result) => result.status === 'rejected');
  if (problem) throw problem.reason;
}

/** A name in the snapshot for a blob, put there in one step. */
async function link(snapshot: string, { path: name, digest }: HubFile, folder: string): Promise<void> {
  const at = path.join(snapshot, ...name.split('/'));
  await fs.mkdir(path.dirname(at), { recursive: true });
  const [parent, root] = await Promise.all([fs.realpath(path.dirname(at)), fs.realpath(snapshot)]);
  if (parent !== root && !parent.startsWith(root + path.sep)) throw new Error('a folder on its way leads out of the cache');
  const blob = path.join(folder, 'blobs', digest);
  const temporary = path.join(parent, `.${randomBytes(8).toString('hex')}`);
  try {
    // Where links are not allowed, a second name for the same file, or a copy.
    await fs.symlink(path.relative(path.dirname(at), blob), temporary).catch(() => fs.link(blob, temporary)).catch(() => fs.copyFile(blob, temporary));
    await fs.rename(temporary, at);
  } finally {
    await fs.rm(temporary, { force: true });
  }
}

async function checkSpace(blobs: string, files: readonly HubFile[]): Promise<void> {
  const names = await fs.readdir(blobs);
  const missing = files.filter((file) => !names.some((name) => name.startsWith(file.digest)));
  const { bavail, bsize } = await fs.statfs(blobs);
  const [needed, free] = [sum(missing), bavail * bsize];
  if (needed <= free) return;
  throw new PeelError(ExitCode.fileSystem, [{
    code: 'E721', severity: 'error', path: '', message: `${blobs}: ${gib(needed)} are to come, but only ${gib(free)} are free`, hint: 'make room, or give another place with --cache DIR',
  }]);
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
