/** Names of models on a hub, and what of a hub's answers may become part of a path. */
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';

/**
 * E741: the hub cannot be reached, or refuses. E742: its bytes are not what it announced. E743: the cache does not have the model.
 * E744: a name that is none, or that would leave the cache.
 */
export type HubCode = 'E741' | 'E742' | 'E743' | 'E744';

export function hubError(code: HubCode, message: string, hint?: string, exitCode: ExitCode = ExitCode.fileSystem): PeelError {
  return new PeelError(exitCode, [{ code, severity: 'error', path: '', message, ...(hint === undefined ? {} : { hint }) }]);
}

export interface HubName {
  /** OWNER/NAME. */
  readonly repo: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  /** A GGUF file by its name, or by the quantisation in it. */
  readonly choice?: string;
}

export function isHubName(text: string): boolean {
  return text.startsWith('hf:');
}

const REPO = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9_][\w.-]{0,95}$/;
const REVISION = /^[A-Za-z0-9][\w./-]{0,200}$/;

/** `hf:OWNER/NAME[@REVISION][:CHOICE]`. Throws PeelError (exit code 2) for anything else. */
export function parseHubName(text: string): HubName {
  const match = /^hf:([^@:]*)(?:@([^:]*))?(?::(.*))?$/.exec(text);
  const [, repo = '', revision = 'main', choice] = match ?? [];
  const bad = (message: string): never => { throw hubError('E744', `${text.slice(0, 200)}: ${message}`, 'write hf:OWNER/NAME, hf:OWNER/NAME@REVISION, or hf:OWNER/NAME:Q4_K_M for one file of several', ExitCode.usage); };
  if (!REPO.test(repo) || repo.includes('..') || repo.includes('--')) bad('this is no OWNER/NAME of a model');
  if (!REVISION.test(revision) || !isPlainPath(revision)) bad('this is no revision');
  if (choice === '') bad('a file or a quantisation was expected behind the colon');
  return { repo, revision, ...(choice === undefined ? {} : { choice }) };
}

/** Whether a path that a hub gave names something inside a folder, spelled in one way only. */
export function isPlainPath(name: string): boolean {
  return name.length <= 1000 && !/[\\:\u0000-\u001f\u007f]/.test(name) && name.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && part.length <= 255);
}

export function isCommit(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-f]{40}$/.test(text);
}
