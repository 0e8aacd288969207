/**
 * Meeting points of threads, in memory. A thread that comes early spins for some tens of microseconds (a round trip of 0.2 us)
 * and then sleeps (10 to 70 us): pure spinning would starve the others where there are more threads than cores. Where other
 * processes want the cores, spinning is in vain as well; so each thread halves its patience after a wait that ended in sleep, and
 * has all of it again after one that did not, or for a try at every 16th wait.
 */
import { control } from './control.ts';
import type { FunctionBuilder, FunctionHandle } from './wasm/function.ts';
import type { ModuleBuilder } from './wasm/module.ts';
import { add, atomic, choose, i32, i64, load, mul, op, type I32 } from './wasm/value.ts';

/** Sleepers look around this often, so that the failure of another thread does not keep them for ever. */
const napNanoseconds = 200_000_000n;

/** Least patience, in turns of the loop. */
const leastPatience = 500;
const patienceBytes = 64;

/** Waits until the word at `address` differs from `old`; traps where a thread has failed. */
function awaitChange(f: FunctionBuilder, thread: I32, address: number, old: I32, sleepers: number | undefined): void {
  const unchanged = (): I32 => op('i32.eq', load('i32.atomic.load', i32(0), address), old);
  const state = f.let(add(i32(control.patience), mul(thread, i32(patienceBytes))));
  const waits = f.let(add(load('i32.load', state, 4), i32(1)));
  f.store('i32.store', state, waits, 4);
  const most = f.let(load('i32.load', i32(0), control.spins));
  const known = f.let(load('i32.load', state));
  const patience = f.let(choose(op('i32.and', waits, i32(15)), choose(op('i32.lt_s', known, most), known, most), most));
  const left = f.let<'i32'>(patience);
  f.store('i32.store', state, most);
  f.block((done) => {
    f.loop((spin) => {
      f.branchIf(done, op('i32.eqz', unchanged()));
      f.set(left, add(left, i32(-1)));
      f.branchIf(spin, op('i32.gt_s', left, i32(0)));
    });
    const less = f.let(op('i32.shr_u', patience, i32(1)));
    f.store('i32.store', state, choose(op('i32.gt_s', less, i32(leastPatience)), less, i32(leastPatience)));
    if (sleepers !== undefined) f.drop(atomic('i32.atomic.rmw.add', i32(0), sleepers, i32(1)));
    f.block((awake) => {
      f.loop((nap) => {
        f.if(load('i32.atomic.load', i32(0), control.failed), () => f.unreachable());
        f.branchIf(awake, op('i32.eqz', unchanged()));
        f.drop(atomic('memory.atomic.wait32', i32(0), address, old, i64(napNanoseconds)));
        f.branch(nap);
      });
    });
    if (sleepers !== undefined) f.drop(atomic('i32.atomic.rmw.sub', i32(0), sleepers, i32(1)));
  });
}

/** A function (thread) that returns once all threads have called it. */
export function defineBarrier(module: ModuleBuilder, threads: number): FunctionHandle<readonly ['i32'], undefined> {
  const f = module.function('barrier', ['i32'], undefined);
  const builder = f as unknown as FunctionBuilder;
  if (threads === 1) return f.handle;
  const generation = f.let(load('i32.atomic.load', i32(0), control.generation));
  const last = op('i32.eq', atomic('i32.atomic.rmw.add', i32(0), control.arrived, i32(1)), i32(threads - 1));
  f.if(last, () => {
    f.store('i32.atomic.store', i32(0), i32(0), control.arrived);
    f.store('i32.atomic.store', i32(0), add(generation, i32(1)), control.generation);
    f.if(load('i32.atomic.load', i32(0), control.sleepers), () => {
      f.drop(atomic('memory.atomic.notify', i32(0), control.generation, i32(threads)));
    });
  }, () => awaitChange(builder, f.params[0], control.generation, generation, control.sleepers));
  return f.handle;
}

/** What a worker runs: whenever the host announces something, the one of `jobs` that it names; returns when it is told to stop. */
export function defineServe(module: ModuleBuilder, jobs: readonly FunctionHandle<readonly ['i32'], undefined>[]): FunctionHandle<readonly ['i32'], undefined> {
  const f = module.function('serve', ['i32'], undefined);
  const builder = f as unknown as FunctionBuilder;
  const seen = f.let(i32(0));
  f.block((end) => {
    f.loop((next) => {
      awaitChange(builder, f.params[0], control.step, seen, undefined);
      f.set(seen, load('i32.atomic.load', i32(0), control.step));
      f.branchIf(end, load('i32.atomic.load', i32(0), control.stop));
      const job = f.let(load('i32.load', i32(0), control.job));
      jobs.forEach((run, number) => f.if(op('i32.eq', job, i32(number)), () => f.run(run, f.params[0])));
      f.branch(next);
    });
  });
  return f.handle;
}

/** Announces a step (or the end) to the workers, from the host's thread. */
export function defineAnnounce(module: ModuleBuilder, threads: number): FunctionHandle<readonly [], undefined> {
  const f = module.function('announce', [], undefined);
  f.drop(atomic('i32.atomic.rmw.add', i32(0), control.step, i32(1)));
  f.drop(atomic('memory.atomic.notify', i32(0), control.step, i32(threads)));
  return f.handle;
}
