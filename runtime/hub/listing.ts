/** What a repository has: its commit, and its files with their digests. */
import { PeelError } from '../../compiler/diagnostics.ts';
import { hubError, isCommit, isPlainPath, type HubName } from './name.ts';
import { requestWhole, type Hub } from './request.ts';

export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** Digest: sha256 of large files, git's sha1 (of `blob <size>\0` and the content) of small ones. */
  readonly digest: string;
}

export interface Listing { readonly commit: string; readonly files: readonly HubFile[] }

const MOST_FILES = 100_000;

/** Throws PeelError (exit code 14): E741 where the hub refuses or is not there, E744 for answers that no path may be made of. */
export async function listRepo(hub: Hub, { repo, revision }: HubName): Promise<Listing> {
  const { listFiles, modelInfo } = await import('@huggingface/hub');
  const what = `${new URL(hub.endpoint).host}, ${repo}`;
  // The library asks; how, is ours: its requests carry no token, and are not asked twice.
  const ask: typeof fetch = async (input) => {
    const address = typeof input === 'string' ? input : input instanceof URL ? input.href : input.url;
    const response = await requestWhole(hub, address, { accept: 'application/json' }, what);
    if (!response.ok) throw refusal(hub, response.status, repo, revision);
    return response;
  };
  const malformed = (error: unknown): never => {
    if (error instanceof PeelError) throw error;
    throw hubError('E741', `${what}: the answer is not what the hub's API gives`);
  };
  const info = await modelInfo({ name: repo, revision, hubUrl: hub.endpoint, additionalFields: ['sha'], fetch: ask }).catch(malformed);
  const commit: unknown = info.sha;
  if (!isCommit(commit)) throw hubError('E744', `${what}: the hub gives no commit for ${revision}`);
  const files: HubFile[] = [];
  try {
    for await (const entry of listFiles({ repo, revision: commit, recursive: true, hubUrl: hub.endpoint, fetch: ask })) {
      if (entry.type !== 'file') continue;
      const digest = entry.lfs?.oid ?? entry.oid;
      const size = entry.lfs?.size ?? entry.size;
      if (typeof entry.path !== 'string' || !isPlainPath(entry.path)) throw hubError('E744', `${what}: the hub lists a file that would leave the cache: ${JSON.stringify(entry.path).slice(0, 200)}`);
      if (typeof digest !== 'string' || !/^([0-9a-f]{64}|[0-9a-f]{40})$/.test(digest) || !Number.isSafeInteger(size) || size < 0) throw hubError('E744', `${what}: the hub gives no digest or size for ${entry.path}`);
      files.push({ path: entry.path, size, digest });
      if (files.length > MOST_FILES) throw hubError('E741', `${what}: more than ${MOST_FILES} files`);
    }
  } catch (error) {
    malformed(error);
  }
  return { commit, files };
}

/** Why a hub says no. It hides private and gated repositories behind 401 and 404. */
export function refusal(hub: Hub, status: number, repo: string, revision: string): Error {
  const host = new URL(hub.endpoint).host;
  const place = `${hub.endpoint}/${repo}`;
  const withToken = hub.token === undefined ? 'set HF_TOKEN to a token that may read it' : 'does HF_TOKEN belong to an account that may read it?';
  switch (status) {
    case 401: return hubError('E741', `${host} does not let you read ${repo} (401): it is private or gated, or does not exist`, `check the name; ${withToken}`);
    case 403: return hubError('E741', `${host} does not let you read ${repo} (403): it is gated`, `accept its conditions at ${place}, then ${withToken}`);
    case 404: return hubError('E741', `${host} has no ${repo} with a revision '${revision}' (404), or it is private or gated`, `check the name at ${place}; ${withToken}`);
    default: return hubError('E741', `${host} answers ${status} for ${repo}`);
  }
}
