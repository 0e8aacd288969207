/** Says which files changed, of those that matter. */
import { existsSync, statSync, watch, type FSWatcher } from 'node:fs';
import path from 'node:path';

/** Editors write a file in several steps: changes within this time are one. */
const SETTLE_MILLISECONDS = 80;
/** Times of files are as exact as a kernel's tick. */
const CLOCK_MILLISECONDS = 20;

/**
 * Waits until one of `files` (or a file in one of them that is a folder) changes, comes or goes, and gives the paths as they were named. Their folders are
 * watched, because an editor may put a new file in the place of the old one. Files that `appears` accepts count as well, and at once those that
 * changed after `since` (milliseconds, as Date.now() gives them).
 */
export function nextChange(files: readonly string[], folders: readonly string[], appears: (file: string) => boolean, since: number): Promise<string[]> {
  const byPath = new Map(files.map((file) => [path.resolve(file), file]));
  const watched = new Set([...files.map((file) => folderOf(path.resolve(file))), ...folders.map((folder) => path.resolve(folder))].filter((folder) => existsSync(folder)));
  return new Promise((resolve) => {
    const changed = new Set(files.filter((file) => (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) > since - CLOCK_MILLISECONDS));
    const watchers: FSWatcher[] = [];
    let timer: NodeJS.Timeout | undefined;
    const finish = (): void => {
      clearTimeout(timer);
      watchers.forEach((watcher) => watcher.close());
      resolve([...changed]);
    };
    for (const folder of watched) {
      const watcher = watch(folder, (_event, name) => {
        if (name === null) return;
        const full = path.join(folder, name);
        const known = byPath.get(full) ?? byPath.get(folder) ?? (appears(full) ? path.relative(process.cwd(), full) : undefined);
        if (known === undefined) return;
        changed.add(known);
        clearTimeout(timer);
        timer = setTimeout(finish, SETTLE_MILLISECONDS);
      });
      watcher.on('error', () => undefined);
      watchers.push(watcher);
    }
    if (changed.size > 0) timer = setTimeout(finish, SETTLE_MILLISECONDS);
  });
}

/** The folder itself, or that of a file. */
function folderOf(file: string): string {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() ? file : path.dirname(file);
}
