/**
 * What follows a product moves behind it: bias, activation, gate, residual, scale, rotation, head norm and the write to the cache
 * become the stores of the linear kernel (or of the attention kernel) whose accumulators they use.
 */
import { add, axis, int, mul, sameIndex, sub, visitIndex } from '../kernels/index-expression.ts';
import { countNodes, hasReduce, loadsOf, numberReduceAxes, rewriteScalar, scalarKey, substituteAxes, substituteIndex, visitScalar, type Load } from '../kernels/scalar-expression.ts';
import { extentsOf, simplifyIndex, type Extents } from '../kernels/simplify-index.ts';
import { buffersRead, buffersWritten } from '../kernels/sources.ts';
import { kernelKey, type Alike } from './alike.ts';
import { hostPoint, invert, blockOf, withinBlock, type Host, type HostStore, type Inverse } from './host-axes.ts';
import { operatorsOf } from './describe.ts';
import { keptBecause } from './kept.ts';
import { exceeds } from './limits.ts';
import { storeSpace } from './replace-loads.ts';
import { splitAxis, splitPoint } from './split-axis.ts';
import { mergedNodes, Workspace, type Place } from './workspace.ts';
import type { Dim, Index, Scalar } from '../kernels/scalar.ts';
import type { BufferId, NestKernel } from '../kernels/types.ts';
import type { KernelPass } from './types.ts';
import type { Target } from '../plan.ts';

/** Most accumulators that one result may need together: a head of the widest models. */
const MOST_TOGETHER = 256;
/** Beyond this many nodes an expression costs more to compile than its kernel saves. */
const MOST_NODES = 900;
/** Reduce axes of the parts being joined are numbered from here. */
const CLEAR = 3000;

export const epiloguePass: KernelPass = {
  name: 'epilogue',
  description: 'bias, activation, gate, residual, rotation, head norm and cache write move behind the product before them',
  run(schedule, { record, target, reads, alike, node }) {
    const w = new Workspace(schedule, reads);
    /** Refusals by nest: told at the end, for those that found no other place. */
    const refusals = new Map<number, Map<string, string>>();
    for (let start = 0; start < w.places; start++) {
      let place = start;
      for (;;) {
        const next = fuseNext(w, place, target, alike, (nest, reason) => {
          const host = w.at(place)?.origin.label ?? '';
          refusals.set(nest.id, (refusals.get(nest.id) ?? new Map<string, string>()).set(host, reason));
        });
        if (!next) break;
        record(true, next.nest.origin.label, `${operatorsOf(next.nest, node)} computed behind ${next.host.origin.label}${besides(w, next)}`);
        place = next.place;
      }
    }
    for (let place = 0; place < w.places; place++) {
      const nest = w.at(place);
      if (nest?.kind !== 'nest') continue;
      for (const [host, reason] of refusals.get(nest.id) ?? []) record(false, nest.origin.label, `${operatorsOf(nest, node)} not behind ${host}: ${reason}`);
    }
    return w.finish();
  },
};

/** What the kernel stores besides, because the host looks at it. */
function besides(w: Workspace, { host, nest }: Fused): string {
  const read = buffersRead(nest, true);
  const kept = host.stores.flatMap((s) => (read.has(s.buffer) ? keptBecause(w.buffer(s.buffer)) ?? [] : []));
  return kept.length === 0 ? '' : `, which stores its own result besides: ${[...new Set(kept)].join(', ')}`;
}

interface Fused { readonly place: Place; readonly host: Host; readonly nest: NestKernel }

/** Fuses one reader of one of the host's results. */
function fuseNext(w: Workspace, place: Place, target: Target, alike: Alike, refuse: (nest: NestKernel, reason: string) => void): Fused | undefined {
  const host = w.at(place);
  if (host?.kind !== 'linear' && host?.kind !== 'attention') return undefined;
  for (const store of host.stores) {
    if (w.buffer(store.buffer).role === 'state') continue;
    for (const reader of w.readers(store.buffer)) {
      const nest = w.at(reader);
      if (nest?.kind !== 'nest') continue;
      const joined = joinAlike(w, host, nest, alike);
      if (typeof joined === 'string') { refuse(nest, joined); continue; }
      const at = placeFor(w, place, reader, joined);
      if (typeof at === 'string') { refuse(nest, at); continue; }
      const kept = dropUnread(w, joined, reader);
      const limit = exceeds(kept, target);
      if (limit) { refuse(nest, limit); continue; }
      w.remove(place);
      w.remove(reader);
      w.replace(at, kept);
      return { place: at, host, nest };
    }
  }
  return undefined;
}

/** Stores of buffers that nobody reads any more go. */
function dropUnread(w: Workspace, host: Host, removed: Place): Host {
  const needed = (s: HostStore): boolean => w.buffer(s.buffer).role !== 'activation' || w.readers(s.buffer).some((r) => r !== removed);
  return host.kind === 'linear' ? { ...host, stores: host.stores.filter(needed) } : { ...host, stores: host.stores.filter(needed) };
}

/** Where the joined kernel can stand: the host's place if all that it reads is there, else the reader's if nobody needs the host's results before. */
function placeFor(w: Workspace, host: Place, reader: Place, joined: Host): Place | string {
  const waiting = [...buffersRead(joined, true)].filter((id) => !w.isReadyAt(id, host));
  if (waiting.length === 0) return host;
  const needed = buffersWritten(joined).some((id) => w.readers(id).some((r) => r > host && r < reader));
  if (!needed && waiting.every((id) => w.isReadyAt(id, reader))) return reader;
  return `${w.buffer(waiting[0] as BufferId).name} is computed later`;
}

/** `join`, worked out once for kernels that are alike: of other buffers than the kernels' own it asks nothing, of theirs only the shapes. */
function joinAlike(w: Workspace, host: Host, nest: NestKernel, alike: Alike): Host | string {
  const own: Host = { ...host, nodes: mergedNodes(host, nest) };
  return alike.kernel<Host, string>(own, (name) => {
    const kernels = [kernelKey(host, name), kernelKey(nest, name)];
    return ['join', ...kernels, ...host.stores.map((s) => w.buffer(s.buffer).shape.join(','))];
  }, () => join(w, host, nest));
}

/** The host with the nest's stores as further stores of its own; or why not. */
function join(w: Workspace, host: Host, nest: NestKernel): Host | string {
  const own = new Set(host.stores.map((s) => s.buffer));
  const candidates = new Map<string, Load>();
  for (const s of nest.stores) for (const l of loadsOf(s.value)) if (own.has(l.source)) candidates.set(scalarKey(l), l);
  let reason: string | undefined;
  for (const candidate of candidates.values()) {
    const store = host.stores.find((s) => s.buffer === candidate.source) as HostStore;
    const point = hostPoint(host, store, w.buffer(candidate.source), candidate.index, extentsOf(nest.space));
    if (!point) { reason ??= 'the product is stored in an order of its own'; continue; }
    const split = splitPoint(point, nest);
    if (split) return join(w, host, splitAxis(nest, split.axis, split.by));
    const inverse = invert(nest, host, point);
    if (typeof inverse === 'string') { reason ??= inverse; continue; }
    const result = attach(w, host, nest, inverse);
    if (typeof result !== 'string') return result;
    reason = result;
    break;
  }
  return reason ?? 'it does not read the product element by element';
}

function attach(w: Workspace, host: Host, nest: NestKernel, inverse: Inverse): Host | string {
  const space = storeSpace(host);
  const last = space.length - 1;
  // During rewriting the last axis counts from `from`, which makes its range exact.
  const inner = extentsOf([...space.slice(0, last), inverse.to - inverse.from]);
  const outer = extentsOf(space);
  const local = (n: number): Index | undefined => inverse.axes[n];
  const global = (n: number): Index | undefined => (n === last ? sub(axis(last), int(inverse.from)) : undefined);
  const reads = buffersRead(host, true);
  let granule = host.kind === 'linear' ? host.granule : 1;
  const added: HostStore[] = [];
  for (const s of nest.stores) {
    if (reads.has(s.buffer)) return 'it writes what the product reads';
    const value = throughHost(w, host, numberReduceAxes(s.value, CLEAR), nest);
    if (typeof value === 'string') return value;
    if (countNodes(value) > MOST_NODES) return `the joined expression would have ${countNodes(value)} nodes`;
    const localValue = substituteAxes(value, local, inner);
    const left = loadsOf(localValue).find((l) => host.stores.some((x) => x.buffer === l.source));
    if (left) return 'it also reads other results of the product';
    const together = granuleOf(host, localValue, inverse, inner);
    if (typeof together === 'string') return together;
    granule = lcm(granule, together);
    if (granule > MOST_TOGETHER * 2) return `${granule} accumulators would be needed together`;
    added.push({
      buffer: s.buffer,
      index: s.index.map((i) => simplifyIndex(substituteIndex(simplifyIndex(substituteIndex(i, local), inner), global), outer)),
      value: numberReduceAxes(substituteAxes(localValue, global, outer), space.length),
      ...(host.kind === 'linear' ? { from: inverse.from, to: inverse.to } : {}),
    });
  }
  const nodes = mergedNodes(host, nest);
  if (host.kind === 'attention') return { ...host, origin: host.origin, nodes, stores: [...host.stores, ...added] };
  const misaligned = [...host.stores, ...added].some((s) => usesOthers(host, s) && ((s.from ?? 0) * stepOf(host)) % granule !== 0);
  if (misaligned) return `its rows do not start at a multiple of ${granule}`;
  return { ...host, nodes, granule, stores: [...host.stores, ...(added as Host['stores'] & LinearStores)] };
}
type LinearStores = Extract<Host, { kind: 'linear' }>['stores'];

/** Loads of the host's results replaced by what the host stores there. Reduce axes of the parts must not meet: each part's are moved on. */
function throughHost(w: Workspace, host: Host, value: Scalar, nest: NestKernel): Scalar | string {
  let failed: string | undefined;
  let level = 0;
  const scope = scopeWithReduces(value, extentsOf(nest.space));
  const result = rewriteScalar(value, (part) => {
    if (part.op !== 'load') return undefined;
    const store: HostStore | undefined = host.stores.find((s) => s.buffer === part.source);
    if (!store) return undefined;
    const point = hostPoint(host, store, w.buffer(part.source), part.index, scope);
    if (!point) { failed = 'the product is stored in an order of its own'; return undefined; }
    level++;
    return substituteAxes(numberReduceAxes(store.value, CLEAR + 100 * level), (n) => point[n], scope);
  });
  return failed ?? result;
}

function scopeWithReduces(x: Scalar, extents: Extents): Extents {
  const bound = new Map<number, Dim | undefined>();
  visitScalar(x, (part) => {
    if (part.op === 'reduce') bound.set(part.axis, bound.has(part.axis) && bound.get(part.axis) !== part.extent ? undefined : part.extent);
  });
  return (n) => (bound.has(n) ? bound.get(n) : extents(n));
}

/** How many n one step of the last store axis covers. */
const stepOf = (host: Host): number => (host.kind === 'linear' && host.order === 'interleaved' ? host.weights.length : 1);

function usesOthers(host: Host, s: HostStore): boolean {
  const last = storeSpace(host).length - 1;
  let others = false;
  visitScalar(s.value, (part) => { if (part.op === 'accumulator' && !sameIndex(part.index[last] as Index, axis(last))) others = true; });
  return others;
}

/**
 * The smallest block of accumulators that every element of the value stays within; or why there is none. The value's last loop
 * axis counts from `inverse.from`.
 */
function granuleOf(host: Host, value: Scalar, inverse: Inverse, extents: Extents): number | string {
  const last = storeSpace(host).length - 1;
  const step = stepOf(host);
  const uses: { readonly index: readonly Index[]; readonly reduces: readonly { readonly axis: number; readonly extent: Dim }[] }[] = [];
  visitScalar(value, (part, reduces) => { if (part.op === 'accumulator') uses.push({ index: part.index, reduces }); });
  for (const { index } of uses) {
    const strays = index.some((i, n) => n < last && !sameIndex(i, simplifyIndex(axis(n), extents)));
    if (strays) return 'it reads results of other rows of the product';
  }
  const here = simplifyIndex(mul(add(axis(last), int(inverse.from)), step), extents);
  const elsewhere = uses.filter((u) => !sameIndex(u.index[last] as Index, here));
  if (elsewhere.length === 0) return step;
  if (host.kind === 'attention') return 'it needs mixed values of other elements';
  const total = host.weights.reduce((n, x) => n + x.rows, 0);
  const length = inverse.to - inverse.from;
  for (const size of blockSizes(length, elsewhere)) {
    const granule = size * step;
    const aligned = (inverse.from * step) % granule === 0;
    const block = last + 5000;
    const inBlock = last + 5001;
    const shares = elsewhere.every(({ index, reduces }) => {
      const scope: Extents = (n) => (n === block ? Math.ceil(length / size) : n === inBlock ? size : (reduces.find((r) => r.axis === n)?.extent ?? extents(n)));
      const moved = substituteIndex(index[last] as Index, (n) => (n === last ? withinBlock(block, size, inBlock) : undefined));
      const found = simplifyIndex(blockOf(sub(moved, int(inverse.from * step)), granule), scope);
      return sameIndex(found, simplifyIndex(axis(block), scope));
    });
    if (!shares) continue;
    if (!aligned) return `its rows start at ${inverse.from * step}, which is no multiple of the ${granule} that belong together`;
    if (granule * 2 > total && hasReduce(value)) break;
    return granule;
  }
  return hasReduce(value) ? 'it needs a whole row of the product' : 'its elements need accumulators that lie far apart';
}

/** Blocks worth trying, small ones first: what the indices divide by, and what reduces run over, where the length comes out even. */
function blockSizes(length: number, uses: readonly { readonly index: readonly Index[]; readonly reduces: readonly { readonly extent: Dim }[] }[]): number[] {
  const sizes = new Set([1]);
  for (const { index, reduces } of uses) {
    for (const i of index) visitIndex(i, (part) => { if (part.op === 'mod' || part.op === 'div') sizes.add(part.by); });
    for (const { extent } of reduces) if (typeof extent === 'number') sizes.add(extent);
  }
  return [...sizes].filter((n) => n <= MOST_TOGETHER && length % n === 0).sort((x, y) => x - y);
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
const lcm = (a: number, b: number): number => (a / gcd(a, b)) * b;
