/** The WebGPU backend: opens a device, loads plans onto it. */
import { kernelVariants } from '../../compiler/kernel-variants.ts';
import type { ExecutionPlan, Target } from '../../compiler/plan.ts';
import type { PlanBackend, WeightProvider } from '../backend.ts';
import { chooseLimits, describeAdapter, findAdapter, targetOf, type AdapterReport, type WebGpuLimits } from './adapter.ts';
import { DeviceWatch, deviceError } from './errors.ts';
import { bindKernels, WebGpuExecutor } from './executor.ts';
import { layoutWeights } from './layout.ts';
import { createMemory } from './memory.ts';
import { PipelineCache } from './pipelines.ts';
import { emitKernel } from './programs.ts';
import { inPlanOrder } from '../weights/in-plan-order.ts';
import { uploadWeights } from './weights.ts';

export interface WebGpuOptions {
  /** `navigator.gpu`, or Dawn's. */
  readonly gpu: GPU;
  /** Called when the backend is disposed: lets go of what keeps `gpu` alive. */
  readonly release?: () => void;
  /** Kernels for this class of adapter, whatever the adapter is: to test both on either. */
  readonly kernels?: 'software' | 'hardware';
  /** Ask for the device's clock, where it has one, for profiling. */
  readonly profile?: boolean;
  /** Pretend that the adapter lacks these features. */
  readonly without?: readonly GPUFeatureName[];
  /** Pretend that the adapter has no more than this. */
  readonly limits?: Partial<WebGpuLimits>;
  /**
   * Begin a greedy text's next step before it is asked for: by default on hardware, where a step in vain at the end costs no time of the processor's.
   */
  readonly ahead?: boolean;
  /** Receives the driver's own messages and the shaders that it refuses. */
  readonly debug?: (text: string) => void;
}

export class WebGpuBackend implements PlanBackend {
  private readonly executors = new Set<WebGpuExecutor>();
  private constructor(
    readonly target: Target, readonly adapter: AdapterReport,
    private readonly watch: DeviceWatch, private readonly pipelines: PipelineCache,
    private readonly release: () => void, private readonly ahead: boolean,
  ) {}

  /** Opens the best adapter. Throws PeelError (exit 13) where there is none. */
  static async open(options: WebGpuOptions): Promise<WebGpuBackend> {
    const debug = options.debug ?? ((): void => undefined);
    const release = options.release ?? ((): void => undefined);
    try {
      const adapter = await findAdapter(options.gpu);
      if (!adapter) throw deviceError('E901', 'no WebGPU adapter was found', 'install a Vulkan driver, or use --device cpu');
      const report = describeAdapter(adapter);
      const limits = chooseLimits(adapter, options.limits);
      const optional: GPUFeatureName[] = ['subgroups', 'shader-f16', ...(options.profile ? ['timestamp-query' as const] : [])];
      const requiredFeatures = optional.filter((f) => adapter.features.has(f) && !options.without?.includes(f));
      const device = await adapter.requestDevice({ requiredLimits: { ...limits }, requiredFeatures }).catch((error: unknown) => {
        debug(String(error));
        throw deviceError('E901', `the WebGPU adapter ${report.name} gives no device`, 'use --device cpu');
      });
      const watch = new DeviceWatch(device, debug);
      const software = options.kernels === undefined ? report.software : options.kernels === 'software';
      const target = targetOf(report, limits, new Set(requiredFeatures), software);
      return new WebGpuBackend(target, report, watch, new PipelineCache(watch, debug), release, options.ahead ?? !software);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Distinct pipelines made so far, over all loaded plans. */
  get pipelineCount(): number { return this.pipelines.count; }

  /** Makes the device fail, as a driver may at any time: to test what follows. */
  loseDevice(): void { this.watch.device.destroy(); }

  async load(plan: ExecutionPlan, weights: WeightProvider, reason: string): Promise<WebGpuExecutor> {
    this.watch.check('loading a model');
    const layout = layoutWeights(plan, this.target.maxBindingBytes);
    const kernels = plan.kernels.map((kernel) => emitKernel(kernel, plan.buffers, layout, this.target));
    const crowded = kernels.find((k) => k.variants.some((v) => v.program.bindings.filter((b) => b.kind !== 'part').length > this.target.maxStorageBuffers));
    if (crowded) throw deviceError('E902', `kernel ${crowded.kernel.origin.label} binds more buffers than this adapter's ${this.target.maxStorageBuffers}`, 'use --device cpu');
    const uploaded = await uploadWeights(this.watch, plan.buffers, layout, inPlanOrder(weights, plan));
    const memory = await createMemory(this.watch, plan, uploaded, [...layout.matrices.values()]);
    const dispatches = await this.watch.guard(`the kernels of ${plan.model}`, () => bindKernels(this.watch, this.pipelines, memory, kernels));
    const { name, software } = this.adapter;
    const variants = kernelVariants(this.target, plan.buffers);
    const report = { device: 'webgpu', description: `webgpu: ${name}${software ? ' (software)' : ''}`, reason, kernels: plan.kernels.length, ...(variants === undefined ? {} : { variants }) } as const;
    const executor: WebGpuExecutor = new WebGpuExecutor(report, plan, this.watch, this.pipelines, memory, dispatches, this.ahead, () => { this.executors.delete(executor); });
    this.executors.add(executor);
    return executor;
  }

  async dispose(): Promise<void> {
    for (const executor of [...this.executors]) await executor.dispose();
    this.watch.close();
    this.watch.device.destroy();
    await this.watch.device.lost;
    this.release();
  }
}
