/** Finding an adapter, saying what it is, and what a compiler may assume of it. */
import { weightFormats } from '../../compiler/formats.ts';
import type { Target } from '../../compiler/plan.ts';

export interface AdapterReport {
  /** Such as `NVIDIA GeForce RTX 3060` or `SwiftShader driver 5.0.0`. */
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  /** A driver that emulates a GPU on the CPU. */
  readonly software: boolean;
}

export function describeAdapter(adapter: GPUAdapter): AdapterReport {
  const { vendor, architecture, device, description } = adapter.info;
  const named = [description, device].find((text) => text !== '') ?? '';
  const text = `${vendor} ${architecture} ${device} ${description}`.toLowerCase();
  const emulated = ['swiftshader', 'llvmpipe', 'lavapipe', 'software', 'basic render', 'warp'].some((word) => text.includes(word));
  const name = architecture !== '' && !named.toLowerCase().includes(architecture.toLowerCase()) ? `${architecture} ${named}`.trim() : named;
  return { name: name === '' ? 'unnamed adapter' : name, vendor, architecture, software: emulated || adapter.info.isFallbackAdapter };
}

/** The best adapter there is; software ones only where there is no other. */
export async function findAdapter(gpu: GPU): Promise<GPUAdapter | undefined> {
  return (await gpu.requestAdapter({ powerPreference: 'high-performance' })) ?? undefined;
}

export interface WebGpuLimits {
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly maxStorageBuffersPerShaderStage: number;
  readonly maxComputeWorkgroupStorageSize: number;
  readonly maxComputeInvocationsPerWorkgroup: number;
  readonly maxComputeWorkgroupSizeX: number;
}
export const limitNames = [
  'maxStorageBufferBindingSize', 'maxBufferSize', 'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize', 'maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupSizeX',
] as const satisfies readonly (keyof WebGpuLimits)[];

/** The adapter's limits, lowered where `lower` says so (to test what a smaller device needs). */
export function chooseLimits(adapter: GPUAdapter, lower: Partial<WebGpuLimits> = {}): WebGpuLimits {
  const pick = (name: keyof WebGpuLimits): number => Math.min(adapter.limits[name], lower[name] ?? Infinity);
  return Object.fromEntries(limitNames.map((name) => [name, pick(name)])) as Record<keyof WebGpuLimits, number>;
}

/** Storage bindings that the backend itself adds to a linear kernel (its packed weights). */
export function targetOf(report: AdapterReport, limits: WebGpuLimits, features: ReadonlySet<string>, software: boolean): Target {
  return {
    device: 'webgpu', name: report.name,
    // Offsets are 32-bit, and bindings are whole floats.
    maxBindingBytes: Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize, 0x7ffffffc),
    maxBufferBytes: limits.maxBufferSize,
    maxStorageBuffers: limits.maxStorageBuffersPerShaderStage,
    maxWorkgroupSize: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
    maxWorkgroupBytes: limits.maxComputeWorkgroupStorageSize,
    subgroups: features.has('subgroups'), f16: features.has('shader-f16'), relaxedSimd: false, threads: 1,
    software, linearPrologue: !software, int8Inputs: false, formats: weightFormats.filter((f) => f !== 'f32'),
  };
}
