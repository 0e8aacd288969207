/** Diagnostics about files: built in one place so that every message names its file. */
import { ExitCode, PeelError, type Diagnostic } from '../../compiler/diagnostics.ts';

/** Stable codes of what can be wrong with a weights file. */
export type WeightCode =
  | 'E721' // the file is missing or cannot be read
  | 'E722' // not a regular file
  | 'E723' // the header's length does not fit the file
  | 'E724' // the header is not what the format says
  | 'E725' // a name twice
  | 'E726' // an unknown or unsupported element type
  | 'E727' // shape times element size differs from the byte range
  | 'E728' // holes or overlaps between tensors
  | 'E729' // the data is shorter or longer than the header says
  | 'E730' // a shard index that is wrong
  | 'E731' // a path that leaves the model's folder
  | 'E732' // the file changed while it was read
  | 'E703' // a tensor that the model needs is missing
  | 'E601' // a tensor's shape does not fit the model
  | 'E735' // a JSON file beside the weights that is wrong
  | 'E737' // a version or byte order that is not read
  | 'E738' // metadata of a wrong type or value
  | 'E739' // files of a split model that do not belong together
  | 'E736'; // NaN or infinity among the weights

/** One problem of file `file`; `tensor` and `column` (a byte of the file, from 1) where known. */
export function weightProblem(
  code: WeightCode, file: string, message: string, more: { tensor?: string; column?: number; hint?: string; path?: string } = {},
): Diagnostic {
  return {
    code, severity: 'error', path: more.path ?? '',
    message: more.tensor === undefined ? message : `tensor '${more.tensor}': ${message}`,
    location: { file, line: 1, column: more.column ?? 1 },
    ...(more.hint === undefined ? {} : { hint: more.hint }),
  };
}

export function weightError(...diagnostics: Diagnostic[]): PeelError {
  return new PeelError(ExitCode.weights, diagnostics);
}
