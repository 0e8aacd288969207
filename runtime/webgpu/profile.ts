/** Times the kernels of a step one by one: with the device's own clock where it has one, else by waiting for each. */
import { MapMode, BufferUsage } from './usage.ts';

/** What runs for one kernel. */
export type EncodeKernel = (pass: GPUComputePassEncoder) => void;

/** Most queries of a set, of which a kernel takes two. */
const mostQueries = 4096;
/** Empty submissions whose median is what waiting itself costs. */
const emptySubmits = 9;

/** Milliseconds of each kernel, run in order, on the device's clock. */
export async function timeByQueries(device: GPUDevice, kernels: readonly EncodeKernel[]): Promise<Float64Array> {
  const times = new Float64Array(kernels.length);
  for (let from = 0; from < kernels.length; from += mostQueries / 2) {
    const part = kernels.slice(from, from + mostQueries / 2);
    times.set(await timePart(device, part), from);
  }
  return times;
}

async function timePart(device: GPUDevice, kernels: readonly EncodeKernel[]): Promise<Float64Array> {
  const count = 2 * kernels.length;
  const queries = device.createQuerySet({ type: 'timestamp', count });
  const resolved = device.createBuffer({ label: 'times', size: 8 * count, usage: BufferUsage.queryResolve | BufferUsage.copySource });
  const readback = device.createBuffer({ label: 'times', size: 8 * count, usage: BufferUsage.mapRead | BufferUsage.copyDestination });
  try {
    const encoder = device.createCommandEncoder();
    kernels.forEach((encode, n) => {
      const pass = encoder.beginComputePass({ timestampWrites: { querySet: queries, beginningOfPassWriteIndex: 2 * n, endOfPassWriteIndex: 2 * n + 1 } });
      encode(pass);
      pass.end();
    });
    encoder.resolveQuerySet(queries, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, readback, 0, 8 * count);
    device.queue.submit([encoder.finish()]);
    await readback.mapAsync(MapMode.read);
    const nanoseconds = new BigUint64Array(readback.getMappedRange());
    return Float64Array.from(kernels, (_, n) => Number((nanoseconds[2 * n + 1] ?? 0n) - (nanoseconds[2 * n] ?? 0n)) / 1e6);
  } finally {
    queries.destroy();
    resolved.destroy();
    readback.destroy();
  }
}

/** Milliseconds of each kernel, submitted and awaited alone, less what an empty submission takes. */
export async function timeBySubmits(device: GPUDevice, kernels: readonly EncodeKernel[]): Promise<Float64Array> {
  const timed = async (encode?: EncodeKernel): Promise<number> => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    encode?.(pass);
    pass.end();
    const commands = encoder.finish();
    const begin = performance.now();
    device.queue.submit([commands]);
    await device.queue.onSubmittedWorkDone();
    return performance.now() - begin;
  };
  const empty: number[] = [];
  for (let n = 0; n < emptySubmits; n++) empty.push(await timed());
  const overhead = empty.sort((a, b) => a - b)[emptySubmits >> 1] ?? 0;
  const times = new Float64Array(kernels.length);
  for (const [n, encode] of kernels.entries()) times[n] = Math.max(0, await timed(encode) - overhead);
  return times;
}
