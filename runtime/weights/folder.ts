/** A Hugging Face model folder: config.json, and safetensors in one file or in shards with an index. */
import path from 'node:path';
import { ExitCode, PeelError, type Diagnostic } from '../../compiler/diagnostics.ts';
import { containedPath, exists, statPath } from './files.ts';
import { JoinedSource } from './joined.ts';
import { isObject, readJsonObject, type JsonObject } from './json.ts';
import { weightError, weightProblem } from './problem.ts';
import { isGguf } from './gguf/file.ts';
import { openGguf } from './gguf/split.ts';
import { openSafetensors, type TensorSource } from './safetensors.ts';

const singleName = 'model.safetensors';
const indexName = 'model.safetensors.index.json';

/** The shard index, checked: names of files in the folder, each tensor once. */
async function readIndex(folder: string): Promise<{ files: Map<string, string>; map: Map<string, string> }> {
  const file = path.join(folder, indexName);
  const index = await readJsonObject(file, { unique: true });
  const map = index.weight_map;
  if (!isObject(map)) throw weightError(weightProblem('E730', file, `lacks the object 'weight_map'`));
  const problems: Diagnostic[] = [];
  const files = new Map<string, string>();
  const entries = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== 'string') {
      problems.push(weightProblem('E730', file, `its file must be a name, found ${JSON.stringify(shard)}`, { tensor }));
      continue;
    }
    entries.set(tensor, shard);
    if (files.has(shard)) continue;
    const contained = await containedPath(folder, shard);
    files.set(shard, 'path' in contained ? contained.path : '');
    if ('problem' in contained) {
      problems.push(weightProblem('E731', file, `shard '${shard}' ${contained.problem}`, { hint: 'shards lie beside the index' }));
    }
  }
  if (problems.length > 0) throw weightError(...problems.slice(0, 50));
  return { files, map: entries };
}

async function openShards(folder: string): Promise<TensorSource> {
  const { files, map } = await readIndex(folder);
  const index = path.join(folder, indexName);
  const opened = await Promise.allSettled([...files].map(async ([name, file]) => ({ name, source: await openSafetensors(file) })));
  const parts: { name: string; source: TensorSource }[] = [];
  const problems: Diagnostic[] = [];
  let exitCode: ExitCode = ExitCode.fileSystem;
  for (const result of opened) {
    if (result.status === 'fulfilled') parts.push(result.value);
    else if (result.reason instanceof PeelError) {
      problems.push(...result.reason.diagnostics);
      if (result.reason.exitCode !== ExitCode.fileSystem) exitCode = result.reason.exitCode;
    } else throw result.reason;
  }
  const home = new Map<string, string>();
  for (const { name, source } of parts) {
    for (const tensor of source.tensors.keys()) {
      const other = home.get(tensor);
      if (other !== undefined) problems.push(weightProblem('E725', index, `is in '${other}' and in '${name}'`, { tensor }));
      home.set(tensor, name);
    }
  }
  if (problems.length === 0) {
    for (const [tensor, shard] of map) {
      if (home.get(tensor) === shard) continue;
      exitCode = ExitCode.weights;
      problems.push(weightProblem('E730', index, `is not in '${shard}', where the index says it is`, { tensor }));
    }
  } else if (home.size > 0 && problems.some((p) => p.code === 'E725')) exitCode = ExitCode.weights;
  if (problems.length > 0) {
    await Promise.all(parts.map((part) => part.source.dispose()));
    throw new PeelError(exitCode, problems.slice(0, 50));
  }
  return new JoinedSource(parts.map((part) => part.source));
}

/** The weights of `where`: a folder (one file or shards), a .safetensors or a .gguf file. Headers are read and checked now, data later. */
export async function openWeights(where: string): Promise<TensorSource> {
  const stats = await statPath(where);
  if (!stats.isDirectory()) return isGguf(where) ? openGguf(where) : openSafetensors(where);
  const single = await containedPath(where, singleName);
  if ('problem' in single) throw weightError(weightProblem('E731', path.join(where, singleName), single.problem));
  if (await exists(single.path)) return openSafetensors(single.path);
  if (await exists(path.join(where, indexName))) return openShards(where);
  throw new PeelError(ExitCode.fileSystem, [weightProblem('E721', where, `the folder has neither ${singleName} nor ${indexName}`,
    { hint: 'save the model with safe_serialization=True; .bin and .pt files are not read' })]);
}

/** A model folder opened for its description; weights are opened apart. */
export interface ModelFolder {
  readonly path: string;
  readonly config: JsonObject;
  readonly configFile: string;
  /** Stop tokens and sampling defaults, where the folder gives them. */
  readonly generation: JsonObject | undefined;
}

/** Reads config.json (and generation_config.json) of a folder. */
export async function openModelFolder(folder: string): Promise<ModelFolder> {
  const stats = await statPath(folder);
  if (!stats.isDirectory()) {
    throw new PeelError(ExitCode.fileSystem, [weightProblem('E722', folder, 'a model folder was expected',
      { hint: 'give the folder that holds config.json, or a spec with --weights PATH' })]);
  }
  const configFile = path.join(folder, 'config.json');
  if (!(await exists(configFile))) {
    throw new PeelError(ExitCode.fileSystem, [weightProblem('E721', configFile, 'is missing',
      { hint: 'a Hugging Face folder holds config.json; without one, give a spec and --weights PATH' })]);
  }
  const generationFile = path.join(folder, 'generation_config.json');
  return {
    path: folder,
    config: await readJsonObject(configFile),
    configFile,
    generation: (await exists(generationFile)) ? await readJsonObject(generationFile) : undefined,
  };
}
