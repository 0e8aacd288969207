/**
 * Linear for hardware, one row of the input a workgroup: the threads share out k, four rows of N at a time, and add up their partial
 * sums. Loads along k are coalesced. The input's own reductions (a norm) come first, by all threads together.
 */
import { combine } from './combine.ts';
import { cooperate, hoistable } from './cooperative.ts';
import { LinearEmitter, ROWS_Y, type MatrixLayout } from './linear.ts';
import { product, type Module, type Program } from './module.ts';
import { countText, decompose } from './stores.ts';
import type { LinearKernel } from '../../../compiler/kernels/types.ts';

const SIZE = 64;
const ROWS = 4;

export function emitLinearMatvec(module: Module, kernel: LinearKernel, layout: MatrixLayout): Program {
  const l = new LinearEmitter(module, kernel, layout);
  const { emitter, rank } = l;
  const tile = l.tile(ROWS);
  const scratch = module.shared(`array<f32, ${SIZE * ROWS}>`);
  const stage = module.shared(`array<f32, ${Math.ceil(tile / ROWS) * ROWS}>`);
  const rows = Array.from({ length: ROWS }, (_, r) => r);

  const point = decompose(emitter, 'flat', kernel.rowShape);
  emitter.open(new Map(point.names.map((name, n) => [n, name])));
  emitter.write(`let flat = i32(group.z) * ${ROWS_Y} + i32(group.y);`, ...point.lines);
  const group = l.groupName(point.names);
  emitter.write(`let base = ${l.tileBase(tile)};`);
  for (const reduce of hoistable(emitter, [l.input(undefined, 0)], new Set(kernel.rowShape.keys()))) cooperate(module, emitter, reduce, SIZE, scratch);

  emitter.open(new Map());
  for (const r of rows) emitter.write(`let w${r} = ${l.rowOffset(`(base + sub + ${r})`, group)};`, `var sum${r} = vec4<f32>(0.0f);`);
  const { words } = l;
  if (words) {
    emitter.loop(rank, 'lane * 8', String(kernel.k), String(SIZE * 8), (k) => {
      const [x, y] = [l.inputs(undefined), l.inputs(undefined, 4)];
      emitter.write(`let x = ${x};`, `let y = ${y};`);
      for (const r of rows) {
        const n = `(base + sub + ${r})`;
        emitter.write(`let q${r} = ${words.eight(n, `w${r}`, k)};`, `let d${r} = ${words.scale(n, `w${r}`, k)};`,
          `sum${r} += x * (q${r}[0] * d${r}.x + d${r}.y) + y * (q${r}[1] * d${r}.x + d${r}.y);`);
      }
    });
  } else if (l.fours > 0) {
    emitter.loop(rank, 'lane * 4', String(l.fours), String(SIZE * 4), (k) => {
      emitter.write(`let x = ${l.inputs(undefined)};`, ...rows.map((r) => `sum${r} += x * ${l.weights(`w${r}`, k)};`));
    });
  }
  if (l.tail.length > 0) {
    emitter.open(new Map());
    for (const k of l.tail) {
      const x = emitter.scalar(l.input(undefined, 0, k));
      emitter.write(...rows.map((r) => `sum${r}.x += ${x} * ${l.weight(`w${r}`, k)};`));
    }
    const lines = emitter.close();
    emitter.write('if (lane == 0) {', ...lines.map((line) => `  ${line}`), '}');
  }
  const totals = combine(module, emitter, 'sum', rows.map((r) => `(sum${r}.x + sum${r}.y) + (sum${r}.z + sum${r}.w)`), SIZE, scratch);
  emitter.write(`if (lane == 0) { ${totals.map((total, r) => `${stage}[sub + ${r}] = ${total};`).join(' ')} }`);
  const pass = emitter.close();
  emitter.write(`for (var sub: i32 = 0; sub < ${tile}; sub += ${ROWS}) {`, ...pass.map((line) => `  ${line}`), '}', 'workgroupBarrier();');

  const points = tile / l.perPoint;
  const guard = `point * ${l.perPoint} < ${l.limit} && flat < ${countText(emitter, kernel.rowShape)}${l.inPart(group)}`;
  const stores = l.stores(point.names, 'point', guard, (n) => `${stage}[${n} - base]`);
  emitter.write(`for (var e: i32 = lane; e < ${points}; e += ${SIZE}) {`, `  let point = base / ${l.perPoint} + e;`, ...stores.map((line) => `  ${line}`), '}');
  return module.program(SIZE, emitter.close(), (dims, part) => {
    const all = product(kernel.rowShape, dims);
    return [l.tiles(tile, part), Math.min(all, ROWS_Y), Math.ceil(all / ROWS_Y)];
  });
}
