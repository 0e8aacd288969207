/** The tokenizer in a GGUF file's metadata. */
import { huggingFaceTokenizer } from '../hugging-face.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { convertGguf } from './convert.ts';
import type { Metadata } from './values.ts';

/** Throws PeelError (exit code 12) where the metadata are wrong or of a kind that is not known. `file` is named in messages. */
export function ggufTokenizer(metadata: Metadata, file: string): Tokenizer {
  const { json, config, eos, warnings } = convertGguf(metadata, file);
  return huggingFaceTokenizer(json, config, { file, eos, warnings });
}
