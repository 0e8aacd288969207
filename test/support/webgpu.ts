/** The WebGPU backend on whatever driver this process was started with; vitest.config.ts supplies SwiftShader where none is named. */
import { WebGpuBackend, type WebGpuOptions } from '../../runtime/webgpu/index.ts';
import { openNodeGpu } from '../../runtime/webgpu/node.ts';

export async function openWebGpu(options: Omit<WebGpuOptions, 'gpu' | 'release'> = {}): Promise<WebGpuBackend> {
  const handle = await openNodeGpu();
  if (!handle) throw new Error('the package webgpu has no binary for this platform');
  const debug = (text: string): void => { process.stderr.write(`${text}\n`); };
  return WebGpuBackend.open({ gpu: handle.gpu, release: handle.release, debug, ...options });
}
