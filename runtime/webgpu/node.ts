/** Dawn in Node, from the npm package `webgpu`. The only file here that needs Node. */
import { existsSync, readdirSync } from 'node:fs';
import type { Target } from '../../compiler/plan.ts';
import { chooseLimits, describeAdapter, findAdapter, targetOf, type AdapterReport } from './adapter.ts';
import { WebGpuBackend, type WebGpuOptions } from './backend.ts';
import { deviceError } from './errors.ts';
import { withoutNativeOutput } from './native-output.ts';

export interface GpuHandle {
  readonly gpu: GPU;
  /** Lets go of the native instance. Node does not exit while it is referenced; collecting it while a device lives kills the process. */
  release(): void;
}

/**
 * Opens Dawn; undefined where the package has no binary for this platform. `options` are Dawn's, such as `backend=vulkan`. `messages`:
 * whether what Dawn and the driver say while they look for adapters may appear on standard error.
 */
export async function openNodeGpu(options: readonly string[] = [], messages = false): Promise<GpuHandle | undefined> {
  let instance: GPU | undefined;
  try {
    const { create } = await import('webgpu');
    const made = create([...options]);
    if (!messages) {
      // Adapters are looked for before the call returns.
      const request = made.requestAdapter.bind(made);
      made.requestAdapter = (wanted) => withoutNativeOutput(() => request(wanted));
    }
    instance = made;
  } catch {
    return undefined;
  }
  return {
    get gpu(): GPU {
      if (!instance) throw new Error('the WebGPU instance has been released');
      return instance;
    },
    release: () => { instance = undefined; },
  };
}

/**
 * Whether this machine may have a hardware GPU, from the file system alone: loading Dawn on a machine without one costs time, and its
 * loader complains on standard error.
 */
export function mayHaveHardwareGpu(platform: NodeJS.Platform = process.platform): boolean {
  if (platform !== 'linux') return true;
  if (existsSync('/dev/dxg') || existsSync('/dev/nvidia0')) return true;
  try {
    return readdirSync('/dev/dri').some((name) => name.startsWith('renderD') || name.startsWith('card'));
  } catch {
    return false;
  }
}

/** The WebGPU backend on this machine's best adapter. Throws PeelError (exit 13) where there is none. */
export async function openWebGpu(options: Omit<WebGpuOptions, 'gpu' | 'release'> = {}): Promise<WebGpuBackend> {
  // Else times are rounded to a tenth of a millisecond, so that pages cannot measure much with them.
  const handle = await openNodeGpu(options.profile ? ['disable-dawn-features=timestamp_quantization'] : [], options.debug !== undefined);
  if (!handle) throw deviceError('E901', `WebGPU has no binary for ${process.platform} on ${process.arch}`, 'use --device cpu');
  return WebGpuBackend.open({ gpu: handle.gpu, release: handle.release, ...options });
}

/** What `--device auto` goes by: the hardware adapter if there is one, and in words what was found. */
export async function probeHardware(): Promise<{ readonly adapter?: AdapterReport; readonly reason: string }> {
  if (!mayHaveHardwareGpu()) return { reason: 'this machine has no GPU' };
  const handle = await openNodeGpu();
  if (!handle) return { reason: `WebGPU has no binary for ${process.platform} on ${process.arch}` };
  try {
    const adapter = await findAdapter(handle.gpu);
    if (!adapter) return { reason: 'no WebGPU adapter was found' };
    const report = describeAdapter(adapter);
    return report.software ? { reason: `the only WebGPU adapter, ${report.name}, is emulated in software` } : { adapter: report, reason: `${report.name} is a hardware GPU` };
  } finally {
    handle.release();
  }
}

/** What may be assumed of this machine's GPU, from its adapter alone: no device is opened. Undefined where there is none but in software. */
export async function hardwareTarget(): Promise<Target | undefined> {
  if (!mayHaveHardwareGpu()) return undefined;
  const handle = await openNodeGpu();
  try {
    const adapter = handle && await findAdapter(handle.gpu);
    if (!adapter) return undefined;
    const report = describeAdapter(adapter);
    return report.software ? undefined : targetOf(report, chooseLimits(adapter), new Set(adapter.features), false);
  } finally {
    handle?.release();
  }
}
