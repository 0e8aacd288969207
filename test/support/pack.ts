/** A packer in memory of its own. */
import { defineAnnounce, defineBarrier, defineServe } from '../../runtime/cpu/barrier.ts';
import { definePack } from '../../runtime/cpu/emit/pack.ts';
import type { Format } from '../../runtime/cpu/layout.ts';
import { Packer } from '../../runtime/cpu/packer.ts';
import { ModuleBuilder } from '../../runtime/cpu/wasm/module.ts';
import { startTeam, type Team } from '../../runtime/cpu/workers.ts';

export interface PackerInMemory {
  readonly packer: Packer;
  readonly memory: WebAssembly.Memory;
  /** The first byte of memory beyond staging memory. */
  readonly first: number;
  /** To be disposed of where there is more than one thread. */
  readonly team: Team;
}

/** Packs by `bytes` bytes of staging memory. */
export async function packerFor(formats: readonly Format[], bytes: number, pages: number, threads = 1): Promise<PackerInMemory> {
  const builder = new ModuleBuilder();
  const barrier = defineBarrier(builder, threads);
  const pack = definePack(builder, formats, barrier);
  builder.export('pack', pack);
  builder.export('serve', defineServe(builder, [barrier, pack]));
  builder.export('announce', defineAnnounce(builder, threads));
  const descriptor = { initial: pages, maximum: pages, shared: true };
  const memory = new WebAssembly.Memory(descriptor);
  const module = await WebAssembly.compile(builder.finish(descriptor));
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  const packer = new Packer(memory, instance, { address: 1024, bytes }, formats);
  const team = await startTeam(threads, module, memory);
  packer.threads = threads;
  return { packer, memory, first: 1024 + bytes, team };
}
