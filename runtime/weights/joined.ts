/** Several weights files as one. */
import type { WeightFormat } from '../../compiler/formats.ts';
import type { TensorInfo } from './header.ts';
import { weightError, weightProblem } from './problem.ts';
import type { TensorSource } from './safetensors.ts';

/** Several sources as one; names are unique across them. */
export class JoinedSource implements TensorSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  private readonly owner = new Map<string, TensorSource>();
  constructor(private readonly parts: readonly TensorSource[]) {
    const tensors = new Map<string, TensorInfo>();
    for (const part of parts) {
      for (const [name, info] of part.tensors) {
        tensors.set(name, info);
        this.owner.set(name, part);
      }
    }
    this.tensors = tensors;
  }
  private part(info: TensorInfo): TensorSource {
    const part = this.owner.get(info.name);
    if (!part) throw weightError(weightProblem('E703', info.file, 'is missing', { tensor: info.name }));
    return part;
  }
  async prepare(): Promise<void> {
    for (const part of this.parts) await part.prepare?.();
  }
  readInto(info: TensorInfo, from: number, target: Float32Array): Promise<void> { return this.part(info).readInto(info, from, target); }
  formatOf(info: TensorInfo): WeightFormat { return this.part(info).formatOf(info); }
  readStored(info: TensorInfo, from: number, count: number, target: Uint8Array): Promise<void> { return this.part(info).readStored(info, from, count, target); }
  async dispose(): Promise<void> {
    await Promise.all(this.parts.map((part) => part.dispose()));
  }
}
