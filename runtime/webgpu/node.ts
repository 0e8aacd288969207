/** Dawn in Node, from the npm package `webgpu`. The only file here that needs Node. */
import { existsSync, readdirSync } from 'node:fs';

export interface GpuHandle {
  readonly gpu: GPU;
  /** Lets go of the native instance. Node does not exit while it is referenced; collecting it while a device lives kills the process. */
  release(): void;
}

/** Opens Dawn; undefined where the package has no binary for this platform. `options` are Dawn's, such as `backend=vulkan`. */
export async function openNodeGpu(options: readonly string[] = []): Promise<GpuHandle | undefined> {
  let instance: GPU | undefined;
  try {
    const { create } = await import('webgpu');
    instance = create([...options]);
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
