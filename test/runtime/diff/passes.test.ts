/** Passes broken on purpose: fused against unfused finds the layer, the operator where it can, and the pass. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Scalar } from '../../../compiler/kernels/scalar.ts';
import { constant, mul } from '../../../compiler/graph/expressions.ts';
import type { Kernel, Schedule } from '../../../compiler/kernels/types.ts';
import { kernelPasses } from '../../../compiler/passes/index.ts';
import type { KernelPass } from '../../../compiler/passes/types.ts';
import { compareSides, type BetweenReport } from '../../../runtime/diff/between.ts';
import { findPass } from '../../../runtime/diff/passes.ts';
import { loadModel, type LoadedModel } from '../../../runtime/model.ts';
import { goldenFolder } from '../../support/model-folder.ts';

/** The usual passes with one broken: `change` alters kernels that it made. */
function broken(name: string, change: (kernel: Kernel) => Kernel): KernelPass[] {
  return kernelPasses.map((pass) => (pass.name !== name ? pass : {
    ...pass,
    run(before: Schedule, context) {
      const after = pass.run(before, context);
      const old = new Set(before.kernels);
      return { ...after, kernels: after.kernels.map((kernel) => (old.has(kernel) ? kernel : change(kernel))) };
    },
  }));
}

/** What a kernel of one layer gives is a hundredth too large, or `factor` times. */
const larger = (layer: number, kind: Kernel['kind'], factor: Scalar = constant(1.01)) => (kernel: Kernel): Kernel => {
  if (kernel.origin.layer !== layer || kernel.kind !== kind || !('stores' in kernel)) return kernel;
  const stores = kernel.stores.map((store) => ({ ...store, value: mul(store.value, factor) }));
  return { ...kernel, stores } as Kernel;
};

let model: LoadedModel;
beforeAll(async () => { model = await loadModel({ path: path.join(goldenFolder, 'llama') }); });
afterAll(async () => { await model.dispose(); });

const ids = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5];
const session = { device: 'cpu', threads: 1, context: 32, maxTokens: 16, logitRows: 16 } as const;

function fusedAgainstUnfused(passes?: readonly KernelPass[]): Promise<BetweenReport> {
  const options = { ...session, ...(passes ? { plan: { passes } } : {}) };
  return compareSides({ model, name: 'fused', options }, { model, name: 'unfused', options: { ...options, plan: { ...('plan' in options ? options.plan : {}), fuse: false } } },
    { ids, steps: 2, tolerance: 1e-4, fusion: true });
}

describe('fused against unfused', () => {
  it('agrees, and looks no further', async () => {
    const report = await fusedAgainstUnfused();
    expect(report).toMatchObject({ passed: true, plain: { close: true } });
    expect(report.inside).toBeUndefined();
    expect(report.pass).toBeUndefined();
  });

  it('names the pass, the layer and the operator of a product that is wrong', async () => {
    const report = await fusedAgainstUnfused(broken('epilogue', larger(1, 'linear')));
    expect(report).toMatchObject({ passed: false, firstDivergence: 'hidden.1', pass: { pass: 'epilogue', alone: true } });
    expect(report.inside?.first?.name).toMatch(/^layers\.1\.attention\./);
    expect(report.pass?.fusions.length).toBeGreaterThan(0);
    expect(report.pass?.fusions.every((fusion) => fusion.origin.startsWith('layers.1.'))).toBe(true);
  });

  it('names a pass that sees tokens to come, and says that the fault goes away once inner values are kept', async () => {
    const passes = broken('attention', (kernel) => (kernel.kind === 'attention' && kernel.origin.layer === 0 ? { ...kernel, mask: { causal: false } } : kernel));
    const report = await fusedAgainstUnfused(passes);
    expect(report).toMatchObject({ passed: false, firstDivergence: 'hidden.0', pass: { pass: 'attention', alone: true }, inside: { vanished: true } });
  });

  it('looks at single tokens where only they are wrong', async () => {
    const afterTheFirst: Scalar = { op: 'select', condition: { op: 'index', index: { op: 'dim', dim: 'P' } }, then: constant(1.01), else: constant(1) };
    const report = await fusedAgainstUnfused(broken('epilogue', larger(1, 'linear', afterTheFirst)));
    expect(report).toMatchObject({ passed: false, firstDivergence: 'hidden.1', plain: { close: true }, pass: { pass: 'epilogue', alone: true } });
    expect(report.outputs.find((d) => d.name === 'logits')).toMatchObject({ close: true });
    expect(report.stepwise?.filter((d) => d.close).map((d) => d.name)).toEqual(['embeddings', 'hidden.0']);
    expect(report.inside?.first?.name).toMatch(/^layers\.1\.attention\./);
  });

  it('finds which of two devices is wrong, and its pass', async () => {
    const wrong = { ...session, plan: { passes: broken('epilogue', larger(0, 'linear')) } };
    const report = await compareSides({ model, name: 'reference', options: { ...session, device: 'reference' } }, { model, name: 'cpu', options: wrong }, { ids, steps: 1, tolerance: 1e-4, devices: true });
    expect(report).toMatchObject({ passed: false, firstDivergence: 'hidden.0', wrong: 1, pass: { pass: 'epilogue' } });
    const two = await compareSides({ model, name: 'cpu', options: wrong }, { model, name: 'cpu again', options: session }, { ids, steps: 1, tolerance: 1e-4, devices: true });
    expect(two).toMatchObject({ passed: false, wrong: 0, pass: { pass: 'epilogue' } });
  });
});

describe('bisecting', () => {
  const passes = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, description: '' }));
  it.each(['a', 'b', 'c', 'd', 'e'])('ends at %s', async (bad) => {
    expect(await findPass(passes, (without) => Promise.resolve(without.includes(bad)))).toMatchObject({ pass: bad, alone: true });
  });
  it('ends at one of two that are bad, and says that it is not alone', async () => {
    const found = await findPass(passes, (without) => Promise.resolve(without.includes('b') && without.includes('e')));
    expect(found).toMatchObject({ pass: 'b', alone: false });
  });
});
