/** What the linear templates share: the loop space of a kernel, its input as vectors along k, and its stores. */
import { InternalError } from '../../../compiler/diagnostics.ts';
import { add, axis, int } from '../../../compiler/kernels/index-expression.ts';
import { substituteAxes, visitScalar } from '../../../compiler/kernels/scalar-expression.ts';
import { isCoordinate, writeStore } from './stores.ts';
import { ACCUMULATORS, Emitter } from './emitter.ts';
import { fourOf, oneOf, oneOfFour, viewType, type ElementFormat, type ElementView } from './halves.ts';
import { formStart, type WordForms } from '../word-rows.ts';
import { WordMatrix } from './word-matrix.ts';
import type { Module, Part } from './module.ts';
import type { LinearKernel } from '../../../compiler/kernels/types.ts';

/** The packed weights of a linear kernel: rows [groups, N] of `stride` elements, N in the kernel's order. */
export interface MatrixLayout {
  readonly groups: number;
  readonly rows: number;
  readonly stride: number;
  /** How the elements are stored; as words where a weight is quantised. */
  readonly format: ElementFormat | 'words';
  /** The weights, where they are words. */
  readonly words?: WordForms;
  /** Cut into several storage bindings, each with a dispatch of its own. */
  readonly split: boolean;
}

/** Rows along y before dispatches of one row a workgroup turn to z. */
export const ROWS_Y = 32768;

/** Axes that stand for the rows of a tile in substituted inputs: row r is axis TILE_ROW + r. */
const TILE_ROW = 1000;

export class LinearEmitter {
  readonly emitter: Emitter;
  /** Number of row axes; also the axis of k in the input and of n in the stores. */
  readonly rank: number;
  /** Rows of N in one step of the stores' last axis. */
  readonly perPoint: number;
  readonly matrix: string;
  readonly vector: boolean;
  /** How to read weights that are words: eight at a time, with their scale apart. The other methods for weights are for other ones. */
  readonly words: WordMatrix | undefined;
  private readonly view: ElementView;
  private readonly part: string | undefined;
  private accumulatorAt: (n: string) => string = () => { throw new InternalError('webgpu', 'no accumulator here'); };

  constructor(readonly module: Module, readonly kernel: LinearKernel, readonly layout: MatrixLayout) {
    this.rank = kernel.rowShape.length;
    this.perPoint = kernel.order === 'interleaved' ? kernel.weights.length : 1;
    this.emitter = new Emitter({
      source: (n) => module.read(kernel.sources[n] as number),
      use: (fn) => module.use(fn),
      accumulator: (index) => this.accumulatorAt(index.at(-1) as string),
    });
    for (const store of kernel.stores) this.checkRows(store.value);
    this.vector = layout.stride % 4 === 0;
    this.view = layout.format === 'words' ? 'f32' : module.view(layout.format);
    this.matrix = module.bind({ kind: 'matrix', write: false }, layout.words ? 'array<u32>' : viewType(this.view, this.vector));
    this.words = layout.words && new WordMatrix(module, this.matrix, layout.words, kernel.k);
    this.part = layout.split ? module.bind({ kind: 'part', write: false }, 'vec4<i32>') : undefined;
  }

  private checkRows(value: LinearKernel['input']): void {
    visitScalar(value, (x) => {
      if (x.op !== 'accumulator') return;
      const own = x.index.slice(0, -1).every((i, n) => isCoordinate(i, n, this.kernel.rowShape[n]));
      if (!own) throw new InternalError('webgpu', `${this.kernel.origin.label}: a store uses an accumulator of another row`);
    });
  }

  /** First and past-the-end row of N (no groups) or group that this dispatch covers. */
  get from(): string { return this.part ? `${this.part}.x` : '0'; }
  get to(): string { return this.part ? `${this.part}.y` : String(this.kernel.group === 'none' ? this.layout.rows : this.layout.groups); }

  /** The name of the weights' group at this row: the head, or the chosen expert; undefined where there are no groups. */
  groupName(names: readonly string[]): string | undefined {
    const { kernel, emitter } = this;
    if (kernel.group === 'none') return undefined;
    if (kernel.group === 'head') return names[1];
    return kernel.choice && emitter.index({ op: 'at', source: kernel.choice.source, index: kernel.choice.index });
  }
  /** Whether the row's group of weights is in this dispatch's binding, as something to append to a condition. */
  inPart(group: string | undefined): string { return group === undefined ? '' : ` && ${group} >= ${this.from} && ${group} < ${this.to}`; }
  /** First and past-the-end row of N that this dispatch computes. */
  get first(): string { return this.kernel.group === 'none' ? this.from : '0'; }
  get limit(): string { return this.kernel.group === 'none' ? this.to : String(this.layout.rows); }
  /** First row of N of workgroup x. */
  tileBase(tile: number): string { return this.kernel.group === 'none' ? `${this.from} + i32(group.x) * ${tile}` : `i32(group.x) * ${tile}`; }
  /** Workgroups along x for a part. */
  tiles(tile: number, part: Part): number { return Math.ceil((this.kernel.group === 'none' ? part.to - part.from : this.layout.rows) / tile); }

  /** Where row `n` of N starts in the binding, in its units (elements, fours or words); rows outside are moved inside. `group` is the head or expert. */
  rowOffset(n: string, group: string | undefined): string {
    const { rows, stride, words: forms } = this.layout;
    const { words, from, to } = this;
    if (words && forms) {
      if (group === undefined) return from === '0' ? words.start(`clamp(${n}, 0, ${to} - 1)`) : `${words.start(`clamp(${n}, ${from}, ${to} - 1)`)} - ${words.start(from)}`;
      return `clamp(${group} - ${from}, 0, ${to} - ${from} - 1) * ${formStart(forms, rows)} + ${words.start(`clamp(${n}, 0, ${rows - 1})`)}`;
    }
    const unit = this.vector ? stride / 4 : stride;
    const clamped = group === undefined ? `clamp(${n} - ${this.from}, 0, ${this.to} - ${this.from} - 1)`
      : `(clamp(${group} - ${this.from}, 0, ${this.to} - ${this.from} - 1) * ${rows} + min(${n}, ${rows - 1}))`;
    return `${clamped} * ${unit}`;
  }

  /** Four weights from k (a multiple of 4) on, of the row at `offset`. */
  weights(offset: string, k: string): string {
    if (this.vector) return fourOf(this.view, this.matrix, `${offset} + (${k} >> 2u)`);
    return `vec4<f32>(${[0, 1, 2, 3].map((c) => oneOf(this.view, this.matrix, `${offset} + ${k} + ${c}`)).join(', ')})`;
  }
  weight(offset: string, k: string | number): string {
    return this.vector ? oneOfFour(this.view, this.matrix, offset, String(k)) : oneOf(this.view, this.matrix, `${offset} + ${k}`);
  }

  /** The input of tile row `r` at k + `shift`. Row axis 0 of tile rows is bound by `tileAxes`. */
  input(r: number | undefined, shift: number, k?: number): LinearKernel['input'] {
    const { rowShape, k: length, input } = this.kernel;
    const position = k === undefined ? add(axis(this.rank), int(shift)) : int(k);
    const extents = (n: number): (typeof rowShape)[number] | undefined => (n < this.rank ? rowShape[n] : n === this.rank ? length : undefined);
    return substituteAxes(input, (n) => (n === this.rank ? position : n === 0 && r !== undefined ? axis(TILE_ROW + r) : undefined), extents);
  }
  /** Four inputs from the loop's k + `shift` on as a vec4. */
  inputs(r: number | undefined, shift = 0): string {
    return `vec4<f32>(${[0, 1, 2, 3].map((c) => this.emitter.scalar(this.input(r, shift + c))).join(', ')})`;
  }
  static tileAxes(names: readonly string[]): [number, string][] { return names.map((name, r) => [TILE_ROW + r, name]); }

  /** Leading k that come in fours, and the rest. */
  get fours(): number { return this.kernel.k - (this.kernel.k % 4); }
  get tail(): number[] { return Array.from({ length: this.kernel.k % 4 }, (_, n) => this.fours + n); }

  /**
   * Statements of all stores at one point: `rows` names the row axes, `point` the last axis, `accumulator` reads row n of N.
   * `guard` says whether the row and the point are real.
   */
  stores(rows: readonly string[], point: string, guard: string, accumulator: (n: string) => string): string[] {
    const { emitter, kernel } = this;
    this.accumulatorAt = accumulator;
    const lines: string[] = [];
    const first = Math.min(...kernel.stores.map((s) => s.from));
    const last = Math.max(...kernel.stores.map((s) => s.to));
    emitter.open(new Map([...rows.map((name, n) => [n, name] as const), [this.rank, point] as const, [ACCUMULATORS, '']]));
    const guards = new Map<string, typeof kernel.stores[number][]>();
    for (const store of kernel.stores) {
      const key = store.from === first && store.to === last ? '' : `${point} >= ${store.from} && ${point} < ${store.to}`;
      guards.set(key, [...(guards.get(key) ?? []), store]);
    }
    for (const [key, stores] of guards) {
      emitter.open(new Map());
      // Binding the point again keeps what these stores need inside their own guard.
      emitter.open(new Map([[this.rank, point], [ACCUMULATORS, '']]));
      for (const store of stores) writeStore(this.module, emitter, store);
      const inner = [...emitter.close()];
      const hoisted = emitter.close();
      if (key === '') emitter.write(...hoisted, ...inner);
      else emitter.write(...hoisted, `if (${key}) {`, ...inner.map((l) => `  ${l}`), '}');
    }
    lines.push(...emitter.close());
    const whole = this.pointCount;
    const range = [...(first > 0 ? [`${point} >= ${first}`] : []), ...(last < whole ? [`${point} < ${last}`] : [])];
    return [`if (${[guard, ...range].join(' && ')}) {`, ...lines.map((l) => `  ${l}`), '}'];
  }

  /** Extent of the stores' last axis. */
  get pointCount(): number { return this.layout.rows / this.perPoint; }

  /** Rows of N that one workgroup takes: a multiple of the granule, at least `least`. */
  tile(least: number): number {
    const granule = Math.max(this.kernel.granule, this.perPoint);
    return granule * Math.max(1, Math.floor(least / granule));
  }
}
