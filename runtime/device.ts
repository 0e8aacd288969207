/** Choosing and opening what runs a model, and saying why. */
import type { PlanBackend } from './backend.ts';

export type DeviceName = 'auto' | 'cpu' | 'webgpu' | 'reference';
export const deviceNames: readonly DeviceName[] = ['auto', 'cpu', 'webgpu', 'reference'];

export interface DeviceOptions {
  readonly device?: DeviceName;
  /** Worker threads of the cpu backend; as many as help if absent. */
  readonly threads?: number;
  /** Keep the inputs of products in f32, also where weights are quantised: slower. */
  readonly exact?: boolean;
  /** Let steps be profiled. */
  readonly profile?: boolean;
  /** Receives a driver's own messages. */
  readonly debug?: (text: string) => void;
}

/** A backend for plans, or undefined for the reference interpreter, which runs the graph. */
export interface OpenDevice {
  readonly backend: PlanBackend | undefined;
  readonly reason: string;
}

async function openWebGpu({ debug, profile }: DeviceOptions): Promise<PlanBackend> {
  const { openWebGpu: open } = await import('./webgpu/node.ts');
  return open({ ...(debug ? { debug } : {}), ...(profile === undefined ? {} : { profile }) });
}

async function openCpu({ threads, exact, profile }: DeviceOptions): Promise<PlanBackend> {
  const { createCpuBackend } = await import('./cpu/backend.ts');
  return createCpuBackend({ ...(threads === undefined ? {} : { threads }), ...(exact === undefined ? {} : { exact }), ...(profile === undefined ? {} : { profile }) });
}

/** Opens the device asked for; `auto` takes a hardware GPU if there is one, else the CPU. Throws PeelError (exit code 13) where an explicit choice is not to be had. */
export async function openDevice(options: DeviceOptions = {}): Promise<OpenDevice> {
  const { device = 'auto' } = options;
  switch (device) {
    case 'reference': return { backend: undefined, reason: 'asked for' };
    case 'webgpu': return { backend: await openWebGpu(options), reason: 'asked for' };
    case 'cpu': return { backend: await openCpu(options), reason: 'asked for' };
    case 'auto': {
      const { probeHardware } = await import('./webgpu/node.ts');
      const { adapter, reason } = await probeHardware();
      const chosen = `chosen because ${reason}`;
      return { backend: adapter ? await openWebGpu(options) : await openCpu(options), reason: chosen };
    }
    default: throw device satisfies never;
  }
}
