/** Collects what one compute shader declares (bindings, workgroup memory, functions) and writes its text. */
import { InternalError } from '../../../compiler/diagnostics.ts';
import { mathFunctions, type MathFunction } from './math.ts';
import { elementView, oneOf, viewFunctions, viewType, type ElementFormat, type ElementView } from './halves.ts';
import { isQuantised } from '../../../compiler/formats.ts';
import { wordRow } from '../word-rows.ts';
import { wordFunctions } from './word-format.ts';
import type { SourceView } from './emitter.ts';
import type { Buffer, BufferId } from '../../../compiler/kernels/types.ts';

/** Sizes of a step, as in the plan's symbolic dimensions. */
export interface Dims { readonly T: number; readonly P: number; readonly S: number; readonly R: number; readonly L: number }

/** What a binding of group 1 is: a buffer of the plan (or one piece of a split one), a matrix packed for linear kernels, a table of its own, or the part uniform. */
export type Binding =
  | { readonly kind: 'buffer'; readonly buffer: BufferId; readonly piece: number; readonly write: boolean }
  | { readonly kind: 'matrix'; readonly write: false }
  /** Several small read-only buffers, one after the other, where a kernel has more than the adapter binds. */
  | { readonly kind: 'merged'; readonly buffers: readonly BufferId[]; readonly write: false }
  | { readonly kind: 'table'; readonly data: Int32Array; readonly write: false }
  | { readonly kind: 'part'; readonly write: false };

/** A compute shader and how to run it. Programs with equal `code` share a pipeline. */
export interface Program {
  readonly code: string;
  readonly bindings: readonly Binding[];
  /** Workgroups for a step of these sizes. `part` restricts a linear kernel to some of its matrix (see `Part`). */
  groups(dims: Dims, part: Part): readonly [number, number, number];
}

/** A piece of a matrix in its own storage binding: rows of N (or groups, for head and expert) `from`..`to`. */
export interface Part { readonly from: number; readonly to: number }

/** How a read-only buffer is cut into storage bindings: the first element of each piece, ascending from 0. */
export type Pieces = readonly number[];

/** Most workgroups along x before dispatches turn to y; both stay below the limit of 65535. */
export const GROUPS_X = 32768;
export const spread = (groups: number): readonly [number, number, number] => [Math.min(groups, GROUPS_X), Math.ceil(groups / GROUPS_X), 1];

/** Optional features of WGSL that a shader may use. */
export interface ShaderFeatures { readonly subgroups: boolean; readonly f16: boolean }

/** In what form a buffer's elements lie in device memory. */
export function elementFormat({ name, format = 'f32' }: Buffer): ElementFormat {
  if (format === 'f32' || format === 'f16' || format === 'bf16') return format;
  throw new InternalError('webgpu', `${name} is stored as ${format}`);
}

export class Module {
  private readonly bindings: { binding: Binding; name: string; type: string }[] = [];
  private readonly functions = new Set<MathFunction>();
  private readonly declarations: string[] = [];
  private readonly views = new Map<BufferId, SourceView>();
  private count = 0;

  private mergedName: string | undefined;

  /** What shaders may use, and the buffers that share one binding. */
  constructor(
    private readonly buffers: readonly Buffer[], private readonly pieces: (buffer: BufferId) => Pieces,
    private readonly features: ShaderFeatures, private readonly merged: readonly BufferId[] = [],
  ) {}

  get subgroups(): boolean { return this.features.subgroups; }

  /** How shaders see elements of this form in storage; declares what that takes. */
  view(format: ElementFormat): ElementView {
    const view = elementView(format, this.features.f16);
    if (view === 'f16') this.half = true;
    for (const text of viewFunctions(view)) if (!this.declarations.includes(text)) this.declare(text);
    return view;
  }
  private half = false;

  use(fn: MathFunction): void { this.functions.add(fn); }

  bind(binding: Binding, type: string): string {
    const name = `b${this.bindings.length}`;
    this.bindings.push({ binding, name, type });
    return name;
  }

  buffer(id: BufferId): Buffer {
    const found = this.buffers[id]?.id === id ? this.buffers[id] : this.buffers.find((b) => b.id === id);
    if (!found) throw new InternalError('webgpu', `no buffer ${id}`);
    return found;
  }

  /** A buffer that the kernel reads, bound once. */
  read(id: BufferId): SourceView {
    const known = this.views.get(id);
    if (known) return known;
    const { dtype, shape, format = 'f32' } = this.buffer(id);
    if (isQuantised(format)) {
      const view: SourceView = { dtype, shape, element: this.quantised(id) };
      this.views.set(id, view);
      return view;
    }
    const form = this.view(elementFormat(this.buffer(id)));
    if (this.merged.includes(id)) {
      const name = this.mergedName ??= this.bind({ kind: 'merged', buffers: this.merged, write: false }, 'array<u32>');
      const start = this.merged.slice(0, this.merged.indexOf(id)).reduce((n, before) => n + fixedSize(this.buffer(before)), 0);
      const view: SourceView = { dtype, shape, element: (offset) => `bitcast<${dtype}>(${name}[${offset} + ${start}])` };
      this.views.set(id, view);
      return view;
    }
    const starts = this.pieces(id);
    const names = starts.map((_, piece) => this.bind({ kind: 'buffer', buffer: id, piece, write: false }, dtype === 'i32' ? 'array<i32>' : viewType(form, false)));
    let element = (offset: string): string => oneOf(form, names[0] ?? '', offset);
    if (names.length > 1) {
      const fn = `load_${names[0]}`;
      const tests = names.slice(0, -1).map((name, n) => `if (i < ${starts[n + 1]}) { return ${oneOf(form, name, `i - ${starts[n]}`)}; }`);
      this.declare(`fn ${fn}(i: i32) -> ${dtype} { ${tests.join(' ')} return ${oneOf(form, names.at(-1) ?? '', `i - ${starts.at(-1)}`)}; }`);
      element = (offset) => `${fn}(${offset})`;
    }
    const view = { dtype, shape, element };
    this.views.set(id, view);
    return view;
  }

  /** Reads elements of a quantised weight. */
  private quantised(id: BufferId): (offset: string) => string {
    const { format = 'f32', shape } = this.buffer(id);
    const k = Number(shape.at(-1));
    const starts = this.pieces(id);
    const reads = starts.map((start, piece) => {
      const name = this.bind({ kind: 'buffer', buffer: id, piece, write: false }, 'array<u32>');
      const { scale, one } = wordFunctions(format, name, k, name);
      this.declare(scale);
      this.declare(one);
      return `let j = i - ${start}; return one_${name}(j / ${k} * ${wordRow(format, k).words}, j % ${k});`;
    });
    const fn = `load_${id}`;
    const tests = reads.slice(0, -1).map((text, n) => `if (i < ${starts[n + 1]}) { ${text} }`);
    this.declare(`fn ${fn}(i: i32) -> f32 { ${[...tests, reads.at(-1)].join(' ')} }`);
    return (offset) => `${fn}(${offset})`;
  }

  private readonly targets = new Map<BufferId, string>();
  /** A buffer that the kernel writes, bound once. */
  write(id: BufferId): string {
    const known = this.targets.get(id);
    if (known !== undefined) return known;
    const name = this.bind({ kind: 'buffer', buffer: id, piece: 0, write: true }, `array<${this.buffer(id).dtype}>`);
    this.targets.set(id, name);
    return name;
  }

  declare(text: string): void { this.declarations.push(text); }

  shared(type: string): string {
    const name = `shared${this.count++}`;
    this.declare(`var<workgroup> ${name}: ${type};`);
    return name;
  }

  /** The program whose main function has this body; `lane`, `group` and `point` are the local, workgroup and global ids. */
  program(workgroup: number, body: readonly string[], groups: Program['groups']): Program {
    const storage = this.bindings.map(({ binding, name, type }, n) => (binding.kind === 'part'
      ? `@group(1) @binding(${n}) var<uniform> ${name}: ${type};`
      : `@group(1) @binding(${n}) var<storage, ${binding.write ? 'read_write' : 'read'}> ${name}: ${type};`));
    // How many lanes of the subgroup there are and which of them this one is, whatever numbers the device gives them.
    const ranks = body.some((line) => line.includes('subgroup'));
    const code = [
      ...(ranks ? ['enable subgroups;'] : []),
      ...(this.half ? ['enable f16;'] : []),
      'struct Dims { T: i32, P: i32, S: i32, R: i32, L: i32 }',
      '@group(0) @binding(0) var<uniform> dims: Dims;',
      ...storage,
      ...this.declarations,
      mathFunctions(this.functions),
      `@compute @workgroup_size(${workgroup})`,
      'fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane_index: u32) {',
      '  let lane = i32(lane_index);',
      ...(ranks ? ['  let subgroupRank = i32(subgroupExclusiveAdd(1u));', '  let subgroupLanes = i32(subgroupAdd(1u));'] : []),
      ...body.map((line) => `  ${line}`),
      '}',
      '',
    ].filter((line) => line !== '').join('\n');
    return { code, bindings: this.bindings.map((b) => b.binding), groups };
  }
}

/** Elements of a weight or constant. */
export const fixedSize = (buffer: Buffer): number => buffer.shape.reduce<number>((n, d) => n * (typeof d === 'number' ? d : NaN), 1);

/** The number that a symbolic dimension stands for in a step. */
export function extent(dim: number | keyof Dims, dims: Dims): number { return typeof dim === 'number' ? dim : dims[dim]; }
export function product(shape: readonly (number | keyof Dims)[], dims: Dims): number { return shape.reduce<number>((n, d) => n * extent(d, dims), 1); }
