/** The control block at the start of memory: byte addresses of what threads and host exchange. The words that threads spin on have cache lines of their own. */
export const control = {
  /** Sizes of the step: `dimAddress` in emit/kernel.ts. */
  dims: 64,
  /** Counts steps: a worker waits for it to change. */
  step: 128,
  /** 1 when the workers are to end. */
  stop: 132,
  /** Threads that have come to the present barrier. */
  arrived: 192,
  /** Counts barriers. */
  generation: 256,
  /** Threads that sleep at the present barrier. */
  sleepers: 320,
  /** 1 once a thread has failed: nobody waits for it any more. */
  failed: 384,
  /** Most turns of the waiting loop before a thread goes to sleep. */
  spins: 388,
  /** What is announced: one of `jobs`. */
  job: 392,
  /** What is packed: form, addresses of source and target, blocks, columns, bytes of a block in source and target, threads. See emit/pack.ts. */
  pack: 400,
  /** A cache line for each thread: the turns that it takes at present, and a count of its waits. */
  patience: 512,
  end: 1024,
} as const;

/** What the team of threads does together: a step of the model, packing weights, a step whose kernels are timed. */
export const jobs = { step: 0, pack: 1, profile: 2 } as const;
