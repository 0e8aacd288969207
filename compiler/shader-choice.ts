/** Which shaders a WebGPU target runs, by its data alone: the backend goes by it, plans and reports state it. */
import type { Buffer } from './kernels/types.ts';
import type { Target } from './plan.ts';

export interface ShaderChoice {
  /**
   * thread: a thread computes a row by itself. Otherwise a workgroup does, and its threads combine their partial results by subgroup
   * operations or in workgroup memory.
   */
  readonly reductions: 'thread' | 'subgroup' | 'workgroup';
  /** What runs and why, for people. */
  readonly text: string;
}

/** The choice for a target, and how it reads those of `buffers` that are f16; undefined for one that runs no shaders. */
export function shaderChoice(target: Target, buffers: readonly Buffer[] = []): ShaderChoice | undefined {
  if (target.device !== 'webgpu') return undefined;
  const choice = reductions(target);
  if (!buffers.some((b) => b.format === 'f16')) return choice;
  const halves = target.f16 ? 'f16 weights as such, because the adapter has shader-f16' : 'f16 weights unpacked from 32-bit words, because the adapter has no shader-f16';
  return { ...choice, text: `${choice.text}; ${halves}` };
}

function reductions(target: Target): ShaderChoice {
  if (target.software) return { reductions: 'thread', text: 'a thread for each row, because this driver runs on the CPU and is slow at barriers' };
  if (target.subgroups) return { reductions: 'subgroup', text: 'workgroups that reduce by subgroup operations, because the adapter has them' };
  return { reductions: 'workgroup', text: 'workgroups that reduce in workgroup memory, because the adapter has no subgroups' };
}
