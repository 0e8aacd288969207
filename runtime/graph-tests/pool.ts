/**
 * Runs cases in processes of their own, as many as there are cores. A driver that crashes, memory that runs out or a kernel that never
 * ends takes one case with it: that is reported, and a new process goes on with the next.
 */
import { fork, type ChildProcess } from 'node:child_process';
import type { CaseResult, TestCase } from './case.ts';
import { runCase } from './run-case.ts';
import { modelKey, SharedWork } from './shared.ts';
import type { Task } from './worker.ts';

export interface PoolOptions {
  /** The program to start, and its arguments, so that it serves cases. Without it, or with no workers, cases run in this process. */
  readonly program?: readonly [file: string, ...args: string[]];
  readonly workers: number;
  /** Seconds after which a case is ended. */
  readonly timeout: number;
  readonly update: boolean;
  readonly force?: boolean;
  /** Called with each result, in the order of the cases, and with how many are done in all. */
  readonly onResult?: (result: CaseResult) => void;
  readonly onProgress?: (done: number) => void;
}

/** The results in the order of the cases. */
export async function runCases(cases: readonly TestCase[], options: PoolOptions): Promise<CaseResult[]> {
  const results: (CaseResult | undefined)[] = [];
  let said = 0;
  let done = 0;
  const finish = (at: number, result: CaseResult): void => {
    results[at] = result;
    options.onProgress?.(++done);
    for (let next = results[said]; next !== undefined; next = results[said]) {
      said++;
      options.onResult?.(next);
    }
  };
  const workers = Math.max(1, Math.min(options.workers, cases.length));
  const portions = portionsOf(cases, workers);
  const { program } = options;
  const work = async (): Promise<void> => {
    const worker = program && options.workers > 0 ? new Worker(program, options) : undefined;
    const shared = new SharedWork();
    try {
      for (let portion = portions.shift(); portion; portion = portions.shift()) {
        for (const { test, at } of portion) finish(at, worker ? await worker.run(test) : await runCase(test, options, shared));
      }
    } finally {
      worker?.end();
      await shared.dispose();
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
  return results.flatMap((result) => result ?? []);
}

/** Cases that follow each other and have the same model stay together, where that leaves something to do for every worker. */
function portionsOf(cases: readonly TestCase[], workers: number): { readonly test: TestCase; readonly at: number }[][] {
  const most = Math.ceil(cases.length / (workers * 3));
  const portions: { readonly test: TestCase; readonly at: number }[][] = [];
  for (const [at, test] of cases.entries()) {
    const last = portions.at(-1);
    const before = last?.[0]?.test;
    if (last && before && last.length < most && modelKey(before) === modelKey(test)) last.push({ test, at });
    else portions.push([{ test, at }]);
  }
  return portions;
}

/** Most of a worker's own output that is kept, for the report of its end. */
const KEPT_OUTPUT = 4096;

/** A process that runs one case at a time; it is started again after it ended. */
class Worker {
  private child: ChildProcess | undefined;
  private output = '';

  constructor(private readonly program: readonly [file: string, ...args: string[]], private readonly options: PoolOptions) {}

  /** A process that ends may do so for what it ran before: only in a new one is it certain to be for this case. */
  async run(test: TestCase): Promise<CaseResult> {
    const used = this.child !== undefined;
    const { result, ended } = await this.attempt(test);
    return ended && used ? (await this.attempt(test)).result : result;
  }

  private attempt(test: TestCase): Promise<{ readonly result: CaseResult; readonly ended: boolean }> {
    const started = performance.now();
    const child = this.child ?? this.start();
    this.output = '';
    return new Promise((resolve) => {
      const settle = (result: CaseResult, ended = false): void => {
        clearTimeout(timer);
        child.off('message', onMessage).off('close', onEnd).off('error', onError);
        resolve({ result, ended });
      };
      const lost = (why: string, ended = true): void => {
        this.child = undefined;
        const lastWords = this.output.trim().split('\n').slice(-3).join('\n');
        settle({
          name: test.name, file: test.file, location: test.location, status: 'error', milliseconds: performance.now() - started, files: [test.file, test.spec],
          findings: [{ kind: 'error', expectation: '', message: lastWords === '' ? why : `${why}; its last words:\n${lastWords}`, location: test.location }],
        }, ended);
      };
      const onMessage = (result: CaseResult): void => settle(result);
      const onError = (error: Error): void => lost(`the process that runs cases cannot be started: ${error.message}`);
      const onEnd = (code: number | null, signal: string | null): void => lost(`the process that ran it ended with ${signal ?? `exit code ${code ?? 'unknown'}`} before the case did`);
      child.on('message', onMessage).on('close', onEnd).on('error', onError);
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        child.off('close', onEnd);
        lost(`it took more than ${this.options.timeout} s and was ended`, false);
      }, this.options.timeout * 1000);
      const task: Task = { file: test.file, index: test.index, update: this.options.update, force: this.options.force ?? false };
      // A channel that is closed is one whose process ends: that is heard above.
      child.send(task, () => undefined);
    });
  }

  private start(): ChildProcess {
    const [file, ...args] = this.program;
    const child = fork(file, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    const keep = (data: Buffer): void => { this.output = (this.output + data.toString()).slice(-KEPT_OUTPUT); };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.on('exit', () => { if (this.child === child) this.child = undefined; });
    this.child = child;
    return child;
  }

  end(): void {
    if (this.child?.connected) this.child.disconnect();
    this.child = undefined;
  }
}
