/** What the cases of one process share: parsed files, and the model that they had last with its plans. Most cases of a file have the same. */
import { compileSpec, type Compiled } from '../../compiler/compile.ts';
import { parserWithMemory } from '../../compiler/parse-once.ts';
import type { ExecutionPlan, Target } from '../../compiler/plan.ts';
import { compileInput, loadCompiled, locateModel, type LoadedModel, type ModelOptions, type SessionOptions } from '../model.ts';
import type { TestCase } from './case.ts';

export class SharedWork {
  readonly parse = parserWithMemory();
  private last: { readonly key: string; readonly model: SharedModel } | undefined;

  /** The model of a case: that of the case before, where both have the same. */
  async modelOf(test: TestCase): Promise<SharedModel> {
    const key = modelKey(test);
    if (this.last?.key === key) return this.last.model;
    await this.dispose();
    this.last = { key, model: new SharedModel(test, this) };
    return this.last.model;
  }

  async dispose(): Promise<void> {
    await this.last?.model.dispose();
    this.last = undefined;
  }
}

/** Equal for cases with the same spec, values and weights. */
export function modelKey({ spec, with: values, config, weights, seed }: TestCase): string {
  return JSON.stringify([spec, values, config, weights, seed]);
}

export class SharedModel {
  private readonly options: ModelOptions;
  private compiling: Promise<{ readonly compiled: Compiled; readonly load: () => Promise<LoadedModel> }> | undefined;
  private loading: Promise<LoadedModel> | undefined;
  private readonly plans = new Map<string, ExecutionPlan>();

  constructor({ spec, with: values, config, weights, seed }: TestCase, private readonly shared: SharedWork) {
    this.options = { path: spec, set: values, ...(config === undefined ? {} : { config }), ...(weights === undefined ? { random: seed } : { weights }) };
  }

  private compile(): NonNullable<typeof this.compiling> {
    this.compiling ??= (async () => {
      const located = await locateModel(this.options);
      const compiled = compileSpec({ ...compileInput(located, this.options), parse: this.shared.parse });
      return { compiled, load: () => loadCompiled(located, compiled, this.options) };
    })();
    return this.compiling;
  }

  async compiled(): Promise<Compiled> {
    return (await this.compile()).compiled;
  }

  async model(): Promise<LoadedModel> {
    const { load } = await this.compile();
    this.loading ??= load();
    return this.loading;
  }

  async plan(target: Target, options: SessionOptions): Promise<ExecutionPlan> {
    const model = await this.model();
    // Who listens to passes wants them run.
    if (options.plan !== undefined) return model.plan(target, options);
    const key = JSON.stringify([target, options]);
    const plan = this.plans.get(key) ?? model.plan(target, options);
    this.plans.set(key, plan);
    return plan;
  }

  /** Frees what a case has opened; the next may go on with the model. */
  async endCase(): Promise<void> {
    await (await this.loading?.catch(() => undefined))?.closeSessions();
  }

  async dispose(): Promise<void> {
    await (await this.loading?.catch(() => undefined))?.dispose();
  }
}
