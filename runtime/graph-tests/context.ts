/** What the expectations of one case share: each thing made once, when the first of them asks for it. */
import path from 'node:path';
import type { Compiled } from '../../compiler/compile.ts';
import { ExitCode, InternalError, PeelError } from '../../compiler/diagnostics.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import { nodeValue, Reporter, Values } from '../../compiler/resolve/context.ts';
import { bytesOf } from '../../compiler/sizes.ts';
import { diagnosticAt, nodeAt } from '../../compiler/source.ts';
import type { LoadedModel, SessionOptions } from '../model.ts';
import type { Session } from '../session.ts';
import type { CaseContext, TestCase, Wanted } from './case.ts';
import type { SharedModel } from './shared.ts';

export class CaseWork {
  private readonly named = new Set<string>();
  private specFiles: readonly string[] = [];

  constructor(readonly test: TestCase, private readonly options: { readonly update: boolean; readonly force?: boolean }, private readonly shared: SharedModel) {}

  /** The context for one of the case's expectations, or for what holds of every case. */
  contextFor(wanted?: Wanted): CaseContext {
    return {
      test: this.test, update: this.options.update,
      compiled: () => this.compiled(),
      model: () => this.model(),
      plan: (options) => this.plan(options),
      session: (options) => this.session(options),
      number: (value, at, names) => this.number(wanted, value, at, names),
      file: (name) => {
        const file = path.join(path.dirname(this.test.file), name);
        this.named.add(file);
        return file;
      },
    };
  }

  /** Every file that the case has read, or would have. */
  files(): string[] {
    const { test } = this;
    return [...new Set([test.file, test.spec, ...this.specFiles, ...[test.config, test.weights].flatMap((file) => file ?? []), ...this.named])];
  }

  async compiled(): Promise<Compiled> {
    const compiled = await this.shared.compiled();
    this.specFiles = compiled.files;
    return compiled;
  }

  model(): Promise<LoadedModel> {
    return this.shared.model();
  }

  private sizes(): SessionOptions {
    return this.test.context === undefined ? {} : { context: this.test.context };
  }

  async plan(options: SessionOptions = {}): Promise<ExecutionPlan> {
    return this.shared.plan(this.test.target, { ...this.sizes(), ...options });
  }

  /** Cases run beside each other, so that one thread a session is enough. */
  async session(options: SessionOptions = {}): Promise<Session> {
    const { target } = this.test;
    return (await this.model()).session({ ...this.sizes(), device: target.device, threads: target.threads, ...(this.options.force ? { force: true } : {}), ...options });
  }

  private async number(wanted: Wanted | undefined, value: number | string, at: string, names: Readonly<Record<string, number>> = {}): Promise<number> {
    const written = typeof value === 'number' ? value : bytesOf(value);
    if (written !== undefined) return written;
    const { params } = (await this.model()).model;
    const node = wanted && nodeAt(wanted.node, at);
    if (!node) throw new InternalError('graph tests', `nothing is written at ${wanted?.path ?? ''}${at}`);
    const reporter = new Reporter();
    const result = nodeValue(reporter, new Values(new Map(Object.entries({ ...params, ...names }))), node, wanted.path + at);
    if (typeof result === 'number') return result;
    if (reporter.diagnostics().length === 0) reporter.add(diagnosticAt(node.place, 'E402', wanted.path + at, `\`${value}\` is not a number`));
    throw new PeelError(ExitCode.spec, reporter.diagnostics());
  }

  async dispose(): Promise<void> {
    await this.shared.endCase();
  }
}
