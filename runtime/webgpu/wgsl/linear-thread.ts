/**
 * Linear for software drivers: a thread for each group of rows of N that stores use together (mostly one row, or a rotated pair),
 * which runs along k by itself. No barriers: they are slow there, to compile and to run. `tileRows` rows of the input share each
 * weight that is read. Groups of a few rows are unrolled; larger blocks (a head that is normalised) are looped over.
 */
import { LinearEmitter, ROWS_Y, type MatrixLayout } from './linear.ts';
import { extent, product, type Module, type Program } from './module.ts';
import type { RowGroups } from './row-groups.ts';
import { countText, decompose } from './stores.ts';
import type { LinearKernel } from '../../../compiler/kernels/types.ts';

const SIZE = 64;
/** Most rows of N that a thread has in variables of their own. */
export const UNROLLED = 4;
/** Most sums that a thread keeps. */
export const MOST_SUMS = 1024;

export function emitLinearThread(module: Module, kernel: LinearKernel, layout: MatrixLayout, groups: RowGroups, tileRows: number): Program {
  const l = new LinearEmitter(module, kernel, layout);
  const { emitter, rank } = l;
  const { each, table } = groups;
  const tiled = tileRows > 1;
  const looped = each > UNROLLED;
  const rows = [...kernel.rowShape.keys()];
  const own = Array.from({ length: looped ? 1 : each }, (_, c) => c);

  // Row coordinates: one flat row a workgroup, or `tileRows` consecutive ones on the first axis with the head in z.
  const tileNames = Array.from({ length: tileRows }, (_, r) => `row${r}`);
  const count = emitter.dim(kernel.rowShape[0] ?? 1);
  const point = decompose(emitter, 'flat', kernel.rowShape);
  const names = tiled ? ['row0', ...rows.slice(1).map(() => 'i32(group.z)')] : [...point.names];
  const bound = rows.map((n) => [n, names[n] as string] as const);
  emitter.open(new Map([...bound, ...(tiled ? LinearEmitter.tileAxes(tileNames) : [])]));
  if (tiled) emitter.write(`let row = i32(group.y) * ${tileRows};`, ...tileNames.map((name, r) => `let ${name} = min(row + ${r}, ${count} - 1);`));
  else emitter.write(`let flat = i32(group.z) * ${ROWS_Y} + i32(group.y);`, ...point.lines);
  const group = l.groupName(names);
  emitter.write(`let thread = i32(group.x) * ${SIZE} + lane;`);
  const tableName = table && module.bind({ kind: 'table', data: table, write: false }, 'array<i32>');
  if (looped) {
    emitter.write(`let block = ${l.first} + thread * ${each};`, `var sums: array<f32, ${tileRows * each}>;`);
    emitter.open(new Map());
  }
  for (const c of own) {
    const row = looped ? 'block + member' : tableName ? `select(-1, ${tableName}[${c * groups.threads} + thread], thread < ${groups.threads})` : `${l.first} + thread * ${each} + ${c}`;
    emitter.write(`let n${c} = ${row};`, `let w${c} = ${l.rowOffset(`n${c}`, group)};`);
  }

  const list = tiled ? tileNames.map((_, r) => r) : [undefined];
  for (const [r] of list.entries()) for (const c of own) emitter.write(`var sum${r}_${c} = vec4<f32>(0.0f);`);
  const { words } = l;
  if (words) {
    emitter.open(new Map());
    for (const c of own) emitter.write(`let d${c} = ${words.scale(`n${c}`, `w${c}`, 'run')};`);
    emitter.loop(rank, 'run', `run + ${words.run}`, '8', (k) => {
      for (const [r, row] of list.entries()) {
        const [x, y] = [l.inputs(row), l.inputs(row, 4)];
        emitter.write(`let x${r} = ${x};`, `let y${r} = ${y};`);
      }
      for (const c of own) {
        emitter.write(`let q${c} = ${words.eight(`n${c}`, `w${c}`, k)};`, `let m${c} = q${c}[0] * d${c}.x + d${c}.y;`, `let h${c} = q${c}[1] * d${c}.x + d${c}.y;`);
        list.forEach((_, r) => emitter.write(`sum${r}_${c} += x${r} * m${c} + y${r} * h${c};`));
      }
    });
    const lines = emitter.close();
    emitter.write(`for (var run: i32 = 0; run < ${kernel.k}; run += ${words.run}) {`, ...lines.map((t) => `  ${t}`), '}');
  } else if (l.fours > 0) {
    emitter.loop(rank, '0', String(l.fours), '4', (k) => {
      const x = list.map((r) => l.inputs(r));
      x.forEach((text, r) => emitter.write(`let x${r} = ${text};`));
      for (const c of own) {
        emitter.write(`let m${c} = ${l.weights(`w${c}`, k)};`);
        list.forEach((_, r) => emitter.write(`sum${r}_${c} += x${r} * m${c};`));
      }
    });
  }
  for (const k of l.tail) {
    list.forEach((tileRow, r) => {
      const x = emitter.scalar(l.input(tileRow, 0, k));
      for (const c of own) emitter.write(`sum${r}_${c}.x += ${x} * ${l.weight(`w${c}`, k)};`);
    });
  }
  const total = (r: number, c: number): string => `(sum${r}_${c}.x + sum${r}_${c}.y) + (sum${r}_${c}.z + sum${r}_${c}.w)`;
  if (looped) {
    const lines = emitter.close();
    emitter.write(`for (var member: i32 = 0; member < ${each}; member += 1) {`, ...lines.map((t) => `  ${t}`),
      ...list.map((_, row) => `  sums[${row * each} + member] = ${total(row, 0)};`), '}');
  }
  const guard = (row: string, n: string): string =>
    `${n} >= ${l.first} && ${n} < ${l.limit} && ${tiled ? `${row} < ${count}` : `flat < ${countText(emitter, kernel.rowShape)}`}${l.inPart(group)}`;

  if (!tiled && each === 1) {
    emitter.write(`let sum = ${total(0, 0)};`, ...l.stores(names, 'n0', guard('', 'n0'), () => 'sum'));
  } else {
    // The stores are written once, in loops over the tile's rows and the thread's rows of N.
    const [r, c, p] = ['tileRow', 'member', 'point'];
    if (!looped) {
      emitter.write(`var sums: array<f32, ${tileRows * each}>;`, ...(each > 1 ? [`var members: array<i32, ${each}>;`] : []));
      list.forEach((_, row) => { for (const n of own) emitter.write(`sums[${row * each + n}] = ${total(row, n)};`); });
      if (each > 1) for (const n of own) emitter.write(`members[${n}] = n${n};`);
    }
    const which = (n: string): string => (looped ? `(${n} - block)` : own.slice(1).reduce((text, m) => `select(${text}, ${m}, ${n} == n${m})`, '0'));
    const rowName = tiled ? 'storeRow' : (names[0] ?? '');
    const step = l.perPoint;
    const n = looped ? `block + ${c}` : each > 1 ? `members[${c}]` : 'n0';
    const inner = [
      `let n = ${n};`, `let ${p} = n / ${step};`,
      ...l.stores([...(tiled ? [rowName] : names.slice(0, 1)), ...names.slice(1)], p, guard(rowName, 'n'), (index) => `sums[${tiled ? `${r} * ${each} + ` : ''}${which(index)}]`),
    ];
    const perMember = each > 1 ? [`for (var ${c}: i32 = 0; ${c} < ${each}; ${c} += ${step}) {`, ...inner.map((t) => `  ${t}`), '}'] : inner;
    const perRow = tiled
      ? [`for (var ${r}: i32 = 0; ${r} < ${tileRows}; ${r} += 1) {`, `  let ${rowName} = row + ${r};`, ...perMember.map((t) => `  ${t}`), '}'] : perMember;
    emitter.write(...perRow);
  }

  return module.program(SIZE, emitter.close(), (dims, part) => {
    const threads = table || kernel.group !== 'none' ? groups.threads : Math.ceil((part.to - part.from) / each);
    const x = Math.ceil(threads / SIZE);
    if (tiled) return [x, Math.ceil(extent(kernel.rowShape[0] ?? 1, dims) / tileRows), product(kernel.rowShape.slice(1), dims)];
    const all = product(kernel.rowShape, dims);
    return [x, Math.min(all, ROWS_Y), Math.ceil(all / ROWS_Y)];
  });
}
