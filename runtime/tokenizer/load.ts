/** The tokenizer of a model: the spec's own, or the files beside its weights. */
import path from 'node:path';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import type { TokenizerSpec } from '../../compiler/model.ts';
import { exists } from '../weights/files.ts';
import type { Metadata } from '../weights/gguf/metadata.ts';
import { isObject, readJsonObject } from '../weights/json.ts';
import { tokenizerError } from './budget.ts';
import { ggufTokenizer } from './gguf/load.ts';
import { huggingFaceTokenizer } from './hugging-face.ts';
import { inlineTokenizer } from './inline.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Ids that end a text according to generation_config.json or config.json. */
export function endIds(...configs: (Readonly<Record<string, unknown>> | undefined)[]): number[] {
  for (const config of configs) {
    const nested = isObject(config?.text_config) ? config.text_config.eos_token_id : undefined;
    const value = config?.eos_token_id ?? nested;
    const ids = (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isSafeInteger(id) && Number(id) >= 0);
    if (ids.length > 0) return ids;
  }
  return [];
}

const files = { tokenizer: 'tokenizer.json', config: 'tokenizer_config.json', template: 'chat_template.jinja' };

async function readFolder(folder: string, eos: readonly number[]): Promise<Tokenizer> {
  const file = path.join(folder, files.tokenizer);
  if (!(await exists(file))) {
    throw tokenizerError('E802', `the model has no tokenizer: ${files.tokenizer} is missing`, { file, hint: 'give token ids with --ids, or write the tokenizer into the spec' });
  }
  try {
    const json = await readJsonObject(file, { limit: 256 << 20 });
    const configFile = path.join(folder, files.config);
    const config = (await exists(configFile)) ? await readJsonObject(configFile) : {};
    const templateFile = path.join(folder, files.template);
    if (config.chat_template === undefined && await exists(templateFile)) {
      const { readText } = await import('../weights/files.ts');
      config.chat_template = await readText(templateFile);
    }
    return huggingFaceTokenizer(json, config, { file, eos });
  } catch (error) {
    if (error instanceof PeelError && error.exitCode === ExitCode.weights) throw new PeelError(ExitCode.tokenizer, error.diagnostics);
    throw error;
  }
}

export interface LoadOptions {
  readonly specFile: string;
  /** Folder that may hold tokenizer.json. */
  readonly folder?: string | undefined;
  /** Metadata of the model's GGUF file. */
  readonly metadata?: Metadata | undefined;
  /** Ids that end a text, as other files than the tokenizer's say. */
  readonly eos: readonly number[];
}

/** Throws PeelError (exit code 12) where there is none, or where it is wrong. */
export async function loadTokenizer(spec: TokenizerSpec, options: LoadOptions): Promise<Tokenizer> {
  if (spec.from === 'spec') return inlineTokenizer(spec, options.specFile);
  if (options.metadata) {
    try {
      return ggufTokenizer(options.metadata, options.metadata.file);
    } catch (error) {
      if (error instanceof PeelError && error.exitCode === ExitCode.weights) throw new PeelError(ExitCode.tokenizer, error.diagnostics);
      throw error;
    }
  }
  if (options.folder === undefined) {
    throw tokenizerError('E802', 'the spec takes the tokenizer from the model, and there is no model folder', { path: '/tokenizer', hint: 'give --weights FOLDER, or token ids with --ids' });
  }
  return readFolder(options.folder, options.eos);
}
