/**
 * Linear for hardware, many rows: a tile of the input and a tile of the weights in workgroup memory, 8 x 8 threads, each with
 * some rows of four columns in registers. The finished tile is staged, so that stores may use any accumulator of their granule.
 */
import { cooperate, hoistable } from './cooperative.ts';
import { LinearEmitter, type MatrixLayout } from './linear.ts';
import { extent, product, type Module, type Program } from './module.ts';
import type { LinearKernel } from '../../../compiler/kernels/types.ts';

const SIZE = 64;
const COLUMNS = 32;
/** Elements of k in a tile: of quantised weights twice as many, whose words come in runs of four. */
const depthOf = ({ words }: MatrixLayout): number => (words ? 32 : 16);

/** Rows of the input a workgroup takes, by what fits its memory; undefined where not even 8 fit. */
export function matmulRows(layout: MatrixLayout, tile: number, maxBytes: number): number | undefined {
  const stride = Math.ceil(tile / COLUMNS) * COLUMNS;
  const depth = depthOf(layout);
  return [32, 16, 8].find((rows) => 4 * (rows * depth + COLUMNS * depth + rows * stride + 8 * rows) <= Math.min(maxBytes, 16384));
}

export function emitLinearMatmul(module: Module, kernel: LinearKernel, layout: MatrixLayout, tileRows: number): Program {
  const l = new LinearEmitter(module, kernel, layout);
  const { emitter, rank } = l;
  const { words } = l;
  const depth = depthOf(layout);
  const tile = l.tile(COLUMNS);
  const stride = Math.ceil(tile / COLUMNS) * COLUMNS;
  const each = tileRows / 8;
  const own = Array.from({ length: each }, (_, i) => i);
  const [left, right] = [module.shared(`array<f32, ${tileRows * depth}>`), module.shared(words ? `array<f32, ${COLUMNS * depth}>` : `array<vec4<f32>, ${COLUMNS * depth / 4}>`)];
  const stage = module.shared(`array<f32, ${tileRows * stride}>`);
  const count = emitter.dim(kernel.rowShape[0] ?? 1);
  const others = [...kernel.rowShape.keys()].slice(1).map(() => 'i32(group.z)');
  const bindRow = (name: string): Map<number, string> => new Map([name, ...others].map((text, n) => [n, text] as const));

  emitter.open(new Map());
  const head = kernel.group === 'head' ? 'i32(group.z)' : undefined;
  emitter.write(`let row = i32(group.y) * ${tileRows};`, `let base = ${l.tileBase(tile)};`, 'let across = lane & 7;', 'let down = lane >> 3u;');

  // The input's own reductions, row by row, kept in workgroup memory.
  const input = l.input(undefined, 0);
  const reduces = hoistable(emitter, [input], new Set(kernel.rowShape.keys()));
  const kept = reduces.map(() => module.shared(`array<f32, ${tileRows}>`));
  if (reduces.length > 0) {
    const scratch = module.shared(`array<f32, ${SIZE}>`);
    emitter.open(bindRow('statisticsRow'));
    for (const [n, reduce] of reduces.entries()) {
      cooperate(module, emitter, reduce, SIZE, scratch);
      emitter.write(`if (lane == 0) { ${kept[n]}[r] = ${emitter.scalar(reduce)}; }`);
    }
    const lines = emitter.close();
    emitter.write(`for (var r: i32 = 0; r < ${tileRows}; r += 1) {`, `  let statisticsRow = min(row + r, ${count} - 1);`, ...lines.map((line) => `  ${line}`), '}', 'workgroupBarrier();');
  }

  emitter.open(new Map());
  for (const i of own) emitter.write(`var sum${i} = vec4<f32>(0.0f);`);
  emitter.open(new Map());
  // Tile of the input, k by rows.
  emitter.open(new Map([...bindRow('inputRow'), [rank, 'inputK']]));
  for (const [n, reduce] of reduces.entries()) emitter.define(reduce, `${kept[n]}[e / ${depth}]`);
  const value = emitter.scalar(input);
  emitter.write(`${left}[(e % ${depth}) * ${tileRows} + e / ${depth}] = select(0.0f, ${value}, k0 + e % ${depth} < ${kernel.k});`);
  const loadInput = emitter.close();
  emitter.write(`for (var e: i32 = lane; e < ${tileRows * depth}; e += ${SIZE}) {`, `  let inputRow = min(row + e / ${depth}, ${count} - 1);`,
    `  let inputK = min(k0 + e % ${depth}, ${kernel.k - 1});`, ...loadInput.map((line) => `  ${line}`), '}');
  // Tile of the weights, k by columns: a thread reads eight of a column where they are words, else one of each of four.
  if (words) {
    const part = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => `  ${right}[((e >> 5u) * 8 + ${n}) * ${COLUMNS} + (e & 31)] = ${n < 4 ? 'm' : 'h'}[${n & 3}];`);
    emitter.write(`for (var e: i32 = lane; e < ${depth * COLUMNS / 8}; e += ${SIZE}) {`, '  let n = base + sub + (e & 31);', '  let weightK = k0 + (e >> 5u) * 8;',
      `  let weightRow = ${l.rowOffset('n', head)};`, `  let d = ${words.scale('n', 'weightRow', 'weightK')};`, `  let q = ${words.eight('n', 'weightRow', 'weightK')};`,
      '  let m = q[0] * d.x + d.y;', '  let h = q[1] * d.x + d.y;', ...part, '}');
  } else {
    const four = [0, 1, 2, 3].map((c) => l.weight(l.rowOffset(`(base + sub + (e & 7) * 4 + ${c})`, head), 'weightK'));
    emitter.write(`for (var e: i32 = lane; e < ${depth * COLUMNS / 4}; e += ${SIZE}) {`, `  let weightK = min(k0 + (e >> 3u), ${kernel.k - 1});`,
      `  ${right}[e] = vec4<f32>(${four.join(', ')});`, '}');
  }
  const column = (c: number): string => `${right}[k * ${COLUMNS} + across * 4 + ${c}]`;
  emitter.write('workgroupBarrier();', `for (var k: i32 = 0; k < ${depth}; k += 1) {`,
    `  let m = ${words ? `vec4<f32>(${[0, 1, 2, 3].map(column).join(', ')})` : `${right}[k * 8 + across]`};`,
    ...own.map((i) => `  sum${i} += ${left}[k * ${tileRows} + down * ${each} + ${i}] * m;`), '}', 'workgroupBarrier();');
  const tileOfK = emitter.close();
  emitter.write(`for (var k0: i32 = 0; k0 < ${kernel.k}; k0 += ${depth}) {`, ...tileOfK.map((line) => `  ${line}`), '}');
  for (const i of own) for (const c of [0, 1, 2, 3]) emitter.write(`${stage}[(down * ${each} + ${i}) * ${stride} + sub + across * 4 + ${c}] = sum${i}[${c}];`);
  const pass = emitter.close();
  emitter.write(`for (var sub: i32 = 0; sub < ${tile}; sub += ${COLUMNS}) {`, ...pass.map((line) => `  ${line}`), '}', 'workgroupBarrier();');

  const points = tile / l.perPoint;
  const guard = `point * ${l.perPoint} < ${l.limit} && storeRow < ${count}${l.inPart(head)}`;
  const stores = l.stores(['storeRow', ...others], 'point', guard, (n) => `${stage}[tileRow * ${stride} + ${n} - base]`);
  emitter.write(`for (var e: i32 = lane; e < ${points * tileRows}; e += ${SIZE}) {`, `  let tileRow = e / ${points};`, '  let storeRow = row + tileRow;',
    `  let point = base / ${l.perPoint} + e % ${points};`, ...stores.map((line) => `  ${line}`), '}');
  return module.program(SIZE, emitter.close(), (dims, part) =>
    [l.tiles(tile, part), Math.ceil(extent(kernel.rowShape[0] ?? 1, dims) / tileRows), product(kernel.rowShape.slice(1), dims)]);
}
