/**
 * Models on disk, in the layout of Hugging Face's own cache, which they are shared with:
 * models--OWNER--NAME/blobs/<sha256, or git's sha1 of small files>, snapshots/<commit>/<path> -> blob, refs/<revision> holds a commit.
 * peel/<commit>.json lists what was pulled of a commit, once all of it is there.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { ExitCode } from '../../compiler/diagnostics.ts';
import { hubError, isCommit, isPlainPath, parseHubName, type HubName } from './name.ts';

export interface PulledFile { readonly path: string; readonly size: number }

/** Where models are: HF_HUB_CACHE, else `hub` in HF_HOME, else in the user's cache folder. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment.HF_HUB_CACHE ?? environment.HUGGINGFACE_HUB_CACHE;
  if (given) return given;
  return path.join(environment.HF_HOME || path.join(environment.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'huggingface'), 'hub');
}

export function repoFolder(cache: string, repo: string): string {
  return path.join(cache, `models--${repo.replace('/', '--')}`);
}

export function manifestFile(folder: string, commit: string): string {
  return path.join(folder, 'peel', `${commit}.json`);
}

/** What a manifest lists; empty where there is none, as for models that another program downloaded. */
export function readManifest(folder: string, commit: string): PulledFile[] {
  try {
    const { files } = JSON.parse(readFileSync(manifestFile(folder, commit), 'utf8')) as { files?: unknown };
    return Array.isArray(files) ? (files as PulledFile[]).filter((file) => typeof file.path === 'string' && isPlainPath(file.path) && Number.isSafeInteger(file.size)) : [];
  } catch {
    return [];
  }
}

/** The folder or GGUF file of a model in the cache. No network is used. Throws PeelError (exit code 14) where it is not there, and says how to get it. */
export function cachedModel(text: string, cache = cacheFolder()): string {
  const name = parseHubName(text);
  const folder = repoFolder(cache, name.repo);
  const absent = (what: string): never => { throw hubError('E743', `${text} ${what} ${cache}`, `peel pull ${text}`); };
  const commit = commitOf(folder, name.revision) ?? absent('is not in the cache');
  const snapshot = path.join(folder, 'snapshots', commit);
  if (!existsSync(snapshot)) absent('is not in the cache');
  for (const file of readManifest(folder, commit)) {
    if (statSync(path.join(snapshot, file.path), { throwIfNoEntry: false })?.size !== file.size) absent(`is incomplete (${file.path}) in the cache`);
  }
  const ggufs = ggufFiles(snapshot);
  if (name.choice === undefined) {
    if (existsSync(path.join(snapshot, 'config.json')) && ggufs.length === 0) return snapshot;
    if (existsSync(path.join(snapshot, 'config.json')) && readdirSync(snapshot).some((file) => file.endsWith('.safetensors'))) return snapshot;
  }
  return path.join(snapshot, chooseGguf(ggufs, name, text)[0] ?? absent('has no such file in the cache'));
}

function commitOf(folder: string, revision: string): string | undefined {
  if (isCommit(revision)) return revision;
  try {
    const commit = readFileSync(path.join(folder, 'refs', revision), 'utf8').trim();
    return isCommit(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

function ggufFiles(snapshot: string): string[] {
  return readdirSync(snapshot, { recursive: true, encoding: 'utf8' }).map((file) => file.split(path.sep).join('/')).filter((file) => file.toLowerCase().endsWith('.gguf')).sort();
}

/**
 * The files of one GGUF model among several: by name, by the quantisation in the name, or the only one there. A split model is all its
 * parts, the first one first. Throws PeelError (exit code 2) where several fit; none where none does.
 */
export function chooseGguf(files: readonly string[], name: HubName, text: string): string[] {
  const models = new Map<string, string[]>();
  for (const file of [...files].sort()) {
    // Projectors of pictures are no language models.
    if (/(^|\/)mmproj/i.test(file)) continue;
    const whole = file.replace(/-\d{5}-of-\d{5}(?=\.gguf$)/i, '');
    models.set(whole, [...(models.get(whole) ?? []), file]);
  }
  const wanted = name.choice?.toLowerCase();
  const names = [...models.keys()];
  const exact = wanted === undefined ? [] : [...models].filter(([whole, parts]) => [whole, ...parts].some((file) => file.toLowerCase() === wanted));
  const within = (whole: string): boolean => wanted !== undefined && whole.toLowerCase().split(/[-_.]/).join('.').concat('.').includes(`.${wanted.split(/[-_.]/).join('.')}.`);
  const fitting = exact.length > 0 ? exact : [...models].filter(([whole]) => wanted === undefined || within(whole));
  if (fitting.length > 1) {
    throw hubError('E744', `${text} has ${fitting.length} GGUF models${wanted === undefined ? '' : ` that '${name.choice ?? ''}' may mean`}: ${fitting.slice(0, 30).map(([whole]) => whole).join(', ')}`,
      `choose one: hf:${name.repo}:${quantisation(fitting[0]?.[0] ?? '')}`, ExitCode.usage);
  }
  if (fitting.length === 0 && wanted !== undefined && names.length > 0) {
    throw hubError('E744', `${text}: no GGUF file fits '${name.choice ?? ''}'; there are ${names.slice(0, 30).join(', ')}`, undefined, ExitCode.usage);
  }
  return fitting[0]?.[1] ?? [];
}

/** The quantisation in a file's name, or the name. */
function quantisation(file: string): string {
  return /[-_.]((?:IQ|Q|BF|F|MXFP)\d[\w]*)\.gguf$/i.exec(file)?.[1] ?? file;
}
