/** JSON files of a model folder (config.json, tokenizer.json, the shard index), with diagnostics. */
import { JsonSyntaxError, parseJson } from './json-text.ts';
import { weightError, weightProblem } from './problem.ts';
import { readText } from './files.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A JSON file whose top level is an object. Throws PeelError: E735 with line and column where it is not; with `unique`, E725 for names there twice. */
export async function readJsonObject(file: string, options: { limit?: number; unique?: boolean } = {}): Promise<JsonObject> {
  const text = await readText(file, options.limit);
  const value = parse(text, file, options.unique ?? false);
  if (!isObject(value)) throw weightError(weightProblem('E735', file, 'is valid JSON, but not an object'));
  return value as JsonObject;
}

function parse(text: string, file: string, unique: boolean): unknown {
  if (!unique) {
    try {
      return JSON.parse(text);
    } catch { /* The slower reader says where it is wrong. */ }
  }
  try {
    const { value, duplicates } = parseJson(text);
    if (unique && duplicates.length > 0) {
      throw weightError(...duplicates.slice(0, 50).map(({ key, line, column }) =>
        ({ ...weightProblem('E725', file, `the name '${key}' is there twice`), location: { file, line, column } })));
    }
    return value;
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw weightError({ ...weightProblem('E735', file, `is not valid JSON: ${error.message}`), location: { file, line: error.line, column: error.column } });
  }
}
