/** Stable text of expressions, kernels and schedules: `%x[a0, a1*64 + a2] * rsqrt(sum(a3 < 512: ...) / 512 + 1e-5)`. */
import type { Buffer, BufferId, HeadView, Kernel, Schedule, Store } from './types.ts';
import type { BinaryFunction, Index, Scalar, Shape } from './scalar.ts';

export interface Names {
  readonly axis: (n: number) => string;
  readonly source: (n: number) => string;
}
export const plainNames: Names = { axis: (n) => `a${n}`, source: (n) => `%${n}` };

/** Binding strength: 1 sums, 2 products, 3 everything else. */
export function printIndex(index: Index, names: Names = plainNames, within = 0): string {
  const wrap = (level: number, text: string): string => (level < within ? `(${text})` : text);
  switch (index.op) {
    case 'int': return String(index.value);
    case 'axis': return names.axis(index.axis);
    case 'dim': return index.dim;
    case 'add': return wrap(1, `${printIndex(index.a, names, 1)} + ${printIndex(index.b, names, 1)}`);
    case 'sub': return wrap(1, `${printIndex(index.a, names, 1)} - ${printIndex(index.b, names, 2)}`);
    case 'mul': return wrap(2, `${printIndex(index.a, names, 2)}*${index.by}`);
    case 'div': return wrap(2, `${printIndex(index.a, names, 3)}/${index.by}`);
    case 'mod': return wrap(2, `${printIndex(index.a, names, 3)}%${index.by}`);
    case 'min': case 'max': return `${index.op}(${printIndex(index.a, names)}, ${printIndex(index.b, names)})`;
    case 'at': return `${names.source(index.source)}[${index.index.map((i) => printIndex(i, names)).join(', ')}]`;
    default: return index satisfies never;
  }
}

const infix: Partial<Record<BinaryFunction, readonly [string, number]>> = {
  add: ['+', 2], sub: ['-', 2], mul: ['*', 3], div: ['/', 3],
  lt: ['<', 1], le: ['<=', 1], gt: ['>', 1], ge: ['>=', 1], eq: ['==', 1], ne: ['!=', 1],
};

export function printScalar(x: Scalar, names: Names = plainNames, within = 0): string {
  const list = (items: readonly Index[]): string => items.map((i) => printIndex(i, names)).join(', ');
  switch (x.op) {
    case 'const': return String(x.value);
    case 'arg': return `$${x.arg}`;
    case 'load': return `${names.source(x.source)}[${list(x.index)}]`;
    case 'accumulator': return `acc[${list(x.index)}]`;
    case 'index': return `f32(${printIndex(x.index, names)})`;
    case 'unary': return `${x.fn}(${printScalar(x.x, names)})`;
    case 'select': return `select(${printScalar(x.condition, names)}, ${printScalar(x.then, names)}, ${printScalar(x.else, names)})`;
    case 'reduce': return `${x.fn}(${names.axis(x.axis)} < ${x.extent}: ${printScalar(x.body, names)})`;
    case 'binary': {
      const sign = infix[x.fn];
      if (!sign) return `${x.fn}(${printScalar(x.a, names)}, ${printScalar(x.b, names)})`;
      const [symbol, level] = sign;
      const text = `${printScalar(x.a, names, level)} ${symbol} ${printScalar(x.b, names, level + 1)}`;
      return level < within ? `(${text})` : text;
    }
    default: return x satisfies never;
  }
}

export const printShape = (shape: Shape): string => `[${shape.join(', ')}]`;
export type BufferNames = (id: BufferId) => string;

export function printKernel(kernel: Kernel, buffer: BufferNames): string {
  const letters = axisLetters(kernel);
  const names: Names = {
    axis: (n) => letters[n] ?? `r${n - letters.length}`,
    source: (n) => buffer(kernel.sources[n] as BufferId),
  };
  const store = (s: Store, range = ''): string =>
    `  ${buffer(s.buffer)}[${s.index.map((i) => printIndex(i, names)).join(', ')}]${range} = ${printScalar(s.value, names)}`;
  const head = `#${kernel.id} ${kernel.kind} ${kernel.origin.label}`;
  switch (kernel.kind) {
    case 'nest': return [`${head} over ${printShape(kernel.space)}`, ...kernel.stores.map((s) => store(s))].join('\n');
    case 'linear': {
      const weights = kernel.weights.map((w) => `${buffer(w.buffer)}:${w.rows}`).join(kernel.order === 'stacked' ? ' ; ' : ' | ');
      const inputNames: Names = { ...names, axis: (n) => (n === kernel.rowShape.length ? 'k' : n < kernel.rowShape.length ? names.axis(n) : `r${n - letters.length}`) };
      const choice = kernel.choice ? ` choice ${names.source(kernel.choice.source)}[${kernel.choice.index.map((i) => printIndex(i, names)).join(', ')}]` : '';
      return [
        `${head} rows ${printShape(kernel.rowShape)} k ${kernel.k} group ${kernel.group}${choice} weights ${weights} granule ${kernel.granule}`,
        `  input = ${printScalar(kernel.input, inputNames)}`,
        ...kernel.stores.map((s) => store(s, ` for ${names.axis(kernel.rowShape.length)} in ${s.from}..${s.to}`)),
      ].join('\n');
    }
    case 'attention': {
      const view = (v: HeadView): string => `${buffer(v.buffer)}+${v.offset} row ${v.rowStride} head ${v.headStride}`;
      const window = kernel.mask.window ? ` ${kernel.mask.window.kind} ${kernel.mask.window.size}` : '';
      const scoreNames: Names = { ...names, axis: (n) => (n === 2 ? 's' : names.axis(n)) };
      return [
        `${head} heads ${kernel.heads}/${kernel.kvHeads} dims ${kernel.headDim}/${kernel.valueDim} keys ${kernel.keys} mask ${kernel.mask.causal ? 'causal' : 'none'}${window}`
          + (kernel.sinks === undefined ? '' : ` sinks ${buffer(kernel.sinks)}`),
        `  q ${view(kernel.query)}; k ${view(kernel.key)}; v ${view(kernel.value)}`,
        `  score = ${printScalar(kernel.score, scoreNames)}`,
        ...kernel.stores.map((s) => store(s)),
      ].join('\n');
    }
    case 'topk':
      return `${head} rows ${printShape(kernel.rowShape)} k ${kernel.k} of ${kernel.n}\n  ${buffer(kernel.target)} = ${printScalar(kernel.value, names)}`;
    case 'argmax': return `${head} ${buffer(kernel.target)} = argmax ${buffer(kernel.input)}[R, ${kernel.n}]`;
    default: return kernel satisfies never;
  }
}

function axisLetters(kernel: Kernel): readonly string[] {
  switch (kernel.kind) {
    case 'nest': return ['t', 'i', 'j', 'l', 'm', 'o', 'p', 'q'].slice(0, kernel.space.length);
    case 'linear': return [...['t', 'h', 'g'].slice(0, kernel.rowShape.length), 'n'];
    case 'attention': return ['t', 'h', 'j'];
    case 'topk': return [...['t', 'h', 'g'].slice(0, kernel.rowShape.length), 'n'];
    case 'argmax': return [];
    default: return kernel satisfies never;
  }
}

export const printBuffer = (b: Buffer): string => `%${b.id} ${b.role} ${b.name}: ${b.format ?? b.dtype}${printShape(b.shape)}`;

/** Names such as `%12.layers.0.attention.q` that are unique within the schedule. */
export function bufferNames(buffers: readonly Buffer[]): BufferNames {
  const names = new Map(buffers.map((b) => [b.id, b.role === 'activation' ? `%${b.id}` : `%${b.name}`]));
  return (id) => names.get(id) ?? `%${id}?`;
}

export function printSchedule(schedule: Schedule): string {
  const names = bufferNames(schedule.buffers);
  return [
    `schedule ${schedule.name}`,
    ...schedule.buffers.map(printBuffer),
    ...schedule.kernels.map((k) => printKernel(k, names)),
    ...schedule.outputs.map((o) => `output ${o.name} = ${names(o.buffer)}`),
  ].join('\n') + '\n';
}
