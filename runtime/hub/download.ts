/** One file of a hub into the cache's blobs: resumed, checked, and there in one step. */
import { createHash, randomBytes, type Hash } from 'node:crypto';
import { createReadStream, promises as fs } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { reason } from '../weights/files.ts';
import { refusal, type HubFile } from './listing.ts';
import { hubError, type HubName } from './name.ts';
import { attempt, chunksOf, Passing, passing, pauseAfter, Watch, type Hub } from './request.ts';

export interface Download {
  readonly hub: Hub;
  readonly name: HubName;
  readonly commit: string;
  readonly file: HubFile;
  /** Folder of the blobs. */
  readonly blobs: string;
  /** Bytes that this file gained since the last call; less than 0 where some turned out to be wrong. */
  readonly onBytes: (count: number) => void;
  readonly onWait?: (path: string) => void;
}

/** A partial file that nobody has touched for so long has lost its writer, in milliseconds. */
const STALE = 90_000;
const TOUCH = 10_000;

/**
 * Brings a file into the blobs, under its digest. While it grows it has a name of its own that says whose it is; it gets its last name when its
 * digest is right. What a dead process left is taken over; a living one is waited for.
 * Throws PeelError (exit code 14): E741, E742 for bytes that are wrong twice, E721 for the disk.
 */
export async function downloadBlob(download: Download): Promise<void> {
  const { file, blobs } = download;
  const blob = path.join(blobs, file.digest);
  for (let waited = false; ; waited = true) {
    const stats = await fs.stat(blob).catch(() => undefined);
    if (stats?.size === file.size) {
      download.onBytes(file.size);
      return;
    }
    const part = await disk(blob, () => claim(blobs, file.digest));
    if (part === undefined) {
      if (!waited) download.onWait?.(file.path);
      await new Promise((resolve) => setTimeout(resolve, 250));
      continue;
    }
    if ((await fs.stat(blob).catch(() => undefined))?.size === file.size) {
      // It came while we were looking.
      await fs.rm(part, { force: true });
      continue;
    }
    const keep = setInterval(() => { const now = new Date(); void fs.utimes(part, now, now).catch(() => undefined); }, TOUCH);
    keep.unref();
    try {
      await fill(download, part);
      await disk(blob, () => fs.rename(part, blob));
      return;
    } finally {
      clearInterval(keep);
      await release(part, file.digest, blobs);
    }
  }
}

const host = (): string => createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

/** One at a time looks for what was left: whoever comes second finds the partial file of the first. */
async function claim(blobs: string, digest: string): Promise<string | undefined> {
  const gate = path.join(blobs, `${digest}.claim`);
  const opened = await fs.open(gate, 'wx').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return undefined;
    throw error;
  });
  if (!opened) {
    // Looking takes moments: who needs longer has ended on the way.
    const stats = await fs.stat(gate).catch(() => undefined);
    if (stats && Date.now() - stats.mtimeMs > 5000) await fs.rm(gate, { force: true });
    return undefined;
  }
  await opened.close();
  try {
    return await claimPart(blobs, digest);
  } finally {
    await fs.rm(gate, { force: true });
  }
}

/** A partial file that is ours alone: one that was left, with what it holds, or a new one. Undefined where another process is at it. */
async function claimPart(blobs: string, digest: string): Promise<string | undefined> {
  const mine = path.join(blobs, `${digest}.${host()}-${process.pid}-${randomBytes(4).toString('hex')}.part`);
  const left = (await fs.readdir(blobs)).filter((name) => name.startsWith(`${digest}.`) && name.endsWith('.part'));
  for (const name of left) {
    const full = path.join(blobs, name);
    const stats = await fs.lstat(full).catch(() => undefined);
    if (!stats?.isFile()) continue;
    if (isAlive(name, Date.now() - stats.mtimeMs)) return undefined;
    // Of several that try, one succeeds.
    if (await fs.rename(full, mine).then(() => true, () => false)) {
      const now = new Date();
      await fs.utimes(mine, now, now);
      return mine;
    }
  }
  await (await fs.open(mine, 'wx')).close();
  return mine;
}

function isAlive(name: string, age: number): boolean {
  const [, where, pid] = /\.([0-9a-f]+)-(\d+)-[0-9a-f]+\.part$/.exec(name) ?? [];
  // Host 0 is nobody: what its writer gave up.
  if (where === undefined || where === '0' || age > STALE) return false;
  if (where !== host()) return true;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Leaves what there is of a file that did not come through, under a name that says that nobody writes it. */
async function release(part: string, digest: string, blobs: string): Promise<void> {
  await fs.rename(part, path.join(blobs, `${digest}.0-0-${randomBytes(4).toString('hex')}.part`)).catch(() => undefined);
}

async function fill(download: Download, part: string): Promise<void> {
  const { file, hub } = download;
  const handle = await disk(part, () => fs.open(part, 'r+'));
  try {
    for (let wrong = 0; ; wrong++) {
      let have = (await handle.stat()).size;
      if (have > file.size) {
        await handle.truncate(0);
        have = 0;
      }
      const hash = digestOf(file);
      if (have > 0) for await (const chunk of createReadStream(part, { end: have - 1 })) hash.update(chunk as Buffer);
      download.onBytes(have);
      let failed = 0;
      while (have < file.size) {
        const before = have;
        try {
          for await (const chunk of bytesFrom(download, have)) {
            if (have + chunk.byteLength > file.size) throw hubError('E742', `${file.path} is longer than the ${file.size} bytes that the hub lists`);
            await disk(part, () => writeAll(handle, chunk, have));
            hash.update(chunk);
            have += chunk.byteLength;
            download.onBytes(chunk.byteLength);
          }
          if (have < file.size) throw new Passing(`the connection ended ${file.size - have} bytes early`);
        } catch (error) {
          if (!(error instanceof Passing)) throw error;
          failed = have > before ? 1 : failed + 1;
          await pauseAfter(hub, failed, error, file.path);
        }
      }
      const found = hash.digest('hex');
      if (found === file.digest) {
        await disk(part, () => handle.sync());
        return;
      }
      download.onBytes(-file.size);
      await handle.truncate(0);
      const kind = file.digest.length === 64 ? 'sha256' : 'git sha1';
      if (wrong > 0) throw hubError('E742', `${file.path}: its ${kind} is ${found}, but the hub lists ${file.digest}`, 'the bytes that came are not the file; nothing of it was kept');
      hub.onRetry?.(`${file.path}: its ${kind} is wrong; fetching it again`);
    }
  } finally {
    await handle.close();
  }
}

function digestOf({ digest, size }: HubFile): Hash {
  return digest.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

/** The file's bytes from `from` on, whether or not the server knows ranges. */
async function* bytesFrom({ hub, name, commit, file }: Download, from: number): AsyncGenerator<Uint8Array, void, undefined> {
  const watch = new Watch(hub.idle);
  try {
    const address = `${hub.endpoint}/${name.repo}/resolve/${commit}/${file.path.split('/').map(encodeURIComponent).join('/')}`;
    const response = await attempt(hub, address, { 'accept-encoding': 'identity', ...(from > 0 ? { range: `bytes=${from}-` } : {}) }, watch);
    let skip = 0;
    if (response.status === 206) {
      const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
      if (Number(range?.[1]) !== from) throw hubError('E741', `${file.path}: the server sends another range than it was asked for`);
    } else if (response.status === 200) skip = from;
    else throw refusal(hub, response.status, `${name.repo}/${file.path}`, name.revision);
    for await (const chunk of chunksOf(response, watch)) {
      const dropped = Math.min(skip, chunk.byteLength);
      skip -= dropped;
      if (dropped < chunk.byteLength) yield chunk.subarray(dropped);
    }
  } catch (error) {
    throw error instanceof PeelError ? error : passing(error, watch);
  } finally {
    watch.stop();
  }
}

async function writeAll(handle: fs.FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) done += (await handle.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten;
}

/** Work on the disk; what it fails with, in words. */
export async function disk<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const full = error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
    throw new PeelError(ExitCode.fileSystem, [{
      code: 'E721', severity: 'error', path: '', message: `${file} cannot be written: ${reason(error)}`,
      ...(full ? { hint: 'make room, and pull again: what is there already is kept; HF_HUB_CACHE or --cache names another place' } : {}),
    }]);
  }
}
