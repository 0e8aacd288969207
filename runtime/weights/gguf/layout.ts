/** Where tensors lie in a GGUF file, and whether they can: sizes, types, alignment, holes and overlaps. */
import type { Diagnostic } from '../../../compiler/diagnostics.ts';
import { weightProblem } from '../problem.ts';
import type { GgufTensor, TensorEntry } from './head.ts';
import { ggmlBlock, ggmlType, unreadType } from './types.ts';

interface Layout {
  readonly file: string;
  readonly fileBytes: number;
  /** Byte behind the head; data begins at the next multiple of `alignment`. */
  readonly headEnd: number;
  readonly alignment: number;
  readonly add: (problem: Diagnostic) => void;
  /** Whether all tensors are here, so that holes between them mean something. */
  readonly whole: boolean;
}

const up = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;

/** The tensors that can be read. Problems are reported for all others. */
export function placeTensors(entries: readonly TensorEntry[], layout: Layout): GgufTensor[] {
  const { file, fileBytes, headEnd, alignment } = layout;
  const dataStart = up(headEnd, alignment);
  let problems = 0;
  const add = (problem: Diagnostic): void => { problems++; layout.add(problem); };
  const unread = new Map<number, TensorEntry[]>();
  const tensors = entries.flatMap((entry): GgufTensor[] => {
    const where = { tensor: entry.name, column: entry.at + 1 };
    const spelled = [...entry.sizes].reverse().join(', ');
    const type = ggmlType(entry.type);
    if (type === undefined) {
      unread.set(entry.type, [...(unread.get(entry.type) ?? []), entry]);
      return [];
    }
    if (entry.sizes.some((size) => size === 0n)) {
      add(weightProblem('E727', file, `[${spelled}] has no elements`, where));
      return [];
    }
    const { elements, bytes: blockBytes } = ggmlBlock(type);
    const row = entry.sizes[0] ?? 0n;
    if (row % BigInt(elements) !== 0n) {
      add(weightProblem('E727', file, `its rows have ${row} elements, which is no multiple of the ${elements} in a block of ${type}`, where));
      return [];
    }
    const bytes = (entry.sizes.reduce((a, b) => a * b, 1n) / BigInt(elements)) * BigInt(blockBytes);
    if (entry.offset % BigInt(alignment) !== 0n) {
      add(weightProblem('E728', file, `its data begins at offset ${entry.offset}, which is no multiple of the alignment ${alignment}`, where));
      return [];
    }
    const end = BigInt(dataStart) + entry.offset + bytes;
    if (end > BigInt(fileBytes)) {
      add(weightProblem('E729', file, `${type} [${spelled}] ends at byte ${end} but the file has ${fileBytes}`, { ...where, hint: 'the file is truncated' }));
      return [];
    }
    return [{ name: entry.name, dtype: type, shape: entry.sizes.map(Number).reverse(), file, begin: dataStart + Number(entry.offset), end: Number(end) }];
  });
  for (const [number, [first, ...others]] of unread) {
    if (!first) continue;
    const name = unreadType(number);
    const more = others.length > 0 ? `, like ${others.length} more` : '';
    add(weightProblem('E726', file, `is of type ${name === undefined ? `${number}, which is not known` : `${name}, which is not supported`}${more}`, {
      tensor: first.name, column: first.at + 1, ...(name === undefined ? {} : { hint: 'take a file with Q8_0, Q6_K, Q5_K, Q4_K or Q4_0' }),
    }));
  }
  if (problems === 0 && layout.whole) checkGaps(tensors, dataStart, layout);
  return tensors;
}

/** Each tensor begins at the first aligned byte behind the one before, and behind the last there is only padding. */
function checkGaps(tensors: readonly GgufTensor[], dataStart: number, { file, fileBytes, alignment, add }: Layout): void {
  let reached = dataStart;
  let previous = '';
  for (const { name, begin, end } of [...tensors].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    const next = up(reached, alignment);
    if (begin < reached) add(weightProblem('E728', file, `overlaps tensor '${previous}' by ${reached - begin} bytes`, { tensor: name }));
    else if (begin > next) add(weightProblem('E728', file, `${begin - next} bytes before it belong to no tensor`, { tensor: name }));
    if (end > reached) { reached = end; previous = name; }
  }
  if (fileBytes > up(reached, alignment)) add(weightProblem('E729', file, `${fileBytes - reached} bytes behind the last tensor belong to none`));
}
