/** The tokenizer in a GGUF file's metadata. */
import type { Diagnostic } from '../../../compiler/diagnostics.ts';
import { huggingFaceTokenizer } from '../hugging-face.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { convertGguf } from './convert.ts';
import type { Metadata } from './values.ts';

/** Throws PeelError (exit code 12) where the metadata are wrong or of a kind that is not known. `file` is named in messages. */
export function ggufTokenizer(metadata: Metadata, file: string): { readonly tokenizer: Tokenizer; readonly warnings: readonly Diagnostic[] } {
  const { json, config, eos, warnings } = convertGguf(metadata, file);
  return { tokenizer: huggingFaceTokenizer(json, config, { file, eos }), warnings };
}
