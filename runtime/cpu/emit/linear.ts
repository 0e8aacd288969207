/**
 * The linear template. A thread takes a range of the N outputs (or of the rows, where there are many rows and few outputs), and
 * goes through it in panels that stay in the cache: rows in chunks, whose input is computed once a row into the thread's scratch
 * memory; panels of N; tiles of four rows, whose sums go to scratch and from there through the epilogue to the stores.
 */
import { InternalError } from '../../../compiler/diagnostics.ts';
import { int } from '../../../compiler/kernels/index-expression.ts';
import { numberReduceAxes } from '../../../compiler/kernels/scalar-expression.ts';
import type { Extents } from '../../../compiler/kernels/simplify-index.ts';
import type { LinearKernel } from '../../../compiler/kernels/types.ts';
import type { Index } from '../../../compiler/kernels/scalar.ts';
import { blockRows, storedBytes } from '../layout.ts';
import type { Local } from '../wasm/function.ts';
import { add, choose, i32, load, mul, op, sub, type I32 } from '../wasm/value.ts';
import type { Emitter } from './emitter.ts';
import { bufferElement, makeEmitter, type KernelSite } from './kernel.ts';
import { linearLaneStride } from './lanes.ts';
import { columns, gcd, inputBits, inputForm, planLinear, sectionBytes, sectionsOf, type InputForm, type LinearPlan, type Region } from './linear-plan.ts';
import { emitLoops, type Loop, type Target } from './loops.ts';
import { blockOfReductions, splitAxis } from './split-axis.ts';
import { reduceAxes } from './nest.ts';

const splitOuter = 60;
const splitInner = 61;

/** Addresses of a row of the input, in the forms that there are. */
type Inputs = Readonly<Record<InputForm, I32 | undefined>>;

export function emitLinear(site: KernelSite, kernel: LinearKernel): { readonly scratchBytes: number } {
  const e = makeEmitter(site, kernel);
  const writer = new LinearWriter(site, kernel, e);
  writer.write();
  return { scratchBytes: writer.plan.scratchBytes };
}

class LinearWriter {
  readonly plan: LinearPlan;
  private readonly n: number;
  /** The axis after the row axes: k of the input, n of the stores. */
  private readonly axis: number;
  private readonly sums: I32;
  private readonly choices: I32;
  private readonly list: I32;

  constructor(private readonly site: KernelSite, private readonly kernel: LinearKernel, private readonly e: Emitter) {
    this.axis = kernel.rowShape.length;
    this.n = columns(kernel);
    const rowCapacity = kernel.rowShape.reduce<number>((product, d) => product * site.capacityOf(d), 1);
    this.plan = planLinear(kernel, this.isDirect(), rowCapacity, kernel.weights.map((w) => site.info(w.buffer).format));
    const { f, scratch } = site;
    this.sums = f.let(add(scratch, i32(this.plan.sums)));
    this.choices = f.let(add(this.sums, i32(4 * this.rowBytes)));
    this.list = f.let(add(this.choices, i32(4 * this.plan.chunk)));
  }

  /** Bytes of a row of sums, all sections. */
  private get rowBytes(): number {
    return sectionsOf(this.kernel) * sectionBytes(this.plan.panel);
  }

  /** A plain load whose elements lie side by side along k. */
  private isDirect(): boolean {
    const { kernel, e } = this;
    if (kernel.input.op !== 'load') return false;
    const { source, index } = kernel.input;
    let direct = false;
    this.withRowAxes(kernel.rowShape.map(() => i32(0)), () => e.withAxis(this.axis, i32(0), kernel.k, () => {
      const element = e.resolver.source(e, source, index);
      // Alignment 1: side by side for any four neighbours, not only for aligned ones.
      direct = element.dtype === 'f32' && !element.read && linearLaneStride(element.linear, { axis: this.axis, align: 1 }, e.extents) === 1;
    }));
    return direct;
  }

  write(): void {
    const { f, threads, thread } = this.site;
    const { quantum } = this.plan;
    const rows = f.let(this.kernel.rowShape.reduce<I32>((product, d) => mul(product, this.e.dim(d)), i32(1)));
    const n0 = f.let(i32(0));
    const n1 = f.let(i32(this.n));
    const first = f.let(i32(0));
    const last = f.let(this.kernel.group === 'head' ? this.e.dim(this.kernel.rowShape[1] ?? 1) : rows);
    if (threads > 1) {
      const units = Math.ceil(this.n / quantum);
      const cutColumns = (): void => {
        f.set(n0, mul(op('i32.div_u', mul(i32(units), thread), i32(threads)), i32(quantum)));
        const end = f.let(mul(op('i32.div_u', mul(i32(units), add(thread, i32(1))), i32(threads)), i32(quantum)));
        f.set(n1, choose(op('i32.lt_s', end, i32(this.n)), end, i32(this.n)));
      };
      // Rows (or heads), where there are enough of them, rather than columns that come in few units.
      const cutRows = (): void => {
        const unit = this.kernel.group === 'none' ? 4 : 1;
        const count = f.let(op('i32.div_u', add(last, i32(unit - 1)), i32(unit)));
        const whole = f.let<'i32'>(last);
        f.set(first, mul(op('i32.div_u', mul(count, thread), i32(threads)), i32(unit)));
        const end = f.let(mul(op('i32.div_u', mul(count, add(thread, i32(1))), i32(threads)), i32(unit)));
        f.set(last, choose(op('i32.lt_s', end, whole), end, whole));
      };
      if (this.kernel.group === 'expert' || (this.kernel.group === 'none' && units >= 4 * threads)) cutColumns();
      else f.if(op('i32.ge_s', last, i32(this.kernel.group === 'head' ? threads : 4 * threads)), cutRows, cutColumns);
    }
    f.if(op('i32.lt_s', n0, n1), () => {
      if (this.kernel.group === 'head') {
        const head = f.local('i32');
        const tokens = f.let(this.e.dim(this.kernel.rowShape[0] ?? 1));
        f.countedLoop(head, first, last, 1, () => this.chunks(i32(0), tokens, n0, n1, head));
      } else this.chunks(first, last, n0, n1, undefined);
    });
  }

  /** Goes through rows first..last in chunks. `head`: rows are the tokens of this head. */
  private chunks(first: I32, last: I32, n0: I32, n1: I32, head: Local<'i32'> | undefined): void {
    const { f } = this.site;
    const start = f.local('i32');
    const heads = this.kernel.rowShape[1] ?? 1;
    const flat = (position: I32): I32 => (head ? add(mul(position, this.e.dim(heads)), head) : position);
    f.countedLoop(start, first, last, this.plan.chunk, () => {
      const after = f.let(add(start, i32(this.plan.chunk)));
      const end = f.let(choose(op('i32.lt_s', after, last), after, last));
      if (!this.plan.direct || this.plan.bytes.used || this.plan.words.used) this.prologue(start, end, flat);
      if (this.kernel.group === 'expert') this.experts(start, end, n0, n1);
      else this.panels(start, end, n0, n1, head ?? i32(0), flat, (position) => this.inputs(position, position, start, flat));
    });
  }

  /** Binds the row axes to the parts of a flat row number. */
  private withRow(flat: I32, body: () => void): void {
    const { f } = this.site;
    const { rowShape } = this.kernel;
    const values: I32[] = new Array<I32>(rowShape.length).fill(flat);
    let rest: I32 = flat;
    for (let n = rowShape.length - 1; n > 0; n--) {
      const size = this.e.dim(rowShape[n] ?? 1);
      values[n] = f.let(op('i32.rem_u', rest, size));
      rest = f.let(op('i32.div_u', rest, size));
    }
    if (rowShape.length > 0) values[0] = rest;
    this.withRowAxes(values, () => this.e.scopes.within(body));
  }

  private withRowAxes(values: readonly I32[], body: () => void): void {
    const bind = (n: number): void => {
      const value = values[n];
      if (!value) body();
      else this.e.withAxis(n, value, this.kernel.rowShape[n], () => bind(n + 1));
    };
    bind(0);
  }

  /** Rows start..end of the input into scratch memory, and rounded where products want them so. */
  private prologue(start: I32, end: I32, flat: (position: I32) => I32): void {
    const { f, products } = this.site;
    const { e, kernel, plan } = this;
    const position = f.local('i32');
    f.countedLoop(position, start, end, 1, () => e.scopes.within(() => {
      const slot = f.let(sub(position, start));
      const floats = f.let(plan.direct ? this.directAddress(flat(position)) : this.slotAddress(plan.floats, slot));
      if (!plan.direct) this.computeRow(floats, flat(position));
      for (const form of ['bytes', 'words'] as const) {
        if (plan[form].used) f.run(products.quantise(inputBits[form]), floats, this.slotAddress(plan[form], slot), i32(kernel.k));
      }
    }));
  }

  private slotAddress(region: Region, slot: I32): I32 {
    return add(add(this.site.scratch, i32(region.at)), mul(slot, i32(region.stride)));
  }

  private computeRow(target: I32, row: I32): void {
    const { e, axis, kernel } = this;
    const value = numberReduceAxes(kernel.input, reduceAxes);
    this.withRow(this.site.f.let(row), () => {
      const loop: Loop = { axis, from: i32(0), to: i32(kernel.k), align: 16, extent: kernel.k };
      const element = (index: readonly Index[]): ReturnType<Target['element']> =>
        e.element('inputs', target, [{ index: index[0] ?? int(0), dims: [] }], 'f32', i32(0), i32(kernel.k), true);
      emitLoops(e, [loop], [{ index: [{ op: 'axis', axis }], value, element }]);
    });
  }

  /** Where each form of a row's input begins. `slotted`: the position whose place in scratch memory it has. */
  private inputs(position: I32, slotted: I32, start: I32, flat: (position: I32) => I32): Inputs {
    const { f } = this.site;
    const { plan } = this;
    const slot = f.let(sub(slotted, start));
    const at = (form: InputForm): I32 | undefined => {
      if (!plan[form].used) return undefined;
      return f.let(form === 'floats' && plan.direct ? this.directAddress(flat(position)) : this.slotAddress(plan[form], slot));
    };
    return { floats: at('floats'), bytes: at('bytes'), words: at('words') };
  }

  /** Where the input of a row begins that is read where it lies. */
  private directAddress(row: I32): I32 {
    const { f } = this.site;
    const { e, kernel } = this;
    if (kernel.input.op !== 'load') throw new InternalError('cpu', 'an input that is not a load is not direct');
    const { source, index } = kernel.input;
    const address = f.local('i32');
    this.withRow(f.let(row), () => e.withAxis(this.axis, i32(0), kernel.k, () => {
      f.set(address, e.address(e.resolver.source(e, source, index), false));
    }));
    return address;
  }

  /** Rows of the chunk by expert: their experts first, then for each expert the list of its rows. */
  private experts(start: I32, end: I32, n0: I32, n1: I32): void {
    const { f } = this.site;
    const { e, kernel } = this;
    const choice = kernel.choice;
    const count = this.groups();
    if (!choice) throw new InternalError('cpu', 'an expert product without a choice');
    const row = f.local('i32');
    f.countedLoop(row, start, end, 1, () => {
      this.withRow(row, () => {
        const chosen = f.let(e.index({ op: 'at', source: choice.source, index: choice.index }));
        const safe = choose(op('i32.lt_u', chosen, i32(count)), chosen, i32(0));
        f.store('i32.store', add(this.choices, mul(sub(row, start), i32(4))), safe);
      });
    });
    const expert = f.local('i32');
    f.countedLoop(expert, i32(0), i32(count), 1, () => {
      const length = f.let(i32(0));
      f.countedLoop(row, start, end, 1, () => {
        f.if(op('i32.eq', load('i32.load', add(this.choices, mul(sub(row, start), i32(4)))), expert), () => {
          f.store('i32.store', add(this.list, mul(length, i32(4))), row);
          f.set(length, add(length, i32(1)));
        });
      });
      f.if(length, () => {
        const flat = (position: I32): I32 => load('i32.load', add(this.list, mul(position, i32(4))));
        this.panels(i32(0), length, n0, n1, expert, flat, (position) => this.inputs(position, f.let(flat(position)), start, flat));
      });
    });
  }

  /** Number of matrices in the stack. */
  private groups(): number {
    const [weight] = this.kernel.weights;
    const shape = weight ? this.site.info(weight.buffer).capacity : [];
    return this.kernel.group === 'none' ? 1 : (shape[0] ?? 1);
  }

  /** Panels of n0..n1 with rows start..end (positions) of one matrix. */
  private panels(start: I32, end: I32, n0: I32, n1: I32, group: I32, flat: (position: I32) => I32, input: (position: I32) => Inputs): void {
    const { f } = this.site;
    const from = f.local('i32');
    const position = f.local('i32');
    f.countedLoop(from, n0, n1, this.plan.panel, () => {
      const after = f.let(add(from, i32(this.plan.panel)));
      const to = f.let(choose(op('i32.lt_s', after, n1), after, n1));
      f.countedLoop(position, start, end, 4, () => {
        const left = f.let(sub(end, position));
        const count = f.let(choose(op('i32.lt_s', left, i32(4)), left, i32(4)));
        f.if(op('i32.eq', count, i32(1)), () => this.product([input(position)], from, to, group), () => {
          // A row that is missing in the last tile is computed as its neighbour again, and not stored.
          const rows = [0, 1, 2, 3].map((m) => {
            const at = f.let(add(position, i32(m)));
            return input(f.let(choose(op('i32.lt_s', at, end), at, sub(end, i32(1)))));
          });
          this.product(rows, from, to, group);
        });
        const m = f.local('i32');
        f.countedLoop(m, i32(0), count, 1, () => {
          const sums = f.let(add(this.sums, mul(m, i32(this.rowBytes))));
          this.withRow(f.let(flat(f.let(add(position, m)))), () => this.epilogue(sums, from, to));
        });
      });
    });
  }

  /** The sums of rows times outputs from..to, matrix by matrix of those stacked along N. */
  private product(rows: readonly Inputs[], from: I32, to: I32, group: I32): void {
    const { f, products } = this.site;
    const { k } = this.kernel;
    let offset = 0;
    let section = 0;
    const interleaved = this.kernel.order === 'interleaved';
    for (const weight of this.kernel.weights) {
      const { format } = this.site.info(weight.buffer);
      if (format === 'rows') throw new InternalError('cpu', 'a product with a weight in rows');
      const blockBytes = storedBytes([blockRows, k], format);
      const groupBytes = Math.ceil(weight.rows / blockRows) * blockBytes;
      const base = offset;
      const sectionStart = section * sectionBytes(this.plan.panel);
      const low = f.let(choose(op('i32.gt_s', from, i32(base)), sub(from, i32(base)), i32(0)));
      const high = f.let(sub(choose(op('i32.lt_s', to, i32(base + weight.rows)), to, i32(base + weight.rows)), i32(base)));
      const run = (): void => {
        const block = f.let(op('i32.shr_u', low, i32(3)));
        const blocks = sub(op('i32.shr_u', add(high, i32(blockRows - 1)), i32(3)), block);
        const w = add(add(this.site.base(weight.buffer), mul(group, i32(groupBytes))), mul(block, i32(blockBytes)));
        const column = sub(add(mul(block, i32(blockRows)), i32(base + blockRows)), from);
        const out = add(add(this.sums, i32(sectionStart)), mul(column, i32(4)));
        const [x0, x1, x2, x3] = rows.map((row) => row[inputForm(format)]);
        if (x0 && x1 && x2 && x3) f.run(products.tile(format), x0, x1, x2, x3, w, i32(k), out, i32(this.rowBytes), blocks);
        else if (x0) f.run(products.vector(format), x0, w, i32(k), out, blocks);
      };
      f.if(op('i32.lt_s', low, high), run);
      if (interleaved) section++;
      else offset += weight.rows;
    }
  }

  /** The element of a row of sums that holds accumulator n. */
  private column(n: Index): Index {
    const m = sectionsOf(this.kernel);
    if (m === 1) return n;
    return { op: 'add', a: { op: 'div', a: n, by: m }, b: { op: 'mul', a: { op: 'mod', a: n, by: m }, by: sectionBytes(this.plan.panel) / 4 } };
  }

  /** Stores of one row for outputs from..to. */
  private epilogue(sums: I32, from: I32, to: I32): void {
    const { f } = this.site;
    const { e, axis, kernel } = this;
    // The sum of output n is at origin + 4 n.
    const origin = f.let(sub(add(sums, i32(4 * blockRows)), mul(from, i32(4))));
    const outer = e.resolver;
    const width = f.let(add(sub(to, from), i32((sectionsOf(kernel) - 1) * (sectionBytes(this.plan.panel) / 4))));
    e.resolver = {
      source: (emitter, source, index) => outer.source(emitter, source, index),
      accumulator: (emitter, index) => {
        const linear = [{ index: this.column(index[index.length - 1] ?? int(0)), dims: [] }];
        return emitter.element('sums', origin, linear, 'f32', from, width, false);
      },
    };
    const ranges = new Map<string, LinearKernel['stores'][number][]>();
    for (const s of kernel.stores) {
      const key = `${s.from} ${s.to}`;
      ranges.set(key, [...(ranges.get(key) ?? []), { ...s, value: numberReduceAxes(s.value, reduceAxes) }]);
    }
    for (const stores of ranges.values()) {
      const [{ from: low, to: high } = { from: 0, to: 0 }] = stores;
      const start = f.let(choose(op('i32.gt_s', from, i32(low)), from, i32(low)));
      const stop = f.let(choose(op('i32.lt_s', to, i32(high)), to, i32(high)));
      const block = this.reductionBlock(stores, low, high);
      f.if(op('i32.lt_s', start, stop), () => e.scopes.within(() => {
        const target = (index: readonly Index[], buffer: number, value: Target['value']): Target =>
          ({ index, value, element: (i) => bufferElement(this.site, e, buffer, i) });
        const align = low % 8 === 0 ? 8 : low % 4 === 0 ? 4 : 1;
        if (block === undefined) {
          emitLoops(e, [{ axis, from: start, to: stop, align, extent: this.n }], stores.map((s) => target(s.index, s.buffer, s.value)));
          return;
        }
        const extents: Extents = (a) => (a === splitOuter ? this.n / block : a === splitInner ? block : e.extents(a));
        const split = splitAxis(axis, block, splitOuter, splitInner);
        const firstBlock = f.let(op('i32.div_u', start, i32(block)));
        const lastBlock = f.let(op('i32.div_u', stop, i32(block)));
        const loops: Loop[] = [
          { axis: splitOuter, from: firstBlock, to: lastBlock, align: 1, extent: this.n / block },
          { axis: splitInner, from: i32(0), to: i32(block), align: 16, extent: block },
        ];
        emitLoops(e, loops, stores.map((s) => target(s.index.map((i) => split.index(i, extents)), s.buffer, split.scalar(s.value, extents))));
      }));
    }
    e.resolver = outer;
  }

  /** The size of the blocks of N over which the epilogue reduces, where cuts respect them. */
  private reductionBlock(stores: LinearKernel['stores'], low: number, high: number): number | undefined {
    const block = blockOfReductions(stores.map((s) => s.value), this.axis, this.n);
    const granule = this.kernel.granule / gcd(this.kernel.granule, sectionsOf(this.kernel));
    return block !== undefined && [granule, low, high].every((n) => n % block === 0) ? block : undefined;
  }
}
