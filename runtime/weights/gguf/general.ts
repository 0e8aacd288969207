/** The metadata that the format itself gives a meaning: `general.*` and `split.*`. */
import type { Diagnostic } from '../../../compiler/diagnostics.ts';
import { weightProblem } from '../problem.ts';
import type { GgufTensor } from './head.ts';
import type { Entry, Metadata } from './metadata.ts';
import { ggmlBlock } from './types.ts';

const maxAlignment = 1 << 20;
/** ggml's block layouts have not changed since this version of them. */
const quantisationVersion = 2;

type Add = (problem: Diagnostic) => void;

/** Where tensors begin: multiples of this many bytes. Undefined where it is wrong, which has been reported. */
export function readAlignment(entries: ReadonlyMap<string, Entry>, file: string, add: Add): number | undefined {
  const entry = entries.get('general.alignment');
  if (!entry) return 32;
  const wrong = (message: string): undefined => add(weightProblem('E738', file, `general.alignment ${message}`, { column: entry.at + 1 })) as undefined;
  if (entry.type !== 'uint32') return wrong(`must be an uint32, but is ${entry.type}`);
  const value = Number(entry.value);
  if (value < 1 || value > maxAlignment || (value & (value - 1)) !== 0) return wrong(`must be a power of two up to ${maxAlignment}, but is ${value}`);
  return value;
}

const integers = ['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64'];
const text = ['string'];
const texts = ['array of string'];
/** Types of keys below `general.`. */
const general: Readonly<Record<string, readonly string[]>> = {
  architecture: text, type: text, name: text, author: text, organization: text, finetune: text, basename: text, description: text, size_label: text,
  quantization_version: integers, file_type: integers, tags: texts, languages: texts,
};
const split: Readonly<Record<string, readonly string[]>> = { 'split.no': integers, 'split.count': integers, 'split.tensors.count': integers };

export function checkGeneral(metadata: Metadata, tensors: readonly GgufTensor[], add: Add): void {
  for (const key of metadata.keys()) {
    const wanted = key.startsWith('general.') ? own(general, key.slice('general.'.length)) : own(split, key);
    const type = metadata.typeOf(key) ?? '';
    if (!wanted || wanted.includes(type)) continue;
    const kind = wanted === text ? 'a text' : wanted === texts ? 'an array of texts' : 'a whole number';
    add(weightProblem('E738', metadata.file, `${key} must be ${kind}, but is ${type}`, { column: metadata.columnOf(key) }));
  }
  const version = metadata.get('general.quantization_version');
  if (typeof version !== 'number' || version === quantisationVersion) return;
  const quantised = tensors.find((tensor) => ggmlBlock(tensor.dtype).elements > 1);
  if (quantised) {
    add(weightProblem('E737', metadata.file, `its tensors are quantised by version ${version} of the block layouts, only version ${quantisationVersion} is read`,
      { column: metadata.columnOf('general.quantization_version') }));
  }
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
