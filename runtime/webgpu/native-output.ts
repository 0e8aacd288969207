/**
 * Keeps what native code writes to standard error from people: Dawn prints warnings about every driver's limits, and no option of
 * its own, no toggle and no environment variable turns that off.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

/**
 * Runs `call` with the process's standard error thrown away. Nothing else of this program runs meanwhile, so no other message is lost;
 * what `call` starts and does later is not silenced. Where standard error cannot be opened anew as it is (a socket, a file that
 * others may write to at their own place, other systems), it stays.
 */
export function withoutNativeOutput<R>(call: () => R): R {
  const restore = divert();
  try {
    return call();
  } finally {
    restore?.();
  }
}

const STDERR = 2;

/** Points standard error to nowhere. Node has no dup2: an open takes the lowest free number, which is the one just closed. */
function divert(): (() => void) | undefined {
  if (process.platform !== 'linux' || !canReopen()) return undefined;
  let saved: number;
  let nowhere: number;
  try {
    saved = openSync(`/proc/self/fd/${STDERR}`, constants.O_WRONLY | constants.O_APPEND);
    nowhere = openSync('/dev/null', 'w');
  } catch {
    return undefined;
  }
  const point = (from: number): void => {
    closeSync(STDERR);
    openSync(`/proc/self/fd/${from}`, constants.O_WRONLY | constants.O_APPEND);
  };
  point(nowhere);
  return () => {
    point(saved);
    closeSync(saved);
    closeSync(nowhere);
  };
}

/** Terminals, pipes, devices, and files that are only appended to have no place that a second opening would not share. */
function canReopen(): boolean {
  try {
    const stat = fstatSync(STDERR);
    if (stat.isFIFO() || stat.isCharacterDevice()) return true;
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${STDERR}`, 'utf8'))?.[1];
    return stat.isFile() && flags !== undefined && (Number.parseInt(flags, 8) & constants.O_APPEND) !== 0;
  } catch {
    return false;
  }
}
