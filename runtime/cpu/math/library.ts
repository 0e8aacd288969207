/**
 * Elementary functions on four floats, as functions of the module under construction: each is written the first time that a
 * kernel calls it. Errors are a few units in the last place of f32 unless said otherwise; NaN gives NaN.
 */
import type { FunctionBuilder, FunctionHandle } from '../wasm/function.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import type { Features } from '../simd.ts';
import { writeErf } from './erf.ts';
import { writeExp } from './exp.ts';
import { writeLog } from './log.ts';
import { writePow } from './pow.ts';
import { writeSigmoid } from './sigmoid.ts';
import { writeTanh } from './tanh.ts';
import { writeTrigonometric } from './trigonometric.ts';

export type VectorFunction1 = FunctionBuilder<readonly ['v128'], 'v128'>;
export type VectorFunction2 = FunctionBuilder<readonly ['v128', 'v128'], 'v128'>;
type Handle1 = FunctionHandle<readonly ['v128'], 'v128'>;
type Handle2 = FunctionHandle<readonly ['v128', 'v128'], 'v128'>;

/** Of one argument. */
export type UnaryName = 'exp' | 'log' | 'tanh' | 'sigmoid' | 'erf';
/** Of two: x^y for x >= 0, and sine and cosine of the exact product of the arguments, which keeps large angles accurate. */
export type BinaryName = 'pow' | 'sinOfProduct' | 'cosOfProduct';

export class MathLibrary {
  private readonly unaryHandles = new Map<UnaryName, Handle1>();
  private readonly binaryHandles = new Map<BinaryName, Handle2>();

  constructor(private readonly module: ModuleBuilder, readonly features: Features) {}

  unary(name: UnaryName): Handle1 {
    const known = this.unaryHandles.get(name);
    if (known) return known;
    const write = { exp: writeExp, log: writeLog, tanh: writeTanh, sigmoid: writeSigmoid, erf: writeErf }[name];
    // What it calls comes first, so that it is declared once.
    if (name !== 'exp' && name !== 'log') this.unary('exp');
    const f = this.module.function(name, ['v128'], 'v128');
    this.unaryHandles.set(name, f.handle);
    write(f, this);
    return f.handle;
  }

  binary(name: BinaryName): Handle2 {
    const known = this.binaryHandles.get(name);
    if (known) return known;
    const f = this.module.function(name, ['v128', 'v128'], 'v128');
    this.binaryHandles.set(name, f.handle);
    if (name === 'pow') writePow(f);
    else writeTrigonometric(f, this.features, name === 'sinOfProduct' ? 'sin' : 'cos');
    return f.handle;
  }
}
