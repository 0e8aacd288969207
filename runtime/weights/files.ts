/** Opening files that a user or a downloaded folder names, without hanging on a FIFO or leaving the folder. */
import { constants, promises as fs, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { weightError, weightProblem, type WeightCode } from './problem.ts';

function fileSystemError(code: WeightCode, file: string, message: string, hint?: string): PeelError {
  return new PeelError(ExitCode.fileSystem, [weightProblem(code, file, message, hint === undefined ? {} : { hint })]);
}

/** What the operating system said, in words. */
export function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  switch (code) {
    case 'ENOENT': return 'no such file or folder';
    case 'EACCES': case 'EPERM': return 'permission denied';
    case 'EISDIR': return 'it is a folder';
    case 'ENOTDIR': return 'part of the path is a file, not a folder';
    case 'ELOOP': return 'too many symbolic links';
    case 'ENAMETOOLONG': return 'the name is too long';
    case 'EMFILE': return 'too many open files';
    case 'ENOSPC': return 'the disk is full';
    case 'EROFS': return 'the file system is read only';
    default: return error instanceof Error ? error.message : String(error);
  }
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a named pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

/** What `name` is, if anything; exit code 14 where it cannot be looked at. */
export function statIfThere(name: string): Stats | undefined {
  try {
    return statSync(name, { throwIfNoEntry: false });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOTDIR') return undefined;
    throw fileSystemError('E721', name, `cannot be read: ${reason(error)}`);
  }
}

/** What `name` is; exit code 14 where there is nothing or it cannot be looked at. */
export async function statPath(name: string): Promise<Stats> {
  try {
    return await fs.stat(name);
  } catch (error) {
    throw fileSystemError('E721', name, `cannot be read: ${reason(error)}`);
  }
}

export async function exists(name: string): Promise<boolean> {
  return fs.access(name).then(() => true, () => false);
}

/** Opens a regular file for reading. The kind is checked before opening, since opening a FIFO would wait for a writer. */
export async function openRegular(name: string): Promise<{ handle: fs.FileHandle; size: number }> {
  const before = await statPath(name);
  if (!before.isFile()) throw fileSystemError('E722', name, `is ${kindOf(before)}, a file was expected`);
  let handle: fs.FileHandle;
  try {
    handle = await fs.open(name, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw fileSystemError('E721', name, `cannot be read: ${reason(error)}`);
  }
  const stats = await handle.stat();
  if (stats.isFile()) return { handle, size: stats.size };
  await handle.close();
  throw fileSystemError('E722', name, `is ${kindOf(stats)}, a file was expected`);
}

/** Fills `target` from byte `position` on. A file that has become shorter is an error, never silent zeros. */
export async function readExactly(handle: fs.FileHandle, name: string, target: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < target.byteLength) {
    // One read call is limited to 2 GiB by the operating system.
    const length = Math.min(target.byteLength - done, 1 << 30);
    let count: number;
    try {
      count = (await handle.read(target, done, length, position + done)).bytesRead;
    } catch (error) {
      throw fileSystemError('E721', name, `cannot be read: ${reason(error)}`);
    }
    if (count === 0) {
      throw weightError(weightProblem('E732', name, `ended at byte ${position + done} while ${target.byteLength - done} more were expected`,
        { hint: 'the file changed while it was read' }));
    }
    done += count;
  }
}

/** A small text file whole, at most `limit` bytes, valid UTF-8. */
export async function readText(name: string, limit = 64 << 20): Promise<string> {
  const { handle, size } = await openRegular(name);
  try {
    if (size > limit) throw weightError(weightProblem('E735', name, `has ${size} bytes, at most ${limit} are read`));
    const bytes = new Uint8Array(size);
    await readExactly(handle, name, bytes, 0);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw weightError(weightProblem('E735', name, 'is not valid UTF-8'));
    throw error;
  } finally {
    await handle.close();
  }
}

/**
 * The path of `name`, which a file in `folder` gave, if it stays inside. Refused: absolute paths, `..`, URLs, and symbolic links
 * that leave the folder, except into the `blobs` of the Hugging Face cache that the folder is a snapshot of.
 */
export async function containedPath(folder: string, name: string): Promise<{ path: string } | { problem: string }> {
  if (name === '' || name.includes('\0')) return { problem: 'is not a file name' };
  if (name.includes('://')) return { problem: 'is an address, not a file in the folder' };
  if (/^[/\\]/.test(name) || /^[A-Za-z]:/.test(name)) return { problem: 'is an absolute path' };
  if (name.split(/[/\\]/).includes('..')) return { problem: 'leaves the folder' };
  const joined = path.join(folder, name);
  let real: string, root: string;
  try {
    [real, root] = await Promise.all([fs.realpath(joined), fs.realpath(folder)]);
  } catch {
    return { path: joined }; // Opening it says what is wrong.
  }
  const inside = (base: string): boolean => real.startsWith(base + path.sep);
  const cache = path.basename(path.dirname(root)) === 'snapshots' ? path.join(path.dirname(path.dirname(root)), 'blobs') : undefined;
  if (inside(root) || (cache !== undefined && inside(cache))) return { path: joined };
  return { problem: `is a symbolic link that leaves the folder (to ${real})` };
}
