/** The shaders' own functions over their whole range, against float64. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { GraphBuilder } from '../../compiler/graph/builder.ts';
import { applyUnary } from '../../compiler/kernels/scalar-functions.ts';
import type { UnaryFunction } from '../../compiler/kernels/scalar.ts';
import type { WebGpuBackend } from '../../runtime/webgpu/index.ts';
import { openTestWebGpu } from '../support/webgpu.ts';

const count = 4001;
/** Evenly from low to high. */
const evenly = (low: number, high: number) => (n: number): number => Math.fround(low + ((high - low) * n) / (count - 1));
/** By factors from low to high. */
const byFactors = (low: number, high: number) => (n: number): number => Math.fround(low * (high / low) ** (n / (count - 1)));

/** Largest error relative to max(|result|, floor). */
const functions: readonly (readonly [UnaryFunction, string, (n: number) => number, number, number])[] = [
  ['exp', '-87..88', evenly(-87, 88), 3e-7, 0],
  ['log', '1e-37..1e38', byFactors(1e-37, 1e38), 3e-7, 1e-3],
  ['log', 'about 1', evenly(0.9, 1.1), 3e-7, 1e-3],
  ['sin', '-pi..pi', evenly(-3.2, 3.2), 3e-7, 1e-2],
  ['sin', 'to 100000', evenly(0, 100000), 3e-7, 1],
  ['cos', 'to 100000', evenly(-100000, 100000), 3e-7, 1],
  ['tanh', '-12..12', evenly(-12, 12), 5e-7, 1e-3],
  ['erf', '-5..5', evenly(-5, 5), 5e-7, 1e-3],
  ['sigmoid', '-80..80', evenly(-80, 80), 5e-7, 0],
  ['rsqrt', '1e-30..1e30', byFactors(1e-30, 1e30), 5e-7, 0],
  ['round', '-4..4', evenly(-4, 4), 0, 1],
];

describe('functions in shaders', () => {
  let backend: WebGpuBackend;
  beforeAll(async () => { backend = await openTestWebGpu(); });
  afterAll(() => backend.dispose());

  test.each(functions)('%s %s', async (fn, _, value, limit, floor) => {
    const b = new GraphBuilder(fn);
    const x = b.gather(b.weight('values', [1, count]), b.input('ids'));
    b.output('out', b.unary(fn, x));
    const values = Float32Array.from({ length: count }, (__, n) => value(n));
    const plan = buildPlan(b.finish(), backend.target, { maxTokens: 1, context: 1, maxLogitRows: 1 });
    const executor = await backend.load(plan, { read: () => Promise.resolve(values) }, 'test');
    const { outputs } = await executor.step({ ids: Int32Array.of(0), past: 0, logitRows: 1 }, ['out']);
    const found = outputs.get('out') ?? new Float32Array();
    let worst = { error: 0, at: 0 };
    values.forEach((v, n) => {
      const expected = applyUnary(fn, v);
      const error = Math.abs((found[n] ?? NaN) - expected) / Math.max(Math.abs(expected), floor, 1e-38);
      if (!(error <= worst.error)) worst = { error, at: v };
    });
    expect(worst.error, `at ${worst.at}`).toBeLessThanOrEqual(limit);
    await executor.dispose();
  });

  test('NaN and infinities come through', async () => {
    const b = new GraphBuilder('special');
    const x = b.gather(b.weight('values', [1, 4]), b.input('ids'));
    const names = ['exp', 'log', 'tanh', 'sigmoid', 'erf', 'abs'] as const;
    for (const fn of names) b.output(fn, b.unary(fn, x));
    const values = Float32Array.of(NaN, Infinity, -Infinity, 0);
    const plan = buildPlan(b.finish(), backend.target, { maxTokens: 1, context: 1, maxLogitRows: 1 }, { outputs: names });
    const executor = await backend.load(plan, { read: () => Promise.resolve(values) }, 'test');
    const { outputs } = await executor.step({ ids: Int32Array.of(0), past: 0, logitRows: 1 }, names);
    expect(Object.fromEntries([...outputs].map(([name, data]) => [name, Array.from(data)]))).toEqual(
      Object.fromEntries(names.map((fn) => [fn, [NaN, Infinity, -Infinity, 0].map((v) => applyUnary(fn, v))])));
    await executor.dispose();
  });
});
