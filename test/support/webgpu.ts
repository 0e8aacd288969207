/** The WebGPU backend on whatever driver this process was started with; vitest.config.ts supplies SwiftShader where none is named. */
import type { WebGpuBackend, WebGpuOptions } from '../../runtime/webgpu/index.ts';
import { openWebGpu } from '../../runtime/webgpu/node.ts';

/** Shows the driver's own messages, which users never see. */
export function openTestWebGpu(options: Omit<WebGpuOptions, 'gpu' | 'release'> = {}): Promise<WebGpuBackend> {
  return openWebGpu({ debug: (text) => { process.stderr.write(`${text}\n`); }, ...options });
}
