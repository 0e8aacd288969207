/** Pipelines by shader text: kernels that differ only in what they bind share one. Made when first needed, asynchronously. */
import { deviceError, type DeviceWatch } from './errors.ts';
import { ShaderStage } from './usage.ts';
import type { Binding, Program } from './wgsl/module.ts';

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly code: string;
}

export class PipelineCache {
  readonly dimsLayout: GPUBindGroupLayout;
  private readonly layouts = new Map<string, { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout }>();
  private readonly pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(private readonly watch: DeviceWatch, private readonly debug: (text: string) => void) {
    this.dimsLayout = watch.device.createBindGroupLayout({ entries: [{ binding: 0, visibility: ShaderStage.compute, buffer: { type: 'uniform' } }] });
  }

  get count(): number { return this.pipelines.size; }

  private layout(bindings: readonly Binding[]): { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout } {
    const types = bindings.map((b): GPUBufferBindingType => (b.kind === 'part' ? 'uniform' : b.write ? 'storage' : 'read-only-storage'));
    const key = types.join(' ');
    let made = this.layouts.get(key);
    if (!made) {
      const { device } = this.watch;
      const group = device.createBindGroupLayout({ entries: types.map((type, binding) => ({ binding, visibility: ShaderStage.compute, buffer: { type } })) });
      made = { group, pipeline: device.createPipelineLayout({ bindGroupLayouts: [this.dimsLayout, group] }) };
      this.layouts.set(key, made);
    }
    return made;
  }
  groupLayout(program: Program): GPUBindGroupLayout { return this.layout(program.bindings).group; }

  /** The pipeline of a program; `label` names the kernel in errors. */
  get(program: Program, label: string): Promise<GPUComputePipeline> {
    let made = this.pipelines.get(program.code);
    if (!made) {
      made = this.create(program, label);
      this.pipelines.set(program.code, made);
    }
    return made;
  }

  private async create(program: Program, label: string): Promise<GPUComputePipeline> {
    const { device } = this.watch;
    try {
      const module = device.createShaderModule({ label, code: program.code });
      return await device.createComputePipelineAsync({ label, layout: this.layout(program.bindings).pipeline, compute: { module, entryPoint: 'main' } });
    } catch (error) {
      this.debug(`${label}: ${error instanceof Error ? error.message : String(error)}\n${program.code}`);
      this.watch.check(`preparing kernel ${label}`, [label]);
      throw deviceError('E905', `the WebGPU driver does not accept kernel ${label}`, 'use --device cpu');
    }
  }
}
