/** From what a user names (a folder, a spec, a name) to files: which spec, which weights, which config. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ExitCode, PeelError } from '../compiler/diagnostics.ts';
import { readHeader, type ReadFile } from '../compiler/load.ts';
import { nearest } from '../compiler/nearest.ts';
import { parseSpec } from '../compiler/parse.ts';
import { cachedModel } from './hub/cache.ts';
import { isHubName } from './hub/name.ts';
import { statIfThere } from './weights/files.ts';
import { isObject, readJsonObject, type JsonObject } from './weights/json.ts';
import { isGguf } from './weights/gguf/file.ts';
import type { Metadata } from './weights/gguf/metadata.ts';
import { readMetadata } from './weights/gguf/split.ts';
import { openModelFolder } from './weights/folder.ts';
import { weightProblem } from './weights/problem.ts';

/** Most bytes of a spec. */
export const maxSpecBytes = 16 << 20;

/** Reads specs from disk; undefined where there is no such file. */
export const readSpecFile: ReadFile = (file) => {
  const stats = statIfThere(file);
  if (!stats?.isFile()) return undefined;
  if (stats.size > maxSpecBytes) {
    throw new PeelError(ExitCode.spec, [{ code: 'E109', severity: 'error', path: '', message: `the file has ${stats.size} bytes, at most ${maxSpecBytes} are read`, location: { file, line: 1, column: 1 } }]);
  }
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
};

/** The folder `models/` of this package, found from where the code lies: in its sources or bundled in dist/. */
export function modelsFolder(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'models', 'decoder.yaml')) && path.dirname(folder) !== folder) folder = path.dirname(folder);
  return path.join(folder, 'models');
}

/** A path as messages show it: relative to where the user stands if that is shorter. */
export function shown(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative !== '' && relative.length < file.length ? relative : file;
}

/** Names of the specs in `folder`. */
export function specNames(folder: string): string[] {
  try {
    return readdirSync(folder).filter((file) => file.endsWith('.yaml') && !file.endsWith('.test.yaml')).map((file) => file.slice(0, -5)).sort();
  } catch {
    return [];
  }
}

/** What a spec serves: Hugging Face's model types, or architectures of GGUF files. */
type Serves = 'modelTypes' | 'ggufArchitectures';

const servesKeys: Readonly<Record<Serves, string>> = { modelTypes: 'model_types', ggufArchitectures: 'gguf_architectures' };

/** Whether a word stands in a text. A word of any length is looked for before it becomes a pattern. */
const holdsWord = (text: string, word: string): boolean => text.includes(word) && new RegExp(`(?<![\\w.-])${word.replace(/\W/g, '\\$&')}(?![\\w.-])`).test(text);

/** Whether a spec's text may serve `type`: a quick look at what stands between the key and the next one of the top level. */
function maySay(text: string, serves: Serves, type: string): boolean {
  if (/^\s*\{/m.test(text.slice(0, 1000))) return holdsWord(text, type);
  const key = new RegExp(`^["']?${servesKeys[serves]}["']?\\s*:`, 'm').exec(text);
  if (!key) return false;
  const rest = text.slice(key.index + key[0].length);
  const end = rest.search(/^[A-Za-z_"']/m);
  return holdsWord(end < 0 ? rest : rest.slice(0, end), type);
}

/** Specs that serve `type`. Only files whose text holds it are parsed. */
export function specsFor(type: string, folder: string, serves: Serves = 'modelTypes'): string[] {
  return specNames(folder).map((name) => path.join(folder, `${name}.yaml`)).filter((file) => {
    const text = readSpecFile(file);
    if (text === undefined || !maySay(Buffer.from(text).toString(), serves, type)) return false;
    const root = parseSpec(text, file).document?.root;
    return root !== undefined && readHeader(root)[serves].includes(type);
  });
}

/** Everything that some spec serves. */
function knownTypes(folder: string, serves: Serves): string[] {
  return specNames(folder).flatMap((name) => {
    const root = parseSpec(readSpecFile(path.join(folder, `${name}.yaml`)) ?? '', name).document?.root;
    return root ? readHeader(root)[serves] : [];
  });
}

/** What was found: a spec to compile, and where its parameters, weights and tokenizer come from. */
export interface Located {
  readonly spec: string;
  readonly config?: JsonObject;
  readonly configFile?: string;
  readonly generation?: JsonObject;
  /** Folder or file of the weights. */
  readonly weights?: string;
  /** What the weights' GGUF file says about the model: its params, tokenizer and chat template. */
  readonly metadata?: Metadata;
  /** Folder that may hold tokenizer.json. */
  readonly folder?: string;
}

function usage(message: string, hint?: string): PeelError {
  return new PeelError(ExitCode.usage, [{ code: 'E010', severity: 'error', path: '', message, ...(hint === undefined ? {} : { hint }) }]);
}

/** The spec for a config.json, by its model_type. Throws PeelError (exit code 10) where no spec or several fit. */
function specForConfig(config: JsonObject, configFile: string, folder: string): string {
  const nested = isObject(config.text_config) ? config.text_config.model_type : undefined;
  const types = [config.model_type, nested].filter((t): t is string => typeof t === 'string');
  return specFor(types, { serves: 'modelTypes', folder, file: configFile, path: '/model_type', word: 'model_type', none: 'the config names no model_type' });
}

/** The spec for a GGUF file, by its general.architecture. Throws PeelError (exit code 10) where no spec or several fit. */
function specForMetadata({ architecture, file }: Metadata, folder: string): string {
  const types = architecture === undefined ? [] : [architecture];
  return specFor(types, { serves: 'ggufArchitectures', folder, file, path: '', word: 'general.architecture', none: 'the file has no general.architecture' });
}

function specFor(types: readonly string[], from: { serves: Serves; folder: string; file: string; path: string; word: string; none: string }): string {
  const { serves, folder, word } = from;
  const bad = (message: string, hint: string): never => {
    throw new PeelError(ExitCode.spec, [{ code: 'E505', severity: 'error', path: from.path, message, hint, location: { file: from.file, line: 1, column: 1 } }]);
  };
  const [type] = types;
  if (type === undefined) return bad(`${from.none}, which picks the spec`, 'give a spec with --spec NAME');
  for (const candidate of types) {
    const found = specsFor(candidate, folder, serves);
    const [first] = found;
    if (found.length > 1) return bad(`several specs serve ${word} '${candidate}': ${found.map(shown).join(', ')}`, 'give one with --spec NAME');
    if (first !== undefined) return first;
  }
  const close = nearest(type, knownTypes(folder, serves));
  return bad(`no spec in models/ serves ${word} '${type}'`, `${close === undefined ? '' : `the nearest one is '${close}'; `}write a spec and give it with --spec PATH`);
}

function specPath(name: string, folder: string): string | undefined {
  const stats = statIfThere(name);
  if (stats?.isFile()) return name;
  if (stats) return undefined;
  const inModels = path.join(folder, `${name}.yaml`);
  return !/[/\\]/.test(name) && existsSync(inModels) ? inModels : undefined;
}

/** What describes weights: a GGUF file itself; config.json in the folder, or in the folder of the file. */
export async function configBeside(weights: string): Promise<Pick<Located, 'config' | 'configFile' | 'generation' | 'folder' | 'metadata'>> {
  if (isGguf(weights)) return { metadata: await readMetadata(weights) };
  const stats = statIfThere(weights);
  if (!stats) throw new PeelError(ExitCode.fileSystem, [weightProblem('E721', weights, 'cannot be read: no such file or folder')]);
  const folder = stats.isDirectory() ? weights : path.dirname(weights);
  const configFile = path.join(folder, 'config.json');
  if (!existsSync(configFile)) return { folder };
  const generation = path.join(folder, 'generation_config.json');
  return { folder, configFile, config: await readJsonObject(configFile), ...(existsSync(generation) ? { generation: await readJsonObject(generation) } : {}) };
}

/**
 * MODEL is a Hugging Face folder, hf:OWNER/NAME in the cache, a GGUF file or a folder with one, a spec's path, or the name of a spec or of a model that ships in models/nano. `weights`: a folder or
 * file for a spec. `spec`: a spec for a folder, in place of the one that its model_type or architecture picks.
 */
export async function locate(name: string, options: { weights?: string; spec?: string; models?: string } = {}): Promise<Located> {
  // What was pulled from a hub is a folder or file of the cache.
  const cached = isHubName(name) ? cachedModel(name) : name;
  const { weights } = options;
  return locateFile(ggufIn(cached) ?? cached, weights !== undefined && isHubName(weights) ? { ...options, weights: cachedModel(weights) } : options);
}

/** The GGUF file of a folder that holds one, and no Hugging Face model. */
function ggufIn(folder: string): string | undefined {
  if (!statIfThere(folder)?.isDirectory() || existsSync(path.join(folder, 'config.json'))) return undefined;
  // Of a split model, the first file stands for all.
  const names = (() => { try { return readdirSync(folder); } catch { return []; } })();
  const files = names.filter((file) => /\.gguf$/i.test(file) && !/-(?!00001)\d{5}-of-\d{5}\.gguf$/i.test(file)).sort();
  if (files.length > 1) throw usage(`${folder} holds ${files.length} GGUF files: ${files.slice(0, 8).join(', ')}${files.length > 8 ? ' …' : ''}`, 'name one of them');
  return files[0] === undefined ? undefined : path.join(folder, files[0]);
}

async function locateFile(name: string, options: { weights?: string; spec?: string; models?: string }): Promise<Located> {
  const models = options.models ?? modelsFolder();
  if (name === '') throw usage('the model is an empty name', 'give a folder, a spec, or the name of a spec in models/');
  const shipped = path.join(models, 'nano', name);
  const stats = statIfThere(name);
  const asSpec = stats?.isDirectory() ? undefined : specPath(name, models);
  const folder = stats?.isDirectory() ? name : !stats && asSpec === undefined && !/[/\\]/.test(name) && existsSync(shipped) ? shipped : undefined;
  if (folder !== undefined) {
    if (options.weights !== undefined) throw usage('--weights goes with a spec, but the model is a folder with its own weights', `use --spec to choose another spec for ${name}`);
    const opened = await openModelFolder(folder);
    const spec = options.spec === undefined ? specForConfig(opened.config, opened.configFile, models) : specPath(options.spec, models);
    if (spec === undefined) throw noSpec(options.spec ?? '', models);
    return { spec, config: opened.config, configFile: opened.configFile, weights: folder, folder, ...(opened.generation ? { generation: opened.generation } : {}) };
  }
  if (isGguf(name)) {
    if (options.weights !== undefined) throw usage('--weights goes with a spec, but the model is a GGUF file with its own weights', `use --spec to choose another spec for ${name}`);
    const metadata = await readMetadata(name);
    const spec = options.spec === undefined ? specForMetadata(metadata, models) : specPath(options.spec, models);
    if (spec === undefined) throw noSpec(options.spec ?? '', models);
    return { spec, metadata, weights: name };
  }
  if (/\.(safetensors|bin|pt|pth)$/i.test(name)) {
    throw usage(`${name} holds weights, not a model`, `give its folder, or a spec with --weights ${name}`);
  }
  if (asSpec === undefined) {
    if (stats) throw new PeelError(ExitCode.fileSystem, [weightProblem('E722', name, 'is neither a folder nor a file')]);
    throw noSpec(name, models);
  }
  if (options.spec !== undefined) throw usage('--spec goes with a model folder, but the model is a spec itself', 'give --weights PATH for its weights');
  return { spec: asSpec, ...(options.weights === undefined ? {} : { weights: options.weights, ...await configBeside(options.weights) }) };
}

function noSpec(name: string, models: string): PeelError {
  if (/[/\\.]/.test(name)) return new PeelError(ExitCode.fileSystem, [weightProblem('E721', name, 'cannot be read: no such file or folder')]);
  const shipped = (() => { try { return readdirSync(path.join(models, 'nano')).filter((n) => existsSync(path.join(models, 'nano', n, 'config.json'))); } catch { return []; } })();
  const close = nearest(name, [...specNames(models), ...shipped]);
  return new PeelError(ExitCode.fileSystem, [{
    code: 'E721', severity: 'error', path: '', message: `there is no folder, file, spec or shipped model called '${name}'`,
    hint: close === undefined ? 'give a Hugging Face folder, a spec, or the name of a spec in models/' : `did you mean '${close}'?`,
  }]);
}
