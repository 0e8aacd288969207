/** WebGPU. `node.ts` beside this opens Dawn in Node; in a browser `navigator.gpu` takes its place. */
export { WebGpuBackend, type WebGpuOptions } from './backend.ts';
export { describeAdapter, findAdapter, type AdapterReport, type WebGpuLimits } from './adapter.ts';
