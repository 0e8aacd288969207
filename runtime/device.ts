/** Choosing and opening what runs a model, and saying why. */
import type { PlanBackend } from './backend.ts';

export type DeviceName = 'auto' | 'cpu' | 'webgpu' | 'reference';
export const deviceNames: readonly DeviceName[] = ['auto', 'cpu', 'webgpu', 'reference'];

export interface DeviceOptions {
  readonly device?: DeviceName;
  /** Worker threads of the cpu backend; as many as help if absent. */
  readonly threads?: number;
  /** Receives a driver's own messages. */
  readonly debug?: (text: string) => void;
}

/** A backend for plans, or undefined for the reference interpreter, which runs the graph. */
export interface OpenDevice {
  readonly backend: PlanBackend | undefined;
  readonly reason: string;
}

async function openWebGpu(debug: DeviceOptions['debug']): Promise<PlanBackend & { readonly adapter: { readonly name: string; readonly software: boolean } }> {
  const [{ WebGpuBackend }, { openNodeGpu }, { deviceError }] = await Promise.all([import('./webgpu/index.ts'), import('./webgpu/node.ts'), import('./webgpu/errors.ts')]);
  const handle = await openNodeGpu();
  if (!handle) throw deviceError('E901', 'the package webgpu has no binary for this platform', 'use --device cpu');
  return WebGpuBackend.open({ gpu: handle.gpu, release: () => handle.release(), ...(debug ? { debug } : {}) });
}

async function openCpu(_threads: number | undefined): Promise<PlanBackend> {
  const { deviceError } = await import('./webgpu/errors.ts');
  throw deviceError('E901', 'the cpu backend is not there yet', 'use --device reference or webgpu');
}

/** What `auto` found: a hardware GPU, or why there is none. */
async function hardwareGpu(debug: DeviceOptions['debug']): Promise<{ backend: PlanBackend; name: string } | string> {
  const { mayHaveHardwareGpu } = await import('./webgpu/node.ts');
  if (!mayHaveHardwareGpu()) return 'this machine shows no GPU device';
  try {
    const backend = await openWebGpu(debug);
    if (!backend.adapter.software) return { backend, name: backend.adapter.name };
    await backend.dispose();
    return `the only WebGPU adapter is software (${backend.adapter.name}), which is slower than the cpu backend`;
  } catch (error) {
    debug?.(String(error));
    return 'no WebGPU adapter was found';
  }
}

/** Opens the device asked for; `auto` takes a hardware GPU if there is one, else the CPU. Throws PeelError (exit code 13) where an explicit choice is not to be had. */
export async function openDevice(options: DeviceOptions = {}): Promise<OpenDevice> {
  const { device = 'auto', threads, debug } = options;
  switch (device) {
    case 'reference': return { backend: undefined, reason: 'asked for' };
    case 'webgpu': return { backend: await openWebGpu(debug), reason: 'asked for' };
    case 'cpu': return { backend: await openCpu(threads), reason: 'asked for' };
    case 'auto': {
      const gpu = await hardwareGpu(debug);
      if (typeof gpu !== 'string') return { backend: gpu.backend, reason: `chosen because a hardware GPU was found: ${gpu.name}` };
      return { backend: await openCpu(threads), reason: `chosen because ${gpu}` };
    }
    default: throw device satisfies never;
  }
}
