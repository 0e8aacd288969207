/** What this JavaScript engine's WebAssembly can do. */
import { ModuleBuilder } from './wasm/module.ts';
import { op } from './wasm/value.ts';

/** Whether a module with relaxed SIMD compiles, by validating one. */
export function hasRelaxedSimd(): boolean {
  const module = new ModuleBuilder();
  const f = module.function('probe', ['v128', 'v128', 'v128'], 'v128');
  f.result(op('f32x4.relaxed_madd', ...f.params));
  return WebAssembly.validate(module.finish());
}

/**
 * Asks for relaxed SIMD where it is behind a flag (Node 20), then probes for it. V8 reads the flag when it compiles a module, so this
 * comes before any module or worker is made.
 */
export async function enableRelaxedSimd(): Promise<boolean> {
  if (hasRelaxedSimd()) return true;
  try {
    const v8 = await import('node:v8');
    v8.setFlagsFromString('--experimental-wasm-relaxed-simd');
  } catch {
    // Not Node: no flags to set.
  }
  return hasRelaxedSimd();
}
