/** Weight slots cut out of a file's tensors as their recipes say: a strided view of each tensor, copied once into the destination. */
import { formatBytes, holds, type WeightFormat } from '../../compiler/formats.ts';
import type { WeightRecipe } from '../../compiler/model.ts';
import type { WeightSlot } from '../../compiler/graph/types.ts';
import { InternalError, type Diagnostic } from '../../compiler/diagnostics.ts';
import type { WeightProvider } from '../backend.ts';
import type { TensorInfo } from './header.ts';
import { weightError, weightProblem } from './problem.ts';
import type { TensorSource } from './safetensors.ts';

/** Elements of a file tensor in the order of a slot: element (i, j, ...) of the view is element offset + i*strides[0] + ... of the file. */
export interface View {
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

function rowMajor(shape: readonly number[]): View {
  const strides: number[] = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) { strides[i] = stride; stride *= shape[i] ?? 1; }
  return { offset: 0, shape, strides };
}

function swap(view: View, a: number, b: number): View {
  const shape = [...view.shape], strides = [...view.strides];
  [shape[a], shape[b]] = [shape[b] ?? 1, shape[a] ?? 1];
  [strides[a], strides[b]] = [strides[b] ?? 0, strides[a] ?? 0];
  return { offset: view.offset, shape, strides };
}

/**
 * The view of one file tensor that `recipe` describes (all but its `stack`), or what does not fit.
 * The row axis, which `unpack` splits, is the first; with `batched`, an axis of experts stands before it.
 */
export function recipeView(recipe: WeightRecipe, fileShape: readonly number[]): View | string {
  // A single number is a vector of one.
  const shape = fileShape.length === 0 ? [1] : fileShape;
  let view = rowMajor(shape);
  const axis = recipe.batched ? 1 : 0;
  if (shape.length <= axis) return `has shape [${shape.join(', ')}], too few dimensions`;
  const matrix = shape.length - axis >= 2;
  if (recipe.transpose && matrix) view = swap(view, shape.length - 2, shape.length - 1);
  const { unpack } = recipe;
  if (unpack) {
    const total = unpack.parts.reduce((a, b) => a + b, 0);
    const rows = view.shape[axis] ?? 0;
    if (rows !== unpack.outer * total * unpack.inner) {
      return `its ${rows} rows are not ${unpack.outer} x (${unpack.parts.join(' + ')}) x ${unpack.inner}`;
    }
    const stride = view.strides[axis] ?? 1;
    const before = unpack.parts.slice(0, unpack.take).reduce((a, b) => a + b, 0);
    view = {
      offset: view.offset + before * unpack.inner * stride,
      shape: [...view.shape.slice(0, axis), unpack.outer, (unpack.parts[unpack.take] ?? 0) * unpack.inner, ...view.shape.slice(axis + 1)],
      strides: [...view.strides.slice(0, axis), total * unpack.inner * stride, stride, ...view.strides.slice(axis + 1)],
    };
    if (recipe.transposeInner && matrix) view = swap(view, axis + 1, axis + 2);
  }
  return view;
}

/** Whether elements in order may be regrouped from `from` to `to`: equal counts, and equal rows (last axes) where both have rows. */
function regroups(from: readonly number[], to: readonly number[]): boolean {
  const trim = (shape: readonly number[]): number[] => shape.filter((d) => d !== 1);
  const a = trim(from), b = trim(to);
  const count = (shape: readonly number[]): number => shape.reduce((x, y) => x * y, 1);
  return count(a) === count(b) && (a.length < 2 || b.length < 2 || a.at(-1) === b.at(-1));
}

/** Longest run of file elements that is contiguous in the view: trailing axes whose strides are those of a dense array. */
function contiguousAxes(view: View): { axes: number; run: number } {
  let run = 1;
  let axes = view.shape.length;
  while (axes > 0 && ((view.strides[axes - 1] ?? 0) === run || view.shape[axes - 1] === 1)) {
    run *= view.shape[axes - 1] ?? 1;
    axes--;
  }
  return { axes, run };
}

/** Calls `visit` with the file offset of every index of the first `axes` axes, in order. */
function forOffsets(view: View, axes: number, visit: (offset: number) => void): void {
  const walk = (axis: number, offset: number): void => {
    if (axis === axes) { visit(offset); return; }
    const size = view.shape[axis] ?? 1, stride = view.strides[axis] ?? 0;
    for (let i = 0; i < size; i++) walk(axis + 1, offset + i * stride);
  };
  walk(0, view.offset);
}

/** Elements of a run from which on each is a read of its own. */
const mostGathered = 4096;

/** Copies a view into `target` (as many elements as the view has). Contiguous runs are read straight from the file. */
async function readView(source: TensorSource, info: TensorInfo, view: View, target: Float32Array): Promise<void> {
  const { axes, run } = contiguousAxes(view);
  const runs = run === 0 ? 0 : target.length / run;
  // Many short runs would be many short reads: then the tensor is read whole and gathered from memory.
  if (runs <= 1 || run >= mostGathered) {
    const offsets: number[] = [];
    forOffsets(view, axes, (offset) => offsets.push(offset));
    for (const [i, offset] of offsets.entries()) await source.readInto(info, offset, target.subarray(i * run, (i + 1) * run));
    return;
  }
  const whole = new Float32Array(info.shape.reduce((a, b) => a * b, 1));
  await source.readInto(info, 0, whole);
  gather(whole, view, axes, run, target);
}

/** target[...] = whole[view]. Where the last axis is strided (a transposed matrix), tiles of 32 x 32 keep both sides in cache. */
function gather(whole: Float32Array, view: View, axes: number, run: number, target: Float32Array): void {
  if (run > 1 || axes < 2) {
    let at = 0;
    forOffsets(view, axes, (offset) => {
      if (run === 1) target[at] = whole[offset] ?? 0;
      else target.set(whole.subarray(offset, offset + run), at);
      at += run;
    });
    return;
  }
  const rows = view.shape[axes - 2] ?? 1, columns = view.shape[axes - 1] ?? 1;
  const rowStride = view.strides[axes - 2] ?? 0, columnStride = view.strides[axes - 1] ?? 0;
  const tile = 32;
  let base = 0;
  forOffsets(view, axes - 2, (offset) => {
    for (let r0 = 0; r0 < rows; r0 += tile) {
      for (let c0 = 0; c0 < columns; c0 += tile) {
        const r1 = Math.min(rows, r0 + tile), c1 = Math.min(columns, c0 + tile);
        for (let r = r0; r < r1; r++) {
          for (let c = c0; c < c1; c++) target[base + r * columns + c] = whole[offset + r * rowStride + c * columnStride] ?? 0;
        }
      }
    }
    base += rows * columns;
  });
}

function count(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

interface Piece { readonly info: TensorInfo; readonly view: View }

/** Whether the view's rows (its last axis) are dense runs of `k` elements, so that they can be taken as they are stored. */
function hasWholeRows(view: View, k: number): boolean {
  return view.shape.at(-1) === k && view.strides.at(-1) === 1;
}

/** The first element of row `row` of a view, all axes but the last flattened into rows. */
function rowStart(view: View, row: number): number {
  let offset = view.offset;
  let rest = row;
  for (let axis = view.shape.length - 2; axis >= 0; axis--) {
    const size = view.shape[axis] ?? 1;
    offset += (rest % size) * (view.strides[axis] ?? 0);
    rest = Math.floor(rest / size);
  }
  return offset;
}

/** Gives the slots of a graph from a file's tensors. */
export class RecipeProvider implements WeightProvider {
  private readonly slots: ReadonlyMap<string, WeightSlot>;

  /** `name` is the file or folder, for messages. */
  constructor(
    private readonly source: TensorSource, slots: readonly WeightSlot[],
    private readonly recipes: (slot: string) => WeightRecipe | undefined, private readonly name: string,
  ) {
    this.slots = new Map(slots.map((slot) => [slot.slot, slot]));
  }

  /** Every slot that the files do not give, from the headers alone. */
  check(): Diagnostic[] {
    return [...this.slots.values()].flatMap((slot) => {
      const plan = this.pieces(slot);
      return 'problems' in plan ? plan.problems : [];
    });
  }

  private pieces(slot: WeightSlot): { pieces: Piece[]; fill?: number } | { problems: Diagnostic[] } {
    const recipe = this.recipes(slot.slot);
    const path = recipe?.path ?? slot.path ?? '';
    const spelled = `[${slot.shape.join(', ')}]${slot.derivation === undefined ? '' : ` (${slot.derivation})`}`;
    if (!recipe) return { problems: [weightProblem('E703', this.name, `the spec's weight map has no entry for slot '${slot.slot}'`, { path })] };
    const stacked = recipe.stack;
    const fits = (name: string, e: number): string => name.replaceAll('{e}', String(e));
    const name = recipe.names.find((n) => this.source.tensors.has(fits(n, 0)));
    if (name === undefined) {
      if (recipe.fill !== undefined) return { pieces: [], fill: recipe.fill };
      return { problems: [weightProblem('E703', this.name, `is missing: slot '${slot.slot}' ${spelled} needs it`,
        { path, tensor: recipe.names.map((n) => fits(n, 0)).join(`' or '`) })] };
    }
    const pieces: Piece[] = [];
    const problems: Diagnostic[] = [];
    const want = stacked === undefined ? slot.shape : slot.shape.slice(1);
    for (let e = 0; e < (stacked ?? 1); e++) {
      const tensor = fits(name, e);
      const info = this.source.tensors.get(tensor);
      if (!info) { problems.push(weightProblem('E703', this.name, `is missing: slot '${slot.slot}' stacks ${stacked ?? 1} of them`, { path, tensor })); continue; }
      const view = recipeView(recipe, info.shape);
      if (typeof view === 'string') problems.push(weightProblem('E601', info.file, view, { path, tensor }));
      else if (!regroups(view.shape, want)) {
        problems.push(weightProblem('E601', info.file, `has shape [${info.shape.join(', ')}], slot '${slot.slot}' needs ${spelled}`, { path, tensor }));
      } else pieces.push({ info, view });
    }
    return problems.length > 0 ? { problems } : { pieces };
  }

  async read(slot: string): Promise<Float32Array> {
    const known = this.slots.get(slot);
    if (!known) throw new InternalError('weights', `slot '${slot}' is not one of the graph's`);
    const plan = this.pieces(known);
    if ('problems' in plan) throw weightError(...plan.problems);
    const target = new Float32Array(count(known.shape));
    if (plan.fill !== undefined) return target.fill(plan.fill);
    const each = target.length / plan.pieces.length;
    for (const [i, piece] of plan.pieces.entries()) {
      await readView(this.source, piece.info, piece.view, target.subarray(i * each, (i + 1) * each));
    }
    return target;
  }

  /** Rows of the first axis; straight from the file where they are one range there. */
  async readRows(slot: string, from: number, to: number): Promise<Float32Array> {
    const known = this.slots.get(slot);
    if (!known) throw new InternalError('weights', `slot '${slot}' is not one of the graph's`);
    const rows = known.shape[0] ?? 1;
    const width = count(known.shape) / rows;
    const plan = this.pieces(known);
    if ('pieces' in plan && plan.pieces.length > 1 && plan.pieces.length === rows) {
      // A stack of matrices, one file tensor each: only those asked for.
      const target = new Float32Array((to - from) * width);
      for (const [i, stacked] of plan.pieces.slice(from, to).entries()) {
        await readView(this.source, stacked.info, stacked.view, target.subarray(i * width, (i + 1) * width));
      }
      return target;
    }
    const piece = 'pieces' in plan && plan.pieces.length === 1 ? plan.pieces[0] : undefined;
    if (!piece || contiguousAxes(piece.view).axes > 0) return (await this.read(slot)).subarray(from * width, to * width);
    const target = new Float32Array((to - from) * width);
    await this.source.readInto(piece.info, piece.view.offset + from * width, target);
    return target;
  }

  /** What is read itself; where it is no range of a file, the slot and the tensors that it is gathered from besides. */
  bytesToRead(slot: string, elements: number, stored: boolean): number {
    if (stored) return formatBytes(this.formatOf(slot), [elements]);
    const known = this.slots.get(slot);
    const plan = known && this.pieces(known);
    if (!plan || 'problems' in plan) return 4 * elements;
    const inRuns = ({ view }: Piece): boolean => contiguousAxes(view).axes === 0;
    const gathered = plan.pieces.filter((piece) => contiguousAxes(piece.view).run < mostGathered && !inRuns(piece)).map(({ info }) => 4 * count(info.shape));
    const perRow = plan.pieces.length > 1 && plan.pieces.length === (known.shape[0] ?? 1);
    const [piece] = plan.pieces;
    if (perRow || (plan.pieces.length === 1 && piece && inRuns(piece))) return 4 * elements + Math.max(0, ...gathered);
    return 4 * count(known.shape) + Math.max(0, ...gathered);
  }

  /** The stored form, where all of the slot's tensors have the same and their rows are whole in the file; else f32. */
  formatOf(slot: string): WeightFormat {
    const known = this.slots.get(slot);
    const plan = known && this.pieces(known);
    if (!plan || 'problems' in plan) return 'f32';
    const k = known.shape.at(-1) ?? 1;
    const stored = ({ info, view }: Piece): WeightFormat => {
      const format = this.source.formatOf(info);
      return hasWholeRows(view, k) && holds(format, known.shape) ? format : 'f32';
    };
    const formats = new Set(plan.pieces.map(stored));
    const [only = 'f32'] = formats;
    return formats.size === 1 ? only : 'f32';
  }

  /** Rows as they are stored; runs of rows that stand side by side in the file are one read. */
  async readStored(slot: string, from: number, to: number, scratch?: Uint8Array): Promise<Uint8Array> {
    const known = this.slots.get(slot);
    const plan = known && this.pieces(known);
    const format = this.formatOf(slot);
    if (!plan || 'problems' in plan || format === 'f32') throw new InternalError('weights', `slot '${slot}' cannot be read as it is stored`);
    const k = known.shape.at(-1) ?? 1;
    const rowBytes = formatBytes(format, [k]);
    const rowsOfPiece = count(known.shape) / k / plan.pieces.length;
    const bytes = (to - from) * rowBytes;
    const target = scratch && scratch.length >= bytes ? scratch.subarray(0, bytes) : new Uint8Array(bytes);
    for (let row = from; row < to;) {
      const { info, view } = plan.pieces[Math.floor(row / rowsOfPiece)] as Piece;
      const within = row % rowsOfPiece;
      const start = rowStart(view, within);
      let rows = 1;
      while (row + rows < to && within + rows < rowsOfPiece && rowStart(view, within + rows) === start + rows * k) rows++;
      await this.source.readStored(info, start, rows * k, target.subarray((row - from) * rowBytes, (row - from + rows) * rowBytes));
      row += rows;
    }
    return target;
  }
}
