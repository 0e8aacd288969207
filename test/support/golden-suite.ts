/** Declares a test for each recorded checkpoint of a folder, on one backend. Every limit of such tests is here. */
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { compareWithGolden, readGolden } from './golden.ts';
import { checkpointNames, openModel } from './model-folder.ts';
import type { Executor, PlanBackend } from '../../runtime/backend.ts';
import type { Golden } from './golden.ts';
import type { OpenedModel } from './model-folder.ts';

/** Most that logits, hidden states and generated logits may differ from transformers' float32. */
const limit = 1e-4;

/** A backend that checkpoints are loaded on. */
export interface Loader {
  /** Most that logits of a prompt in pieces may differ from those of one step. */
  readonly pieceLimit: number;
  /** Whether every layer's output is kept and compared: that needs a plan which fuses less than the one that users run. */
  readonly hidden: boolean;
  load(opened: OpenedModel, golden: Golden): Promise<Executor>;
  dispose(): Promise<void>;
}

/** The reference backend: float64 inside, so that pieces differ by the rounding of logits to float32 alone. */
export const onReference = async (): Promise<Loader> => ({
  pieceLimit: 1e-5,
  hidden: true,
  load: ({ graph, weights }) => referenceBackend.load(graph, weights, 'test'),
  dispose: async () => {},
});

/** A backend that runs plans; with `keep: 'logits'` the most fused one, otherwise one that keeps each layer's output. */
export const onPlans = (create: () => Promise<PlanBackend>, keep: 'layers' | 'logits' = 'layers') => async (): Promise<Loader> => {
  const backend = await create();
  const hidden = keep === 'layers';
  return {
    pieceLimit: 2e-5,
    hidden,
    load: ({ graph, weights }, { ids, generated }) => {
      const capacity = { maxTokens: ids.length, context: ids.length + (generated?.length ?? 0), maxLogitRows: ids.length };
      return backend.load(buildPlan(graph, backend.target, capacity, hidden ? { outputs: graph.outputs.map((o) => o.name) } : {}), weights, 'test');
    },
    dispose: () => backend.dispose(),
  };
};

/** One checkpoint against its recording: logits, each hidden state, greedy tokens, and the prompt in one step, in pieces and token by token. */
export async function expectGolden(loader: Loader, folder: string, specFile?: string): Promise<void> {
  await expectRecorded(loader, await readGolden(folder), await openModel(folder, specFile));
}

/** An opened model, which is closed, against a recording. */
export async function expectRecorded(loader: Loader, golden: Golden, opened: OpenedModel): Promise<void> {
  try {
    expect(opened.warnings, 'every key of config.json or of the metadata is accounted for').toEqual([]);
    const executor = await loader.load(opened, golden);
    try {
      const errors = await compareWithGolden(executor, golden, loader);
      for (const [output, error] of Object.entries(errors.hidden)) expect(error, output).toBeLessThanOrEqual(limit);
      expect(errors.logits, 'logits').toBeLessThanOrEqual(limit);
      expect(errors.generated, 'logits of the continuation').toBeLessThanOrEqual(limit);
      expect(errors.tokens, 'greedy tokens').toEqual(Array.from(golden.generated ?? []));
      expect(errors.decode, 'token by token').toBeLessThanOrEqual(loader.pieceLimit);
      expect(errors.chunked, 'in pieces').toBeLessThanOrEqual(loader.pieceLimit);
    } finally {
      await executor.dispose();
    }
  } finally {
    await opened.dispose();
  }
}

/** Calls `declare` with a way to reach the loader that `create` gives, which serves all tests that are declared there. */
export function withLoader(create: () => Promise<Loader>, declare: (loader: () => Loader) => void): void {
  let loader: Loader | undefined;
  beforeAll(async () => { loader = await create(); });
  afterAll(() => loader?.dispose());
  declare(() => {
    if (!loader) throw new Error('the backend did not open');
    return loader;
  });
}

export function testCheckpoints(base: string, create: () => Promise<Loader>): void {
  withLoader(create, (loader) => {
    test.each(checkpointNames(base))('%s', (name) => expectGolden(loader(), path.join(base, name)));
  });
}
