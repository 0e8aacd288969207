/** Takes the time when a profiled step tells that a kernel is done. */
export class KernelClock {
  /** Milliseconds before each kernel, and after the last. */
  private readonly marks: Float64Array;

  constructor(kernels: number) {
    this.marks = new Float64Array(kernels + 1);
  }

  /** Called by the program, from the host's thread. */
  readonly mark = (position: number): void => { this.marks[position] = performance.now(); };

  /** Milliseconds of each kernel of the last profiled step. */
  times(): Float64Array {
    return this.marks.slice(1).map((after, position) => after - (this.marks[position] ?? NaN));
  }
}
