/** Which variants of its kernels a target runs, by its data alone: the backends go by it, plans and reports state it. */
import { isQuantised, type WeightFormat } from './formats.ts';
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

/** The choice for a target, and how it reads those of `buffers` that are f16 or quantised; undefined for one that runs no shaders. */
export function shaderChoice(target: Target, buffers: readonly Buffer[] = []): ShaderChoice | undefined {
  if (target.device !== 'webgpu') return undefined;
  const choice = reductions(target);
  const formats = new Set(buffers.map((b) => b.format ?? 'f32'));
  const halves = target.f16 ? 'f16 weights as such, because the adapter has shader-f16' : 'f16 weights unpacked from 32-bit words, because the adapter has no shader-f16';
  const quantised = [...formats].filter(isQuantised).sort();
  const notes = [...(formats.has('f16') ? [halves] : []), ...(quantised.length > 0 ? [`${quantised.join(', ')} weights kept so, and turned into f32 in registers`] : [])];
  return { ...choice, text: [choice.text, ...notes].join('; ') };
}

function reductions(target: Target): ShaderChoice {
  if (target.software) return { reductions: 'thread', text: 'a thread for each row, because this driver runs on the CPU and is slow at barriers' };
  if (target.subgroups) return { reductions: 'subgroup', text: 'workgroups that reduce by subgroup operations, because the adapter has them' };
  return { reductions: 'workgroup', text: 'workgroups that reduce in workgroup memory, because the adapter has no subgroups' };
}

/** Which variants of its kernels a target runs for these buffers, and why, for people; undefined where there is nothing to choose. */
export function kernelVariants(target: Target, buffers: readonly Buffer[]): string | undefined {
  if (target.device === 'webgpu') return shaderChoice(target, buffers)?.text;
  const formats = [...new Set(buffers.map((b) => b.format ?? 'f32'))].filter(isQuantised).sort();
  if (formats.length === 0) return undefined;
  if (!target.int8Inputs) return `${formats.join(', ')} weights by products of f32, because exact inputs were asked for`;
  // Products of bytes need weights of at most 7 bits.
  const bytes: readonly WeightFormat[] = target.relaxedSimd ? formats.filter((f) => f !== 'q8_0') : [];
  const words = formats.filter((f) => !bytes.includes(f));
  const reason = target.relaxedSimd ? 'because 8-bit weights do not fit byte products' : 'because this engine has no relaxed SIMD';
  return [
    ...(bytes.length > 0 ? [`${bytes.join(', ')} weights by byte products of relaxed SIMD`] : []),
    ...(words.length > 0 ? [`${words.join(', ')} weights by 16-bit products, ${reason}`] : []),
    'inputs rounded to 8 bits (--exact keeps them in f32)',
  ].join('; ');
}
