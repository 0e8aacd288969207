/** Which files of a repository a model needs. */
import { ExitCode } from '../../compiler/diagnostics.ts';
import { matchesGlob } from '../../compiler/glob.ts';
import { chooseGguf } from './cache.ts';
import type { HubFile } from './listing.ts';
import { hubError, type HubName } from './name.ts';

export const INDEX = 'model.safetensors.index.json';
const DESCRIPTIONS = [
  'config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json',
  'vocab.json', 'merges.txt', 'vocab.txt', 'chat_template.jinja', 'chat_template.json',
];

export interface Selection {
  readonly files: readonly HubFile[];
  /** Whether the shards that the index names are wanted too. */
  readonly sharded: boolean;
}

/**
 * What matches one of `include`, if there are any; else one GGUF model where one is chosen, or where there is nothing else; else the
 * description, tokenizer and safetensors. Throws PeelError: 2 where a choice is needed, 14 where the repository has no weights to read.
 */
export function selectFiles(files: readonly HubFile[], name: HubName, text: string, include: readonly string[]): Selection {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const take = (paths: readonly string[]): HubFile[] => paths.flatMap((path) => byPath.get(path) ?? []);
  if (include.length > 0) {
    const found = files.filter((file) => include.some((pattern) => matchesGlob(pattern, file.path)));
    if (found.length === 0) throw hubError('E744', `${text}: none of the ${files.length} files matches ${include.join(', ')}`, undefined, ExitCode.usage);
    return { files: found, sharded: false };
  }
  const single = byPath.has('model.safetensors');
  const safetensors = single || byPath.has(INDEX);
  const ggufs = files.filter((file) => /\.gguf$/i.test(file.path)).map((file) => file.path);
  if (name.choice !== undefined || (!safetensors && ggufs.length > 0)) {
    const chosen = chooseGguf(ggufs, name, text);
    if (chosen.length === 0) throw hubError('E744', `${text}: the repository has no GGUF files`, safetensors ? `peel pull hf:${name.repo} takes its safetensors` : undefined, ExitCode.usage);
    return { files: take(chosen), sharded: false };
  }
  if (!safetensors) throw hubError('E741', `${text} has no weights that can be read: neither model.safetensors, nor ${INDEX}, nor a .gguf file`, '--include GLOB takes files by name');
  return { files: take([...DESCRIPTIONS, single ? 'model.safetensors' : INDEX]), sharded: !single };
}
