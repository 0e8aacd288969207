/** The argmax templates over the last row. Ties go to the lower index; -1 where one is NaN or the largest is infinite. */
import type { Module, Program } from './module.ts';
import type { ArgmaxKernel } from '../../../compiler/kernels/types.ts';

/** A software driver: one thread goes over all. Hardware: each of a workgroup's threads over strided elements, then one over their results. */
export function emitArgmax(module: Module, kernel: ArgmaxKernel, software: boolean): Program {
  const size = software ? 1 : 256;
  const input = module.read(kernel.input);
  const target = module.write(kernel.target);
  const rows = input.shape[0] ?? 1;
  const scan = [
    `let start = (${typeof rows === 'number' ? rows : `dims.${rows}`} - 1) * ${kernel.n};`,
    'var best: f32 = 0.0f;',
    'var place: i32 = -1;',
    'var wrong = false;',
    `for (var n: i32 = lane; n < ${kernel.n}; n += ${size}) {`,
    `  let x = ${input.element('start + n')};`,
    // By its bits: a compiler may take it that there are no NaN.
    '  if ((bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u) { wrong = true; }',
    '  if (place < 0 || x > best) { best = x; place = n; }',
    '}',
  ];
  const result = `${target}[0] = select(place, -1, wrong || (bitcast<u32>(best) & 0x7fffffffu) == 0x7f800000u);`;
  if (software) return module.program(size, [...scan, result], () => [1, 1, 1]);
  const values = module.shared(`array<f32, ${size}>`);
  const indices = module.shared(`array<i32, ${size}>`);
  return module.program(size, [
    ...scan,
    `${values}[lane] = best;`,
    `${indices}[lane] = select(place, -2, wrong);`,
    'workgroupBarrier();',
    'if (lane == 0) {',
    `  for (var p: i32 = 1; p < ${size}; p += 1) {`,
    `    let x = ${values}[p];`,
    `    let n = ${indices}[p];`,
    '    wrong = wrong || n == -2;',
    '    if (n >= 0 && (place < 0 || x > best || (x == best && n < place))) { best = x; place = n; }',
    '  }',
    `  ${result}`,
    '}',
  ], () => [1, 1, 1]);
}
