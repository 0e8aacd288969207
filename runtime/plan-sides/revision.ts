/** Files of a git revision, by `git`: `HEAD~1:models/llama.yaml`, spelled as for `git show`. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { ExitCode, PeelError, type Diagnostic } from '../../compiler/diagnostics.ts';
import type { ReadFile } from '../../compiler/load.ts';
import { nearest } from '../../compiler/nearest.ts';

/** Most bytes of one file: a saved plan may be large. */
const MOST_BYTES = 256 << 20;

export interface RevisionFile {
  /** As it was named. */
  readonly name: string;
  readonly revision: string;
  /** From the repository's root. */
  readonly file: string;
  /** The repository's folder. */
  readonly root: string;
  readonly content: Uint8Array;
  /** Any file of the revision, by its path from the root; undefined where there is none. */
  readonly read: ReadFile;
}

/** `REVISION:FILE` taken apart; undefined for what is no such name. An empty revision is what is staged. */
export function revisionAndFile(name: string): { readonly revision: string; readonly file: string } | undefined {
  // A revision may hold colons in braces only: master@{10:00}. C:\models is a path of Windows.
  const found = /^((?:[^:{]|\{[^}]*\})*):(.*)$/s.exec(name);
  const [, revision, file] = found ?? [];
  return revision === undefined || file === undefined || (revision.length === 1 && /^[\\/]/.test(file)) ? undefined : { revision, file };
}

function failed(name: string, message: string, hint?: string): PeelError {
  const diagnostic: Diagnostic = { code: 'E721', severity: 'error', path: '', message: `${name} cannot be read: ${message}`, ...(hint === undefined ? {} : { hint }) };
  return new PeelError(ExitCode.fileSystem, [diagnostic]);
}

/** Opens a file of a revision of the repository that `folder` lies in. Throws PeelError (exit code 14) where git, the repository, the revision or the file is not there. */
export function openRevision(name: string, parts: { readonly revision: string; readonly file: string }, folder = process.cwd()): RevisionFile {
  const { revision } = parts;
  const git = (...args: string[]): { ok: boolean; out: Buffer; problem: string } => {
    const { error, status, stdout, stderr } = spawnSync('git', args, { cwd: folder, maxBuffer: MOST_BYTES, stdio: ['ignore', 'pipe', 'pipe'] });
    if (error && 'code' in error && error.code === 'ENOENT') throw failed(name, 'git, which holds the revisions, is not installed or not on the PATH');
    if (error) throw failed(name, `git: ${error.message}`);
    return { ok: status === 0, out: stdout, problem: (stderr.toString().trim().split('\n')[0] ?? '').replace(/^fatal: /, '') };
  };
  const text = (...args: string[]): string => git(...args).out.toString().replace(/\n$/, '');

  const top = git('rev-parse', '--show-toplevel');
  if (!top.ok) throw failed(name, /not a git repository/.test(top.problem) ? 'this folder is in no git repository' : `git: ${top.problem}`);
  const root = top.out.toString().replace(/\n$/, '');
  if (revision.startsWith('-')) throw failed(name, `'${revision}' is no revision`);
  if (revision !== '' && !git('rev-parse', '--verify', '--quiet', `${revision}^{tree}`).ok) throw failed(name, `there is no revision '${revision}'`, otherRevision(revision, text));
  // What a branch is called by may change while files are read: it is looked up once.
  const tree = revision === '' ? '' : text('rev-parse', `${revision}^{tree}`);
  const known = new Map<string, Uint8Array | undefined>();
  const read = (file: string): Uint8Array | undefined => {
    if (file.startsWith('/') || file.startsWith('../')) return undefined;
    if (!known.has(file)) {
      const blob = git('cat-file', 'blob', `${tree}:${file}`);
      known.set(file, blob.ok ? blob.out : undefined);
    }
    return known.get(file);
  };
  const relative = /^\.\.?\//.test(parts.file);
  const prefix = text('rev-parse', '--show-prefix');
  const file = path.posix.normalize(relative ? prefix + parts.file : parts.file);
  const content = parts.file === '' ? undefined : read(file);
  if (content !== undefined) return { name, revision, file, root, content, read };

  const where = revision === '' ? 'what is staged' : `'${revision}'`;
  if (parts.file === '') throw failed(name, 'no file is named after the colon');
  if (git('cat-file', '-e', `${tree}:${file}`).ok) throw failed(name, 'it is a folder', 'name a spec or a saved plan in it');
  const files = text('ls-tree', '-r', '--name-only', '--full-tree', revision === '' ? 'HEAD' : tree).split('\n');
  const close = [`${prefix}${parts.file}`, `models/${file}.yaml`, `${file}.yaml`].find((candidate) => files.includes(candidate)) ?? nearest(file, files.filter((f) => /\.(ya?ml|json)$/.test(f)));
  throw failed(name, `${where} has no file ${file}`, close === undefined ? 'paths begin at the root of the repository, or with ./ where you are' : `did you mean ${revision}:${close}?`);
}

/** What to do where there is no such revision. */
function otherRevision(revision: string, text: (...args: string[]) => string): string | undefined {
  if (text('rev-parse', '--is-shallow-repository') === 'true') return 'this clone is shallow: fetch more of its history (git fetch --unshallow; fetch-depth: 0 of actions/checkout)';
  const close = nearest(revision, text('for-each-ref', '--format=%(refname:short)').split('\n').filter((ref) => ref !== ''));
  return close === undefined ? undefined : `did you mean '${close}'?`;
}
