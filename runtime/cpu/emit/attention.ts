/**
 * The attention template. A unit of work is a tile of query rows (tokens x heads of one key-value head) and a range of keys: the tile
 * goes through its keys in blocks, so that each key and value is read once for four rows at a time, with a softmax that runs along.
 * Where tiles are few (decode), their keys are cut as well; the thread that ends a tile's last part merges the parts, in order, so
 * that results do not depend on who computed what.
 */
import { int } from '../../../compiler/kernels/index-expression.ts';
import { numberReduceAxes } from '../../../compiler/kernels/scalar-expression.ts';
import type { AttentionKernel, HeadView } from '../../../compiler/kernels/types.ts';
import type { Index } from '../../../compiler/kernels/scalar.ts';
import { add, atomic, choose, f32, f32x4, i32, load, max, min, mul, op, sub, type I32 } from '../wasm/value.ts';
import { blockKeys, record, scoreStride, type Rows } from './attention-loops.ts';
import type { Element } from './element.ts';
import type { Emitter } from './emitter.ts';
import { bufferElement, makeEmitter, type KernelSite } from './kernel.ts';
import { emitLoops } from './loops.ts';
import { reduceAxes } from './nest.ts';

const [tokenAxis, headAxis, lastAxis] = [0, 1, 2];

/** Query rows of a tile. */
const mostRows = 32;
/** Heads of a tile; where more share a key-value head they make several tiles. */
const mostHeads = 16;
/** Keys are cut while there are fewer units of work. */
const enoughUnits = 24;

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/** The template's sizes, known when compiling. Strides and sizes in bytes. */
interface Sizes {
  /** Heads that share keys and values, the tiles that they make, and heads of a tile. */
  readonly sharing: number;
  readonly headTiles: number;
  readonly tileHeads: number;
  readonly tileTokens: number;
  readonly queryStride: number;
  readonly mixedStride: number;
  /** Records and mixed values of a tile: what a part leaves. */
  readonly partBytes: number;
  readonly mixed: number;
  /** Places in the thread's scratch memory. */
  readonly queries: number;
  readonly scores: number;
  readonly scratchBytes: number;
  readonly sharedBytes: number;
}

/** Counters of finished parts, a word a tile, in front of the parts. */
const counterBytes = roundUp(4 * enoughUnits, 64);

function sizesOf(site: KernelSite, kernel: AttentionKernel): Sizes {
  const sharing = kernel.heads % kernel.kvHeads === 0 ? kernel.heads / kernel.kvHeads : 1;
  const tileHeads = Math.ceil(sharing / Math.ceil(sharing / mostHeads));
  const tileTokens = Math.min(Math.max(1, Math.floor(mostRows / tileHeads)), site.capacityOf('T'));
  const rows = tileHeads * tileTokens;
  const queryStride = 4 * roundUp(kernel.headDim, 4);
  const mixedStride = 4 * roundUp(kernel.valueDim, 8);
  const mixed = rows * record.bytes;
  const partBytes = roundUp(mixed + rows * mixedStride, 64);
  const scores = partBytes + rows * queryStride;
  return {
    sharing, headTiles: Math.ceil(sharing / tileHeads), tileHeads, tileTokens, queryStride, mixedStride, partBytes, mixed,
    queries: partBytes, scores, scratchBytes: scores + rows * scoreStride + 64, sharedBytes: counterBytes + enoughUnits * partBytes,
  };
}

export function emitAttention(site: KernelSite, kernel: AttentionKernel): { readonly scratchBytes: number; readonly sharedBytes: number } {
  const writer = new AttentionWriter(site, kernel);
  writer.write();
  return writer.sizes;
}

class AttentionWriter {
  readonly sizes: Sizes;
  private readonly e: Emitter;

  constructor(private readonly site: KernelSite, private readonly kernel: AttentionKernel) {
    this.e = makeEmitter(site, kernel);
    this.sizes = sizesOf(site, kernel);
  }

  write(): void {
    const { site: { f, thread, threads, scratch, shared }, e, kernel, sizes } = this;
    const lanes = (kernel.heads / sizes.sharing) * sizes.headTiles;
    const tokenTiles = op('i32.div_u', add(e.dim('T'), i32(sizes.tileTokens - 1)), i32(sizes.tileTokens));
    const tiles = f.let(mul(tokenTiles, i32(lanes)));
    const blocks = f.let(op('i32.div_u', add(e.dim(kernel.keys), i32(blockKeys - 1)), i32(blockKeys)));
    const wanted = f.let(op('i32.div_u', i32(enoughUnits), tiles));
    const parts = f.let(max(f.let(min(wanted, blocks)), i32(1)));
    const units = f.let(mul(tiles, parts));
    const unit = f.local('i32');
    f.countedLoop(unit, thread, units, threads, () => e.scopes.within(() => {
      const part = f.let(op('i32.rem_u', unit, parts));
      const tile = f.let(op('i32.div_u', unit, parts));
      const place = f.let(add(i32(shared + counterBytes), mul(unit, i32(sizes.partBytes))));
      const rows = f.let(choose(op('i32.eq', parts, i32(1)), scratch, place));
      const many = this.tile(tile, lanes, part, parts, rows);
      f.if(op('i32.eq', parts, i32(1)), () => this.finish(rows, many), () => {
        const counter = f.let(add(i32(shared), mul(tile, i32(4))));
        f.if(op('i32.eq', atomic('i32.atomic.rmw.add', counter, 0, i32(1)), sub(parts, i32(1))), () => {
          f.store('i32.atomic.store', counter, i32(0));
          const first = f.let(sub(rows, mul(part, i32(sizes.partBytes))));
          this.merge(first, many, parts);
          this.finish(first, many);
        });
      });
    }));
  }

  /** A tile's rows over one part of its keys, into records and mixed values at `rows`. Gives the number of rows. */
  private tile(tile: I32, lanes: number, part: I32, parts: I32, rows: I32): I32 {
    const { site, e, kernel, sizes } = this;
    const { f, scratch } = site;
    const tokens0 = f.let(mul(op('i32.div_u', tile, i32(lanes)), i32(sizes.tileTokens)));
    const tokens = f.let(min(f.let(sub(e.dim('T'), tokens0)), i32(sizes.tileTokens)));
    const lane = f.let(op('i32.rem_u', tile, i32(lanes)));
    const within = f.let(mul(op('i32.rem_u', lane, i32(sizes.headTiles)), i32(sizes.tileHeads)));
    const heads = f.let(min(f.let(sub(i32(sizes.sharing), within)), i32(sizes.tileHeads)));
    const head0 = f.let(add(mul(op('i32.div_u', lane, i32(sizes.headTiles)), i32(sizes.sharing)), within));
    const group = f.let(op('i32.div_u', mul(head0, i32(kernel.kvHeads)), i32(kernel.heads)));
    const many = f.let(mul(tokens, heads));
    // The first token sees the first key, the last one the last: masks move with the token.
    const { from } = visible(e, kernel, tokens0);
    const { to } = visible(e, kernel, f.let(add(tokens0, sub(tokens, i32(1)))));
    const perPart = f.let(mul(op('i32.div_u', add(sub(to, from), sub(mul(parts, i32(blockKeys)), i32(1))), mul(parts, i32(blockKeys))), i32(blockKeys)));
    const low = f.let(add(from, mul(part, perPart)));
    const high = f.let(min(f.let(add(low, perPart)), to));
    this.begin(rows, many, { tokens0, heads, head0, part, low, high });
    const block = f.local('i32');
    f.countedLoop(block, low, high, blockKeys, () => {
      const end = f.let(min(f.let(add(block, i32(blockKeys))), high));
      const row = f.local('i32');
      f.countedLoop(row, i32(0), many, 4, () => {
        const left = f.let(sub(many, row));
        const count = f.let(min(left, i32(4)));
        const first = f.let(add(rows, mul(row, i32(record.bytes))));
        const last = f.let(add(first, mul(sub(count, i32(1)), i32(record.bytes))));
        const start = f.let(max(block, f.let(load('i32.load', first, record.from))));
        const stop = f.let(min(end, f.let(load('i32.load', last, record.to))));
        f.if(op('i32.lt_s', start, stop), () => {
          const keys = f.let(sub(stop, start));
          // Key s has its score at origin + 4 s.
          const origin = f.let(sub(add(add(scratch, i32(sizes.scores)), mul(row, i32(scoreStride))), mul(block, i32(4))));
          const scores = f.let(add(origin, mul(start, i32(4))));
          const query = f.let(add(add(scratch, i32(sizes.queries)), mul(row, i32(sizes.queryStride))));
          const key = f.let(viewAddress(site, kernel.key, start, group));
          this.byCount(count, (n) => f.run(site.rows.dots(n, sizes.queryStride), query, key, i32(4 * kernel.key.rowStride), i32(kernel.headDim), scores, keys));
          this.soften(first, count, origin, start, stop);
          const value = f.let(viewAddress(site, kernel.value, start, group));
          const out = f.let(add(add(rows, i32(sizes.mixed)), mul(row, i32(sizes.mixedStride))));
          this.byCount(count, (n) => f.run(site.rows.mix(n, sizes.mixedStride), first, scores, keys, value, i32(4 * kernel.value.rowStride), i32(kernel.valueDim), out));
        });
      });
    });
    return many;
  }

  private byCount(count: I32, write: (rows: Rows) => void): void {
    const { f } = this.site;
    const most = this.sizes.tileHeads * this.sizes.tileTokens;
    const from = (n: Rows): void => {
      if (n === 1) write(1);
      else f.if(op('i32.eq', count, i32(n)), () => write(n), () => from((n - 1) as Rows));
    };
    from(Math.min(4, most) as Rows);
  }

  /** Records, copies of the queries, and zeros to add to. */
  private begin(rows: I32, many: I32, { tokens0, heads, head0, part, low, high }: { tokens0: I32; heads: I32; head0: I32; part: I32; low: I32; high: I32 }): void {
    const { site, e, kernel, sizes } = this;
    const { f, scratch } = site;
    const row = f.local('i32');
    f.countedLoop(row, i32(0), many, 1, () => e.scopes.within(() => {
      const at = f.let(add(rows, mul(row, i32(record.bytes))));
      const token = f.let(add(tokens0, op('i32.div_u', row, heads)));
      const head = f.let(add(head0, op('i32.rem_u', row, heads)));
      const seen = visible(e, kernel, token);
      const from = f.let(max(seen.from, low));
      const to = f.let(min(seen.to, high));
      f.store('i32.store', at, from, record.from);
      f.store('i32.store', at, max(from, to), record.to);
      f.store('i32.store', at, token, record.token);
      f.store('i32.store', at, head, record.head);
      f.store('f32.store', at, f32(-Infinity), record.largest);
      f.store('f32.store', at, f32(0), record.sum);
      if (kernel.sinks !== undefined) {
        // A key without a value, that the first part has seen.
        const sink = add(site.base(kernel.sinks), mul(head, i32(4)));
        f.if(op('i32.eqz', part), () => {
          f.store('f32.store', at, load('f32.load', sink), record.largest);
          f.store('f32.store', at, f32(1), record.sum);
        });
      }
      const n = f.local('i32');
      const query = f.let(viewAddress(site, kernel.query, token, head));
      const copy = f.let(add(add(scratch, i32(sizes.queries)), mul(row, i32(sizes.queryStride))));
      f.countedLoop(n, i32(0), i32(sizes.queryStride), 16, () => f.store('v128.store', add(copy, n), load('v128.load', add(query, n))));
      const mixed = f.let(add(add(rows, i32(sizes.mixed)), mul(row, i32(sizes.mixedStride))));
      f.countedLoop(n, i32(0), i32(sizes.mixedStride), 16, () => f.store('v128.store', add(mixed, n), f32x4(0)));
    }));
  }

  /** Scores of keys start..stop of `count` rows become their shares; those of keys that a row does not see, zeros. */
  private soften(first: I32, count: I32, origin: I32, start: I32, stop: I32): void {
    const { site: { f, rows }, e, kernel } = this;
    const n = f.local('i32');
    f.countedLoop(n, i32(0), count, 1, () => e.scopes.within(() => {
      const at = f.let(add(first, mul(n, i32(record.bytes))));
      const scores = f.let(add(origin, mul(n, i32(scoreStride))));
      const from = f.let(min(f.let(max(f.let(load('i32.load', at, record.from)), start)), stop));
      const to = f.let(max(f.let(min(f.let(load('i32.load', at, record.to)), stop)), from));
      this.zeros(scores, start, from);
      this.zeros(scores, to, stop);
      this.withRow(at, () => scoreLoop(e, kernel, scores, from, to));
      f.run(rows.soften(), add(scores, mul(from, i32(4))), sub(to, from), at);
    }));
  }

  private zeros(scores: I32, from: I32, to: I32): void {
    const { f } = this.site;
    const s = f.local('i32');
    f.countedLoop(s, from, to, 1, () => f.store('f32.store', add(scores, mul(s, i32(4))), f32(0)));
  }

  private withRow(at: I32, body: () => void): void {
    const { site: { f }, e, kernel } = this;
    const token = f.let(load('i32.load', at, record.token));
    const head = f.let(load('i32.load', at, record.head));
    e.withAxis(tokenAxis, token, 'T', () => e.withAxis(headAxis, head, kernel.heads, body));
  }

  /** All parts of a tile into the first, one after another. */
  private merge(first: I32, many: I32, parts: I32): void {
    const { site, site: { f }, sizes } = this;
    const part = f.local('i32');
    const row = f.local('i32');
    f.countedLoop(part, i32(1), parts, 1, () => f.countedLoop(row, i32(0), many, 1, () => {
      const at = f.let(mul(row, i32(record.bytes)));
      const mixed = f.let(add(i32(sizes.mixed), mul(row, i32(sizes.mixedStride))));
      const other = f.let(add(first, mul(part, i32(sizes.partBytes))));
      f.run(site.rows.merge(), add(first, at), add(first, mixed), add(other, at), add(other, mixed), i32(sizes.mixedStride / 16));
    }));
  }

  /** Divides by the sums and stores. */
  private finish(rows: I32, many: I32): void {
    const { site, site: { f }, e, kernel, sizes } = this;
    const row = f.local('i32');
    const n = f.local('i32');
    f.countedLoop(row, i32(0), many, 1, () => e.scopes.within(() => {
      const at = f.let(add(rows, mul(row, i32(record.bytes))));
      const mixed = f.let(add(add(rows, i32(sizes.mixed)), mul(row, i32(sizes.mixedStride))));
      const factor = f.let(op('f32x4.splat', op('f32.div', f32(1), load('f32.load', at, record.sum))));
      f.countedLoop(n, i32(0), i32(sizes.mixedStride), 16, () => f.store('v128.store', add(mixed, n), op('f32x4.mul', load('v128.load', add(mixed, n)), factor)));
      this.withRow(at, () => storeLoop(site, e, kernel, mixed));
    }));
  }
}

/** The byte address of element 0 of (row, head). */
function viewAddress(site: KernelSite, view: HeadView, row: I32, head: I32): I32 {
  const element = add(add(mul(row, i32(view.rowStride)), mul(head, i32(view.headStride))), i32(view.offset));
  return add(site.base(view.buffer), mul(element, i32(4)));
}

/** Keys from..to - 1 are those that the token may see. It stands at P + t. */
function visible(e: Emitter, kernel: AttentionKernel, token: I32): { readonly from: I32; readonly to: I32 } {
  const { f } = e;
  const position = f.let(add(e.dim('P'), token));
  const from = f.let(i32(0));
  const to = f.let(e.dim(kernel.keys));
  const lower = (value: I32): void => {
    const bound = f.let(value);
    f.set(from, choose(op('i32.gt_s', bound, from), bound, from));
  };
  const upper = (value: I32): void => {
    const bound = f.let(value);
    f.set(to, choose(op('i32.lt_s', bound, to), bound, to));
  };
  if (kernel.mask.causal) upper(add(position, i32(1)));
  const { window } = kernel.mask;
  if (window) {
    switch (window.kind) {
      case 'sliding': lower(sub(position, i32(window.size - 1))); break;
      case 'chunked':
        lower(mul(op('i32.div_u', position, i32(window.size)), i32(window.size)));
        upper(add(from, i32(window.size)));
        break;
      case 'symmetric':
        lower(sub(position, i32(window.size)));
        upper(add(position, i32(window.size + 1)));
        break;
      default: window.kind satisfies never;
    }
  }
  // No key at all is a count of 0, not a negative one.
  f.set(to, choose(op('i32.lt_s', to, from), from, to));
  return { from, to };
}

function memory(e: Emitter, name: string, base: I32, index: readonly Index[], count: number): Element {
  return e.element(name, base, [{ index: index[index.length - 1] ?? int(0), dims: [] }], 'f32', i32(0), i32(count), false);
}

/** The score expression over keys from..to; key s has its score at scores + 4 s. */
function scoreLoop(e: Emitter, kernel: AttentionKernel, scores: I32, from: I32, to: I32): void {
  if (kernel.score.op === 'accumulator') return;
  const outer = e.resolver;
  const element = (index: readonly Index[]): Element =>
    e.element('scores', scores, [{ index: index[index.length - 1] ?? int(0), dims: [] }], 'f32', from, i32(blockKeys), false);
  e.resolver = { source: (emitter, s, i) => outer.source(emitter, s, i), accumulator: (_, i) => element(i) };
  const index: Index[] = [{ op: 'axis', axis: lastAxis }];
  e.scopes.within(() => {
    emitLoops(e, [{ axis: lastAxis, from, to, align: 1, extent: kernel.keys }], [{ index, value: numberReduceAxes(kernel.score, reduceAxes), element }]);
  });
  e.resolver = outer;
}

function storeLoop(site: KernelSite, e: Emitter, kernel: AttentionKernel, mixed: I32): void {
  const outer = e.resolver;
  e.resolver = { source: (emitter, s, i) => outer.source(emitter, s, i), accumulator: (emitter, i) => memory(emitter, 'mixed', mixed, i, kernel.valueDim) };
  e.scopes.within(() => {
    emitLoops(e, [{ axis: lastAxis, from: i32(0), to: i32(kernel.valueDim), align: 16, extent: kernel.valueDim }], kernel.stores.map((s) => ({
      index: s.index, value: numberReduceAxes(s.value, reduceAxes), element: (i: readonly Index[]) => bufferElement(site, e, s.buffer, i),
    })));
  });
  e.resolver = outer;
}
