/** The other end of the pool: a process that runs the cases it is told, one after the other. */
import type { CaseResult, TestCase } from './case.ts';
import { loadTestFile } from './load.ts';
import { runCase, type RunOptions } from './run-case.ts';
import { SharedWork } from './shared.ts';

/** What a worker is told: a case by its file and its position there. */
export interface Task extends RunOptions { readonly file: string; readonly index: number }

/** Serves the process that started this one until that goes away. */
export function serveCases(): void {
  const shared = new SharedWork();
  const files = new Map<string, readonly TestCase[]>();
  process.on('message', (task: Task) => {
    const cases = files.get(task.file) ?? loadTestFile(task.file, shared.parse).cases;
    files.set(task.file, cases);
    const test = cases[task.index];
    // A file that changed since it was listed: what the pool does without a result is said there.
    if (!test) process.exit(1);
    void runCase(test, task, shared).then((result: CaseResult) => process.send?.(result));
  });
  process.on('disconnect', () => process.exit(0));
}
