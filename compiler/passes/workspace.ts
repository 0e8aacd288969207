/**
 * A schedule under rewriting: open kernels at fixed places (a removed kernel leaves a hole), with readers and writers of every
 * buffer kept up to date, so that a pass costs time in proportion to what it changes.
 */
import { InternalError } from '../diagnostics.ts';
import { buffersRead, buffersWritten } from '../kernels/sources.ts';
import { isIdentity } from '../kernels/verify.ts';
import type { Buffer, BufferId, Kernel, NestKernel, Schedule, Store } from '../kernels/types.ts';

export type Place = number;
export type KernelReads = WeakMap<Kernel, ReadonlySet<BufferId>>;

export class Workspace {
  private readonly kernels: (Kernel | undefined)[];
  private readonly readersOf = new Map<BufferId, Set<Place>>();
  private readonly writersOf = new Map<BufferId, Set<Place>>();
  private readonly buffers: Map<BufferId, Buffer>;
  /** Kernels to come right after a place. */
  private readonly inserted = new Map<Place, Kernel[]>();
  private nextBuffer: number;

  /** `reads`: what kernels read, kept between passes for kernels that stay as they are. */
  constructor(private readonly schedule: Schedule, private readonly reads: KernelReads = new WeakMap()) {
    this.kernels = [...schedule.kernels];
    this.buffers = new Map(schedule.buffers.map((b) => [b.id, b]));
    this.nextBuffer = schedule.buffers.reduce((n, b) => Math.max(n, b.id + 1), 0);
    this.kernels.forEach((k, at) => { if (k) this.enter(k, at); });
  }

  get places(): number { return this.kernels.length; }
  at(place: Place): Kernel | undefined { return this.kernels[place]; }

  buffer(id: BufferId): Buffer {
    const b = this.buffers.get(id);
    if (!b) throw new InternalError('passes', `unknown buffer ${id}`);
    return b;
  }
  newBuffer(b: Omit<Buffer, 'id'>): Buffer {
    const made = { id: this.nextBuffer++, ...b };
    this.buffers.set(made.id, made);
    return made;
  }

  /** Places of kernels that read one of the buffers, in order. */
  readers(...ids: readonly BufferId[]): Place[] { return [...new Set(ids.flatMap((id) => [...(this.readersOf.get(id) ?? [])]))].sort((a, b) => a - b); }
  writers(id: BufferId): Place[] { return [...(this.writersOf.get(id) ?? [])].sort((a, b) => a - b); }
  /** The only kernel that writes the buffer. */
  writer(id: BufferId): { readonly place: Place; readonly kernel: Kernel } | undefined {
    const [place, ...more] = this.writers(id);
    const kernel = place === undefined ? undefined : this.kernels[place];
    return place !== undefined && kernel && more.length === 0 ? { place, kernel } : undefined;
  }

  replace(place: Place, kernel: Kernel): void {
    this.remove(place);
    this.kernels[place] = kernel;
    this.enter(kernel, place);
  }
  remove(place: Place): void {
    const old = this.kernels[place];
    if (!old) return;
    for (const id of this.readsOf(old)) this.readersOf.get(id)?.delete(place);
    for (const id of buffersWritten(old)) this.writersOf.get(id)?.delete(place);
    this.kernels[place] = undefined;
  }
  /** Adds a kernel right after a place. The pass itself does not see it again. */
  insertAfter(place: Place, kernel: Kernel): void {
    this.inserted.set(place, [...(this.inserted.get(place) ?? []), kernel]);
  }

  /** Whether everything that the kernels read of this buffer has been written before `place`. */
  isReadyAt(id: BufferId, place: Place): boolean {
    return this.writers(id).every((w) => w < place);
  }

  finish(): Schedule {
    const kernels: Kernel[] = [];
    let nextId = this.schedule.kernels.reduce((n, k) => Math.max(n, k.id + 1), 0);
    this.kernels.forEach((k, at) => {
      if (k) kernels.push(k);
      for (const more of this.inserted.get(at) ?? []) kernels.push({ ...more, id: nextId++ });
    });
    return { ...this.schedule, buffers: [...this.buffers.values()], kernels };
  }

  private readsOf(kernel: Kernel): ReadonlySet<BufferId> {
    const known = this.reads.get(kernel) ?? buffersRead(kernel, true);
    this.reads.set(kernel, known);
    return known;
  }

  private enter(kernel: Kernel, place: Place): void {
    const note = (map: Map<BufferId, Set<Place>>, id: BufferId): void => {
      const places = map.get(id) ?? new Set();
      places.add(place);
      map.set(id, places);
    };
    for (const id of this.readsOf(kernel)) note(this.readersOf, id);
    for (const id of buffersWritten(kernel)) note(this.writersOf, id);
  }
}

/** A nest whose single store fills a buffer that lives within the step and nobody else writes: its value may stand for any load of it. */
export function producerOf(w: Workspace, place: Place): { readonly kernel: NestKernel; readonly store: Store; readonly buffer: Buffer } | undefined {
  const kernel = w.at(place);
  if (kernel?.kind !== 'nest') return undefined;
  const [store, ...more] = kernel.stores;
  if (!store || more.length > 0) return undefined;
  const buffer = w.buffer(store.buffer);
  if (buffer.role !== 'activation' || w.writers(buffer.id).length !== 1) return undefined;
  const sameShape = buffer.shape.length === kernel.space.length && buffer.shape.every((d, n) => d === kernel.space[n]);
  return sameShape && isIdentity(store.index, kernel.space) ? { kernel, store, buffer } : undefined;
}

/** Both kernels' graph nodes, each once, in order. */
export const mergedNodes = (...kernels: readonly Kernel[]): number[] => [...new Set(kernels.flatMap((k) => k.nodes))].sort((a, b) => a - b);
