/** The argmax template: one workgroup goes over the last row, each thread over strided elements, then one thread over their results. */
import type { Module, Program } from './module.ts';
import type { ArgmaxKernel } from '../../../compiler/kernels/types.ts';

export function emitArgmax(module: Module, kernel: ArgmaxKernel, software: boolean): Program {
  const size = software ? 32 : 256;
  const input = module.read(kernel.input);
  const target = module.write(kernel.target);
  const values = module.shared(`array<f32, ${size}>`);
  const indices = module.shared(`array<i32, ${size}>`);
  const rows = input.shape[0] ?? 1;
  const start = `(${typeof rows === 'number' ? rows : `dims.${rows}`} - 1) * ${kernel.n}`;
  return module.program(size, [
    `let start = ${start};`,
    'var best: f32 = 0.0f;',
    'var place: i32 = -1;',
    `for (var n: i32 = lane; n < ${kernel.n}; n += ${size}) {`,
    `  let x = ${input.element('start + n')};`,
    '  if (x == x && (place < 0 || x > best)) { best = x; place = n; }',
    '}',
    `${values}[lane] = best;`,
    `${indices}[lane] = place;`,
    'workgroupBarrier();',
    'if (lane == 0) {',
    `  for (var p: i32 = 1; p < ${size}; p += 1) {`,
    `    let x = ${values}[p];`,
    `    let n = ${indices}[p];`,
    '    if (n >= 0 && (place < 0 || x > best || (x == best && n < place))) { best = x; place = n; }',
    '  }',
    `  ${target}[0] = max(place, 0);`,
    '}',
  ], () => [1, 1, 1]);
}
