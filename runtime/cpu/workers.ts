/**
 * The threads besides the host's. Each runs `serve` of the shared module on the shared memory until it is told to stop; its
 * program is a text, so that it needs no file of its own in a bundle, a test or a browser.
 */
import { InternalError } from '../../compiler/diagnostics.ts';
import { control } from './control.ts';

/** What a worker is given. */
interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly failed: number;
  readonly generation: number;
}

/** `data` and `ready` are defined by the frame below. A failure wakes whoever waits, who then fails as well. */
const body = `
  const { module, memory, thread, failed, generation } = data;
  const words = new Int32Array(memory.buffer);
  // Only the host's thread marks times.
  const instance = new WebAssembly.Instance(module, { env: { memory, mark() {} } });
  ready();
  try {
    instance.exports.serve(thread);
  } catch (error) {
    Atomics.store(words, failed / 4, 1);
    Atomics.notify(words, generation / 4);
    throw error;
  }
`;
const nodeProgram = `
  const { parentPort, workerData: data } = require('node:worker_threads');
  const ready = () => parentPort.postMessage('ready');
  ${body}
`;
/** For a Worker made from a Blob: the data comes as the first message. */
export const browserProgram = `
  self.onmessage = ({ data }) => {
    const ready = () => self.postMessage('ready');
    ${body}
  };
`;

export interface Team {
  /** Ends the workers; resolves when they are gone. */
  dispose(): Promise<void>;
}

/** Starts workers for threads 1 .. threads-1 and waits until they are ready. */
export async function startTeam(threads: number, module: WebAssembly.Module, memory: WebAssembly.Memory): Promise<Team> {
  if (threads <= 1) return { dispose: () => Promise.resolve() };
  const { Worker } = await import('node:worker_threads');
  const workers = Array.from({ length: threads - 1 }, (_, n) => {
    const workerData: WorkerData = { module, memory, thread: n + 1, failed: control.failed, generation: control.generation };
    return new Worker(nodeProgram, { eval: true, workerData, execArgv: [], name: `peel ${n + 1}` });
  });
  const dispose = async (): Promise<void> => { await Promise.all(workers.map((w) => w.terminate())); };
  const words = new Int32Array(memory.buffer);
  try {
    await Promise.all(workers.map((worker) => new Promise<void>((resolve, reject) => {
      worker.once('message', () => resolve());
      // A worker that began and failed at once may tell so before its 'ready' arrives; then the control block has told it already.
      worker.once('error', (error) => { if (Atomics.load(words, control.failed / 4) === 1) resolve(); else reject(error); });
      worker.once('exit', () => reject(new InternalError('cpu', 'a worker ended before it began')));
    })));
  } catch (error) {
    await dispose();
    throw error;
  }
  for (const worker of workers) {
    // From here on a failure is told by the control block, to the step that is under way.
    worker.on('error', () => undefined);
    // A host that forgets to dispose can still end.
    worker.unref();
  }
  return { dispose };
}
