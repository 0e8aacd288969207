import { describe, expect, it } from 'vitest';
import { enableRelaxedSimd } from '../../runtime/cpu/features.ts';
import { MathLibrary, type BinaryName, type UnaryName } from '../../runtime/cpu/math/library.ts';
import { call } from '../../runtime/cpu/wasm/function.ts';
import { ModuleBuilder } from '../../runtime/cpu/wasm/module.ts';
import { i32, load } from '../../runtime/cpu/wasm/value.ts';

const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const floats = new Float32Array(memory.buffer);

async function compile(name: UnaryName | BinaryName, relaxedSimd: boolean): Promise<(x: number, y?: number) => number> {
  const module = new ModuleBuilder();
  const library = new MathLibrary(module, { relaxedSimd });
  const f = module.function('f', [], undefined);
  const two = name === 'pow' || name === 'sinOfProduct' || name === 'cosOfProduct';
  const x = load('v128.load', i32(0));
  const y = load('v128.load', i32(0), 16);
  const value = two ? call(library.binary(name), x, y) : call(library.unary(name), x);
  f.store('v128.store', i32(0), value, 32);
  module.export('f', f.handle);
  const { instance } = await WebAssembly.instantiate(module.finish({ initial: 1, maximum: 1, shared: true }), { env: { memory } });
  const run = instance.exports['f'] as () => void;
  let lane = 0;
  return (a, b = 1) => {
    // The lane under test moves, so that halves joined in the wrong order show.
    lane = (lane + 1) % 4;
    floats.fill(0.5, 0, 8);
    floats[lane] = a;
    floats[4 + lane] = b;
    run();
    return floats[8 + lane]!;
  };
}

const relaxed = await enableRelaxedSimd();
const variants = relaxed ? [false, true] : [false];

/** Abramowitz and Stegun 7.1.5 and a continued fraction for the complement. */
function erf(x: number): number {
  const a = Math.abs(x);
  if (a < 3) {
    let term = a;
    let sum = a;
    for (let n = 1; n < 200; n++) {
      term *= -(a * a) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}

/** `count` numbers from `from` to `to`, rounded to f32. */
const range = (from: number, to: number, count: number): number[] => Array.from({ length: count }, (_, i) => Math.fround(from + ((to - from) * i) / (count - 1)));

describe.each(variants)('math functions, relaxed SIMD %s', (relaxedSimd) => {
  it('exp is within 2 units in the last place', async () => {
    const exp = await compile('exp', relaxedSimd);
    for (const x of range(-87, 88.7, 5000)) expect(Math.abs(exp(x) / Math.exp(x) - 1)).toBeLessThan(2.4e-7);
    expect([exp(-Infinity), exp(Infinity), exp(-1000), exp(1000), exp(0), exp(NaN)]).toEqual([0, Infinity, 0, Infinity, 1, NaN]);
    expect(Math.abs(exp(-95) / Math.exp(-95) - 1)).toBeLessThan(1e-3);
  });

  it('log is within 2 units in the last place', async () => {
    const log = await compile('log', relaxedSimd);
    for (const x of [...range(1e-6, 3, 4000), ...range(3, 1e6, 1000), 1e-38, 3e38]) {
      expect(Math.abs(log(x) - Math.log(Math.fround(x)))).toBeLessThan(1.5e-7 * Math.max(1e-1, Math.abs(Math.log(x))) + 1e-8);
    }
    expect([log(0), log(Infinity), log(-1), log(NaN), log(1)]).toEqual([-Infinity, Infinity, NaN, NaN, 0]);
    expect(log(1e-42)).toBeCloseTo(Math.log(Math.fround(1e-42)), 4);
  });

  it('tanh, sigmoid and erf are within 1.2e-7 of a result of 1', async () => {
    const tanh = await compile('tanh', relaxedSimd);
    const sigmoid = await compile('sigmoid', relaxedSimd);
    const error = await compile('erf', relaxedSimd);
    for (const x of range(-12, 12, 4001)) {
      expect(Math.abs(tanh(x) - Math.tanh(x))).toBeLessThan(1.2e-7);
      expect(Math.abs(sigmoid(x) - 1 / (1 + Math.exp(-x)))).toBeLessThan(1.2e-7);
      expect(Math.abs(error(x) - erf(x))).toBeLessThan(1.2e-7);
    }
    for (const x of range(1e-6, 0.5, 1000)) {
      expect(Math.abs(tanh(x) / Math.tanh(x) - 1)).toBeLessThan(2.4e-7);
      expect(Math.abs(error(x) / erf(x) - 1)).toBeLessThan(2.4e-7);
    }
    expect([tanh(Infinity), tanh(-Infinity), tanh(NaN), sigmoid(-Infinity), sigmoid(Infinity), sigmoid(NaN), error(Infinity), error(-Infinity), error(NaN)])
      .toEqual([1, -1, NaN, 0, 1, NaN, 1, -1, NaN]);
  });

  it('sine and cosine of a product hold for angles of a million', async () => {
    const sin = await compile('sinOfProduct', relaxedSimd);
    const cos = await compile('cosOfProduct', relaxedSimd);
    for (const position of [0, 1, 7, 100, 4095, 131071, 1e6]) {
      for (const frequency of range(-1, 1, 301)) {
        expect(Math.abs(sin(position, frequency) - Math.sin(position * frequency))).toBeLessThan(1.2e-7);
        expect(Math.abs(cos(position, frequency) - Math.cos(position * frequency))).toBeLessThan(1.2e-7);
      }
    }
    expect([sin(NaN), cos(NaN), sin(Infinity), cos(0), sin(0)]).toEqual([NaN, NaN, NaN, 1, 0]);
    expect(Math.abs(cos(3e38))).toBeLessThanOrEqual(1);
  });

  it('pow is within 1 unit in the last place', async () => {
    const pow = await compile('pow', relaxedSimd);
    for (const base of [1e-30, 1e-3, 0.3, 0.99, 1, 1.5, 10, 10000, 1e6]) {
      for (const exponent of range(-3, 3, 101)) {
        const expected = Math.pow(Math.fround(base), exponent);
        if (expected > 1e-37 && expected < 3e38) expect(Math.abs(pow(base, exponent) / expected - 1)).toBeLessThan(1.2e-7);
      }
    }
    expect([pow(0, 2), pow(0, 0), pow(0, -1), pow(3, 0), pow(NaN, 2), pow(2, NaN), pow(1e30, 30), pow(1e-30, 30)])
      .toEqual([0, 1, Infinity, 1, NaN, NaN, Infinity, 0]);
  });
});
