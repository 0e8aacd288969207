/** The top-k template: a thread for each row; each of k passes takes the largest value that comes after the one taken before. */
import { countText, decompose } from './stores.ts';
import { Emitter } from './emitter.ts';
import { GROUPS_X, product, spread, type Module, type Program } from './module.ts';
import type { TopKKernel } from '../../../compiler/kernels/types.ts';

export function emitTopK(module: Module, kernel: TopKKernel): Program {
  const size = 32;
  const rank = kernel.rowShape.length;
  const emitter = new Emitter({ source: (n) => module.read(kernel.sources[n] as number), use: (fn) => module.use(fn) });
  const target = module.write(kernel.target);
  const row = decompose(emitter, 'point', kernel.rowShape);
  emitter.open(new Map(row.names.map((name, n) => [n, name])));
  emitter.write('var lastValue: f32 = 0.0f;', 'var lastIndex: i32 = -1;');
  emitter.open(new Map());
  // A NaN never compares; an index that exists is given all the same.
  emitter.write('var bestValue: f32 = 0.0f;', 'var bestIndex: i32 = -1;');
  emitter.loop(rank, '0', String(kernel.n), '1', (n) => {
    const value = emitter.scalar(kernel.value);
    emitter.write(`let open = rank == 0 || ${value} < lastValue || (${value} == lastValue && ${n} > lastIndex);`,
      `if (open && (bestIndex < 0 || ${value} > bestValue)) { bestValue = ${value}; bestIndex = ${n}; }`);
  });
  emitter.write('lastValue = bestValue;', 'lastIndex = bestIndex;', `${target}[point * ${kernel.k} + rank] = max(bestIndex, 0);`);
  const pass = emitter.close();
  emitter.write(`for (var rank: i32 = 0; rank < ${kernel.k}; rank += 1) {`, ...pass.map((l) => `  ${l}`), '}');
  const body = emitter.close();
  return module.program(size, [
    `let point = (i32(group.y) * ${GROUPS_X} + i32(group.x)) * ${size} + lane;`,
    `if (point < ${countText(emitter, kernel.rowShape)}) {`, ...row.lines.map((l) => `  ${l}`), ...body.map((l) => `  ${l}`), '}',
  ], (dims) => spread(Math.ceil(product(kernel.rowShape, dims) / size)));
}
