/** Chooses a template for each kernel of a plan and writes its shaders. */
import type { Dim } from '../../compiler/kernels/scalar.ts';
import type { Buffer, BufferId, Kernel, LinearKernel } from '../../compiler/kernels/types.ts';
import type { Target } from '../../compiler/plan.ts';
import { shaderChoice } from '../../compiler/kernel-variants.ts';
import { InternalError } from '../../compiler/diagnostics.ts';
import { elementReads, matrixKey, type Matrix, type WeightLayout } from './layout.ts';
import { emitArgmax } from './wgsl/argmax.ts';
import { emitAttentionThread } from './wgsl/attention-thread.ts';
import { emitAttention } from './wgsl/attention.ts';
import { emitLinearMatmul, matmulRows } from './wgsl/linear-matmul.ts';
import { emitLinearMatvec } from './wgsl/linear-matvec.ts';
import { emitLinearThread, MOST_SUMS, UNROLLED } from './wgsl/linear-thread.ts';
import { rowGroups, type RowGroups } from './wgsl/row-groups.ts';
import { emitNest } from './wgsl/nest.ts';
import { emitTopK } from './wgsl/topk.ts';
import { extent, fixedSize, Module, type Dims, type Program } from './wgsl/module.ts';

/** Larger buffers are not worth a second copy. */
const MERGE_BYTES = 2 ** 24;

/** One way to run a kernel; the first whose condition holds for a step's sizes is taken. */
export interface Variant {
  readonly program: Program;
  readonly when: (dims: Dims) => boolean;
}
export interface KernelPrograms {
  readonly kernel: Kernel;
  readonly variants: readonly Variant[];
  readonly matrix?: Matrix;
}

/** Storage bindings of a program. */
const bound = (program: Program): number => program.bindings.filter((b) => b.kind !== 'part').length;

/** Writes a kernel's shaders. Where they bind more buffers than the target has, small weights and constants are merged into one binding. */
export function emitKernel(kernel: Kernel, buffers: readonly Buffer[], layout: WeightLayout, target: Target): KernelPrograms {
  const plain = emit(kernel, buffers, layout, target, []);
  const excess = Math.max(...plain.variants.map((v) => bound(v.program))) - target.maxStorageBuffers;
  if (excess <= 0) return plain;
  const byId = new Map(buffers.map((b) => [b.id, b]));
  const size = (id: BufferId): number => { const b = byId.get(id); return b && (b.format ?? 'f32') === 'f32' ? fixedSize(b) : Infinity; };
  const candidates = [...new Set(elementReads(kernel))]
    .filter((id) => layout.elements.get(id)?.length === 1 && size(id) * 4 <= MERGE_BYTES).sort((a, b) => size(a) - size(b)).slice(0, excess + 1);
  return candidates.length > excess ? emit(kernel, buffers, layout, target, candidates) : plain;
}

function emit(kernel: Kernel, buffers: readonly Buffer[], layout: WeightLayout, target: Target, merged: readonly BufferId[]): KernelPrograms {
  const module = (): Module => new Module(buffers, (id: BufferId) => layout.elements.get(id) ?? [0], { subgroups: shaderChoice(target)?.reductions === 'subgroup', f16: target.f16 }, merged);
  const always = (program: Program): KernelPrograms => ({ kernel, variants: [{ program, when: () => true }] });
  switch (kernel.kind) {
    case 'nest': return always(emitNest(module(), kernel, target.software));
    case 'attention': return always(target.software ? emitAttentionThread(module(), kernel) : emitAttention(module(), kernel));
    case 'topk': return always(emitTopK(module(), kernel));
    case 'argmax': return always(emitArgmax(module(), kernel, target.software));
    case 'linear': {
      const matrix = layout.matrices.get(matrixKey(kernel));
      if (!matrix) throw new InternalError('webgpu', `${kernel.origin.label} has no matrix`);
      return { kernel, matrix, variants: linearVariants(module, kernel, matrix, target) };
    }
    default: return kernel satisfies never;
  }
}

/** A row at a time where there are few of them or each has weights of its own, tiles of rows otherwise. */
function linearVariants(module: () => Module, kernel: LinearKernel, matrix: Matrix, target: Target): Variant[] {
  const rows: Dim = kernel.rowShape[0] ?? 1;
  const always = (): boolean => true;
  const granule = Math.max(kernel.granule, kernel.order === 'interleaved' ? kernel.weights.length : 1);
  const rowsOnly = kernel.group === 'expert';
  const groups = target.software ? threadGroups(kernel, matrix, granule) : undefined;
  if (groups) {
    const one = emitLinearThread(module(), kernel, matrix, groups, 1);
    if (rowsOnly) return [{ program: one, when: always }];
    return [{ program: one, when: (dims) => extent(rows, dims) < 2 }, { program: emitLinearThread(module(), kernel, matrix, groups, 4), when: always }];
  }
  const one = emitLinearMatvec(module(), kernel, matrix);
  const tileRows = matmulRows(matrix, granule * Math.max(1, Math.floor(32 / granule)), target.maxWorkgroupBytes);
  if (rowsOnly || tileRows === undefined) return [{ program: one, when: always }];
  return [{ program: one, when: (dims) => extent(rows, dims) < 4 }, { program: emitLinearMatmul(module(), kernel, matrix, tileRows), when: always }];
}

/** What a thread of a software driver computes: the few rows of N that belong together, or a whole granule. */
function threadGroups(kernel: LinearKernel, matrix: Matrix, granule: number): RowGroups | undefined {
  const few = rowGroups(kernel, matrix.rows, UNROLLED);
  if (few) return few;
  return granule > UNROLLED && granule * 4 <= MOST_SUMS ? { each: granule, threads: Math.ceil(matrix.rows / granule) } : undefined;
}
