/** Models in several GGUF files, NAME-00001-of-00003.gguf and so on: the first holds the metadata, each some of the tensors. */
import path from 'node:path';
import type { Diagnostic } from '../../../compiler/diagnostics.ts';
import { containedPath } from '../files.ts';
import { JoinedSource } from '../joined.ts';
import { weightError, weightProblem } from '../problem.ts';
import { openGgufFile, type GgufSource } from './file.ts';
import type { GgufTensor } from './head.ts';
import type { Metadata } from './metadata.ts';

/** As many as the numbers in their names allow. */
const maxFiles = 99_999;
const namePattern = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/i;

class SplitSource extends JoinedSource implements GgufSource {
  declare readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly metadata: Metadata;
  constructor(parts: readonly GgufSource[], first: GgufSource) {
    super(parts);
    this.metadata = first.metadata.withShapes(new Map([...this.tensors].map(([name, { shape }]) => [name, shape])));
  }
}

const wholeNumber = (metadata: Metadata, key: string): number | undefined => {
  const value = metadata.get(key);
  return typeof value === 'number' ? value : undefined;
};

/** Names of all files of the model whose first is `file`. Throws where `file` is not the first, or not called so. */
function filesOf(file: string, { metadata }: GgufSource, count: number): string[] {
  const wrong = (message: string, hint?: string): never => {
    throw weightError(weightProblem('E739', file, message, { column: metadata.columnOf('split.count'), ...(hint === undefined ? {} : { hint }) }));
  };
  const [, stem = '', number, of, ending = ''] = namePattern.exec(path.basename(file)) ?? [];
  const name = (index: number): string => `${stem}-${String(index + 1).padStart(5, '0')}-of-${String(count).padStart(5, '0')}${ending}`;
  if (count > maxFiles) return wrong(`its model would be split into ${count} files, at most ${maxFiles} are read`);
  if (number === undefined || Number(of) !== count) {
    return wrong(`it is one of ${count} files of a split model, but its name does not say so`, `the files are called NAME-00001-of-${String(count).padStart(5, '0')}.gguf and so on`);
  }
  const at = wholeNumber(metadata, 'split.no') ?? 0;
  if (at !== Number(number) - 1) return wrong(`its name says that it is file ${Number(number)} of ${count}, but its metadata that it is file ${at + 1}`);
  if (at !== 0) return wrong(`it is file ${at + 1} of ${count} of a split model`, `give the first, ${name(0)}`);
  return Array.from({ length: count }, (_, index) => name(index));
}

/** What does not fit between the parts, opened in order. */
function problemsBetween(parts: readonly GgufSource[], first: GgufSource): Diagnostic[] {
  const problems: Diagnostic[] = [];
  const count = wholeNumber(first.metadata, 'split.count');
  const home = new Map<string, string>();
  for (const [index, { metadata, tensors }] of parts.entries()) {
    const found = [wholeNumber(metadata, 'split.no'), wholeNumber(metadata, 'split.count')];
    if (index > 0 && (found[0] !== index || found[1] !== count)) {
      problems.push(weightProblem('E739', metadata.file, `it should be file ${index + 1} of ${count}, but its metadata says ${found[0] === undefined ? 'nothing' : `file ${found[0] + 1}`} of ${found[1] ?? 'nothing'}`));
    }
    for (const name of tensors.keys()) {
      const other = home.get(name);
      if (other !== undefined) problems.push(weightProblem('E725', metadata.file, `is in ${other} too`, { tensor: name }));
      home.set(name, path.basename(metadata.file));
    }
  }
  const all = wholeNumber(first.metadata, 'split.tensors.count');
  if (all !== undefined && all !== home.size && problems.length === 0) {
    problems.push(weightProblem('E739', first.metadata.file, `its model should have ${all} tensors, but its files hold ${home.size}`, { column: first.metadata.columnOf('split.tensors.count') }));
  }
  return problems.slice(0, 50);
}

/** Opens a model in a GGUF file, or in several of which `file` is the first. Throws PeelError (exit codes 11 and 14). */
export async function openGguf(file: string): Promise<GgufSource> {
  const first = await openGgufFile(file);
  const parts: GgufSource[] = [first];
  try {
    const count = wholeNumber(first.metadata, 'split.count') ?? 1;
    if (count <= 1) return first;
    const folder = path.dirname(file);
    for (const name of filesOf(file, first, count).slice(1)) {
      const contained = await containedPath(folder, name);
      if ('problem' in contained) throw weightError(weightProblem('E731', path.join(folder, name), contained.problem));
      parts.push(await openGgufFile(contained.path));
    }
    const problems = problemsBetween(parts, first);
    if (problems.length > 0) throw weightError(...problems);
    return new SplitSource(parts, first);
  } catch (error) {
    await Promise.all(parts.map((part) => part.dispose()));
    throw error;
  }
}

/** The metadata alone, with the shapes of all tensors. Throws PeelError (exit codes 11 and 14) with every problem of the file. */
export async function readMetadata(file: string): Promise<Metadata> {
  const source = await openGguf(file);
  await source.dispose();
  return source.metadata;
}
