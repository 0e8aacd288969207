/**
 * Linear for software drivers: a thread for each row of N, which runs along k by itself; no barrier in the loop. `tileRows` rows of
 * the input share each weight that is read. Where stores use several accumulators, the workgroup stages its tile in its memory.
 */
import { countText, decompose } from './stores.ts';
import { LinearEmitter, ROWS_Y, type MatrixLayout } from './linear.ts';
import { extent, product, type Module, type Program } from './module.ts';
import type { LinearKernel } from '../../../compiler/kernels/types.ts';

export function emitLinearThread(module: Module, kernel: LinearKernel, layout: MatrixLayout, tileRows: number, maxWorkgroup: number): Program {
  const l = new LinearEmitter(module, kernel, layout);
  const { emitter, rank } = l;
  const tiled = tileRows > 1;
  const tile = l.tile(64);
  const size = Math.min(tile, maxWorkgroup);
  const each = Math.ceil(tile / size);
  const staged = tiled || !l.direct;
  const rows = [...kernel.rowShape.keys()];

  // Row coordinates: one flat row a workgroup, or `tileRows` consecutive ones on the first axis with the head in z.
  const head: string[] = [];
  let names: string[];
  const tileNames = Array.from({ length: tileRows }, (_, r) => `row${r}`);
  const count = emitter.dim(kernel.rowShape[0] ?? 1);
  if (tiled) {
    head.push(`let row = i32(group.y) * ${tileRows};`, ...tileNames.map((name, r) => `let ${name} = min(row + ${r}, ${count} - 1);`));
    names = ['row0', ...rows.slice(1).map(() => 'i32(group.z)')];
  } else {
    head.push(`let flat = i32(group.z) * ${ROWS_Y} + i32(group.y);`);
    const point = decompose(emitter, 'flat', kernel.rowShape);
    head.push(...point.lines);
    names = [...point.names];
  }
  const bound: [number, string][] = [...rows.map((n) => [n, names[n] as string] as [number, string]), ...(tiled ? LinearEmitter.tileAxes(tileNames) : [])];
  emitter.open(new Map(bound));
  emitter.write(...head);
  const group = l.groupName(names);
  emitter.write(`let base = ${l.tileBase(tile)};`);
  for (let q = 0; q < each; q++) emitter.write(`let w${q} = ${l.rowOffset(`base + lane + ${q * size}`, group)};`);

  const list = tiled ? tileNames.map((_, r) => r) : [undefined];
  const sums = list.flatMap((_, r) => Array.from({ length: each }, (__, q) => `sum${r}_${q}`));
  for (const name of sums) emitter.write(`var ${name} = vec4<f32>(0.0f);`);
  if (l.fours > 0) {
    emitter.loop(rank, '0', String(l.fours), '4', (k) => {
      const x = list.map((r) => l.inputs(r));
      x.forEach((text, r) => emitter.write(`let x${r} = ${text};`));
      for (let q = 0; q < each; q++) {
        emitter.write(`let m${q} = ${l.weights(`w${q}`, k)};`);
        list.forEach((_, r) => emitter.write(`sum${r}_${q} += x${r} * m${q};`));
      }
    });
  }
  for (const k of l.tail) {
    list.forEach((r, n) => {
      const x = emitter.scalar(l.input(r, 0, k));
      for (let q = 0; q < each; q++) emitter.write(`sum${n}_${q}.x += ${x} * ${l.weight(`w${q}`, k)};`);
    });
  }
  const total = (r: number, q: number): string => `((sum${r}_${q}.x + sum${r}_${q}.y) + (sum${r}_${q}.z + sum${r}_${q}.w))`;

  const { limit } = l;
  const real = tiled ? '' : ` && flat < ${countText(emitter, kernel.rowShape)}`;
  const inGroup = `${real}${l.inPart(group)}`;
  if (!staged) {
    emitter.write('let n = base + lane;', `let sum = ${total(0, 0)};`);
    emitter.write(...l.stores(names, 'n', `n < ${limit}${inGroup}`, () => 'sum'));
  } else {
    const stage = module.shared(`array<f32, ${tile * tileRows}>`);
    for (let q = 0; q < each; q++) {
      const guard = (q + 1) * size > tile ? `if (lane + ${q * size} < ${tile}) ` : '';
      list.forEach((_, r) => emitter.write(`${guard}{ ${stage}[${r * tile + q * size} + lane] = ${total(r, q)}; }`));
    }
    emitter.write('workgroupBarrier();');
    const points = tile / l.perPoint;
    const e = emitter.fresh('e');
    const [r, point] = ['tileRow', 'point'];
    const rowName = tiled ? 'storeRow' : (names[0] as string);
    const guard = `${point} * ${l.perPoint} < ${limit}${tiled ? ` && ${rowName} < ${count}` : ''}${inGroup}`;
    const body = [
      `let ${r} = ${tiled ? `${e} / ${points}` : '0'};`, `let ${point} = base / ${l.perPoint} + ${tiled ? `${e} % ${points}` : e};`,
      ...(tiled ? [`let ${rowName} = row + ${r};`] : []),
      ...l.stores([rowName, ...names.slice(1)].slice(0, rank), point, guard, (n) => `${stage}[${r} * ${tile} + ${n} - base]`),
    ];
    emitter.write(`for (var ${e}: i32 = lane; ${e} < ${points * tileRows}; ${e} += ${size}) {`, ...body.map((line) => `  ${line}`), '}');
  }
  return module.program(size, emitter.close(), (dims, part) => {
    const x = l.tiles(tile, part);
    if (!tiled) {
      const all = product(kernel.rowShape, dims);
      return [x, Math.min(all, ROWS_Y), Math.ceil(all / ROWS_Y)];
    }
    return [x, Math.ceil(extent(kernel.rowShape[0] ?? 1, dims) / tileRows), product(kernel.rowShape.slice(1), dims)];
  });
}
