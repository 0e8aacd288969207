/** Devices as data: what a plan may assume where no device was asked. */
import { weightFormats } from './formats.ts';
import type { Target } from './plan.ts';

/** Every form but f32, which needs no mention. */
const everyFormat = weightFormats.filter((f) => f !== 'f32');
const MiB = 1024 * 1024;

export const targets = {
  cpu: {
    device: 'cpu', name: 'WebAssembly', maxBindingBytes: 4095 * MiB, maxBufferBytes: 4095 * MiB, maxStorageBuffers: 1024, maxWorkgroupSize: 1,
    maxWorkgroupBytes: 0, subgroups: false, f16: false, relaxedSimd: false, threads: 1, software: false, linearPrologue: true, int8Inputs: true, formats: everyFormat,
  },
  webgpu: {
    device: 'webgpu', name: 'WebGPU hardware', maxBindingBytes: 1024 * MiB, maxBufferBytes: 2048 * MiB, maxStorageBuffers: 8, maxWorkgroupSize: 256,
    maxWorkgroupBytes: 16384, subgroups: true, f16: true, relaxedSimd: false, threads: 1, software: false, linearPrologue: true, int8Inputs: false, formats: everyFormat,
  },
  webgpuSoftware: {
    device: 'webgpu', name: 'WebGPU in software', maxBindingBytes: 128 * MiB, maxBufferBytes: 1024 * MiB, maxStorageBuffers: 8, maxWorkgroupSize: 256,
    maxWorkgroupBytes: 16384, subgroups: false, f16: false, relaxedSimd: false, threads: 1, software: true, linearPrologue: false, int8Inputs: false, formats: everyFormat,
  },
} as const satisfies Record<string, Target>;
