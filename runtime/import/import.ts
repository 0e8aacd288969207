/** A model's files -> a spec of that model alone, and what of the files it does not account for. */
import path from 'node:path';
import { compileSpec, type Compiled } from '../../compiler/compile.ts';
import { ExitCode, formatDiagnostic, PeelError, type Diagnostic } from '../../compiler/diagnostics.ts';
import { loadSpec } from '../../compiler/load.ts';
import { writeSpec, type Written } from '../../compiler/write-spec.ts';
import { locate, modelsFolder, readSpecFile, shown, type Located } from '../locate.ts';
import { compileInput, type ModelOptions } from '../model.ts';
import { configProblems, weightProblems } from '../problems.ts';
import { exists } from '../weights/files.ts';
import { openModelFolder, openWeights } from '../weights/folder.ts';
import { isObject, readJsonObject } from '../weights/json.ts';
import { generalName, nearestFamily } from './nearest-family.ts';

export interface ImportOptions extends Pick<ModelOptions, 'path' | 'spec' | 'set' | 'models'> {
  /** What editors find the schema by: an address, or a path relative to where the spec will be. */
  readonly schema?: string;
  /** The spec's name; the folder's or file's if absent. */
  readonly name?: string;
}

export interface ImportResult {
  /** The spec, as YAML. */
  readonly text: string;
  readonly name: string;
  /** The spec that it was made from. */
  readonly family: string;
  readonly form: Written['form'];
  /** Whether it runs the model: every tensor has its place, and the config says nothing that the spec contradicts. */
  readonly complete: boolean;
  readonly tensors: number;
  /** What has no place: config keys, tensors, weights that are not there. */
  readonly unplaced: readonly Diagnostic[];
  /** What the model lacks to read and write text. */
  readonly missing: readonly string[];
}

/**
 * Writes the spec of one model. Where no family serves its model_type, the nearest one is the start of a draft, in which what does not
 * fit is listed. Throws PeelError where files cannot be read: 11 for weights, 14 for files.
 */
export async function importModel(options: ImportOptions): Promise<ImportResult> {
  const { located, unknownType } = await find(options);
  const source = await openWeights(located.weights ?? options.path);
  try {
    const models = options.models ?? modelsFolder();
    const spec = located.spec ?? nearestFamily(located, unknownType ?? '', models, source);
    if (spec === undefined) throw noFamily(unknownType ?? '', located.configFile ?? options.path);
    const found: Located = { ...located, spec };
    const input = compileInput(found, { path: options.path, ...(options.set ? { set: options.set } : {}), ...(options.models === undefined ? {} : { models: options.models }) });
    const compiled = compileSpec(input);
    const unplaced = [
      ...(unknownType === undefined ? [] : [unknown(unknownType, found)]),
      ...compiled.diagnostics, ...await configProblems(compiled, found), ...weightProblems(compiled, source),
    ];
    const complete = unplaced.every((d) => d.severity !== 'error');
    const name = options.name ?? nameOf(options.path);
    const family = shown(spec);
    const { text, form } = writeSpec({
      spec: loaded(compiled, input.spec, models), sources: input.sources ?? {}, format: input.format ?? 'huggingface',
      ...(complete && compiled.model && compiled.graph ? { compiled: { model: compiled.model, graph: compiled.graph } } : {}),
      tensors: [...source.tensors.keys()], name, description: description(found, compiled, complete),
      head: head(options, family, complete, unplaced),
    });
    return { text, name, family, form, complete, tensors: source.tensors.size, unplaced, missing: await missing(found) };
  } finally {
    await source.dispose();
  }
}

/** The model's files, and its spec where one serves it. */
async function find(options: ImportOptions): Promise<{ located: Omit<Located, 'spec'> & { readonly spec?: string }; unknownType?: string }> {
  try {
    const located = await locate(options.path, options);
    if (located.weights !== undefined) return { located };
  } catch (error) {
    // Everything but the spec was found: the config is there, and names a type that no spec, or more than one, serves.
    const about = error instanceof PeelError ? error.diagnostics[0] : undefined;
    if (about?.code !== 'E505' || about.path !== '/model_type') throw error;
    const opened = await openModelFolder(options.path);
    const type = opened.config.model_type ?? (isObject(opened.config.text_config) ? opened.config.text_config.model_type : undefined);
    return {
      located: { config: opened.config, configFile: opened.configFile, weights: options.path, folder: options.path, ...(opened.generation ? { generation: opened.generation } : {}) },
      unknownType: typeof type === 'string' ? type : '',
    };
  }
  throw new PeelError(ExitCode.usage, [{ code: 'E010', severity: 'error', path: '', message: `${options.path} is a spec, not a model with weights`, hint: 'give a folder with config.json and weights' }]);
}

function loaded(compiled: Compiled, file: string, models: string): NonNullable<Compiled['spec']> {
  const spec = compiled.spec ?? loadSpec(file, readSpecFile, shown(models)).spec;
  if (!spec) throw new PeelError(ExitCode.spec, compiled.diagnostics);
  return spec;
}

function unknown(type: string, found: Located): Diagnostic {
  return {
    code: 'E505', severity: 'error', path: '/model_type', message: type === '' ? 'the config names no model_type that one spec serves' : `no spec serves model_type '${type}'`,
    hint: `${shown(found.spec)} is the nearest`, ...(found.configFile === undefined ? {} : { location: { file: shown(found.configFile), line: 1, column: 1 } }),
  };
}

function noFamily(type: string, file: string): PeelError {
  return new PeelError(ExitCode.spec, [{
    code: 'E505', severity: 'error', path: '/model_type', message: `no spec serves model_type '${type}', and none has a tensor name in common with it`,
    hint: 'write a spec: models/decoder.yaml is a start', location: { file: shown(file), line: 1, column: 1 },
  }]);
}

function nameOf(where: string): string {
  return path.basename(path.resolve(where)).replace(/\.gguf$/i, '').slice(0, 100) || 'imported';
}

function description({ config, metadata, spec }: Located, { spec: family }: Compiled, complete: boolean): string {
  const type = typeof config?.model_type === 'string' ? ` (model_type ${config.model_type})` : metadata?.architecture === undefined ? '' : ` (architecture ${metadata.architecture})`;
  return `${complete ? 'One model' : 'Draft of one model'} of the family ${family?.name ?? path.basename(spec, '.yaml')}${type}`;
}

/** Most lines of what does not fit, in a draft. */
const MOST_LISTED = 60;

function head(options: ImportOptions, family: string, complete: boolean, unplaced: readonly Diagnostic[]): string[] {
  const source = printable(path.basename(path.resolve(options.path)));
  const lines = [
    ...(options.schema === undefined ? [] : [`yaml-language-server: $schema=${options.schema}`]),
    `Written by \`peel import\` for ${source}, from ${printable(path.basename(family))}. Values that came from its files stand here; the key they had is behind them.`,
  ];
  if (complete) return lines;
  const problems = [...new Set(unplaced.filter((d) => d.severity === 'error').map((d) => generalName(formatDiagnostic({ code: d.code, severity: d.severity, path: d.path, message: d.message }))))];
  return [
    ...lines, '', 'A DRAFT: what follows does not fit the files yet.',
    ...problems.slice(0, MOST_LISTED).map((text) => `- ${printable(text)}`), ...(problems.length > MOST_LISTED ? [`- and ${problems.length - MOST_LISTED} more`] : []),
  ];
}

/** Text from a file, on one line of a comment. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]+/g, ' ').slice(0, 300);
}

/** What is not there to turn text into ids and back. */
async function missing({ folder, metadata }: Located): Promise<string[]> {
  if (metadata) {
    const sources = metadata.sources().gguf;
    return [
      ...(sources['tokenizer.ggml.model'] === undefined ? ['no tokenizer in the file: the model takes ids (--ids), not text'] : []),
      ...(sources['tokenizer.chat_template'] === undefined ? ['no chat template: --chat does not work'] : []),
    ];
  }
  if (folder === undefined) return [];
  const has = (file: string): Promise<boolean> => exists(path.join(folder, file));
  const config = await has('tokenizer_config.json') ? await readJsonObject(path.join(folder, 'tokenizer_config.json')) : {};
  const template = config.chat_template !== undefined || await has('chat_template.jinja');
  return [
    ...(await has('tokenizer.json') ? [] : ['no tokenizer.json: the model takes ids (--ids), not text']),
    ...(template ? [] : ['no chat template: --chat does not work']),
  ];
}
