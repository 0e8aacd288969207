/** Requests to a hub: a token for its own address alone, redirects followed by hand, patience with servers that are busy. */
import { PeelError } from '../../compiler/diagnostics.ts';
import { hubError } from './name.ts';

export interface Hub {
  /** Address without a slash at its end. */
  readonly endpoint: string;
  readonly token?: string;
  /** Attempts in a row that may fail without a byte received. */
  readonly attempts: number;
  /** Milliseconds without a byte after which a connection counts as lost. */
  readonly idle: number;
  /** Milliseconds before the second attempt; twice as many before each further one. */
  readonly pause: number;
  readonly onRetry?: (why: string) => void;
}

const MOST_REDIRECTS = 8;
const LONGEST_PAUSE = 60_000;

/** The hub that the environment names: HF_ENDPOINT, HF_TOKEN. Throws PeelError (exit code 14) for an address that is none. */
export function hubFrom(environment: NodeJS.ProcessEnv = process.env): Hub {
  const endpoint = (environment.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '');
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) throw hubError('E741', `HF_ENDPOINT is no web address: ${endpoint.slice(0, 200)}`);
  const token = environment.HF_TOKEN?.trim();
  return { endpoint, attempts: 6, idle: 30_000, pause: 500, ...(token ? { token } : {}) };
}

/** A failure that may pass; `wait` is what the server asked for, in milliseconds. */
export class Passing extends Error {
  constructor(message: string, readonly wait?: number) { super(message); }
}

/** Stops a request that stays silent. */
export class Watch {
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  constructor(private readonly idle: number) { this.alive(); }
  get signal(): AbortSignal { return this.controller.signal; }
  alive(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.controller.abort(new Passing(`nothing was received for ${this.idle / 1000} s`)), this.idle);
  }
  stop(): void {
    clearTimeout(this.timer);
    this.controller.abort();
  }
}

/** One attempt. The token goes to the hub's own origin and nowhere else. Throws Passing where another attempt may help. */
export async function attempt(hub: Hub, address: string, headers: Readonly<Record<string, string>>, watch: Watch): Promise<Response> {
  let url = new URL(address);
  const home = new URL(hub.endpoint);
  for (let redirects = 0; ; redirects++) {
    const own = url.origin === home.origin && hub.token !== undefined ? { authorization: `Bearer ${hub.token}` } : {};
    let response: Response;
    try {
      response = await fetch(url, { headers: { 'user-agent': 'peel', ...headers, ...own }, redirect: 'manual', signal: watch.signal });
    } catch (error) {
      throw passing(error, watch);
    }
    watch.alive();
    const next = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && response.status !== 304 && next !== null) {
      await response.body?.cancel();
      if (redirects >= MOST_REDIRECTS) throw hubError('E741', `${home.host} redirects more than ${MOST_REDIRECTS} times`);
      const target = URL.canParse(next, url) ? new URL(next, url) : undefined;
      if (!target || !/^https?:$/.test(target.protocol) || (url.protocol === 'https:' && target.protocol === 'http:')) throw hubError('E741', `${home.host} redirects to an address that is not safe to follow`);
      url = target;
      continue;
    }
    if (response.status === 429 || response.status === 408 || response.status >= 500) {
      await response.body?.cancel().catch(() => undefined);
      throw new Passing(`${url.host} answers ${response.status}`, retryAfter(response));
    }
    return response;
  }
}

function retryAfter(response: Response): number | undefined {
  const text = response.headers.get('retry-after');
  const seconds = text === null ? NaN : Number(text);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

/** The body piece by piece, each of which keeps the watch quiet. */
export async function* chunksOf(response: Response, watch: Watch): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = response.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      watch.alive();
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** What a connection failed with, as a reason to try again. */
export function passing(error: unknown, watch: Watch): Passing {
  if (error instanceof Passing) return error;
  if (watch.signal.reason instanceof Passing) return watch.signal.reason;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return new Passing(code !== '' ? `the connection failed (${code})` : 'the connection was lost');
}

/** Waits before another attempt, or gives up. `failed` counts attempts in a row. */
export async function pauseAfter(hub: Hub, failed: number, error: Passing, what: string): Promise<void> {
  if (failed >= hub.attempts) throw hubError('E741', `${what}: ${error.message}, ${failed} times in a row`, 'pull again later: what is there already is kept');
  const wait = Math.min(LONGEST_PAUSE, error.wait ?? hub.pause * 2 ** (failed - 1) * (0.75 + Math.random() / 2));
  hub.onRetry?.(`${what}: ${error.message}; trying again`);
  await new Promise((resolve) => setTimeout(resolve, wait));
}

/** A small answer, whole: read within limits, asked for again where that may help. For the API. */
export async function requestWhole(hub: Hub, address: string, headers: Readonly<Record<string, string>>, what: string): Promise<Response> {
  for (let failed = 1; ; failed++) {
    const watch = new Watch(hub.idle);
    try {
      const response = await attempt(hub, address, headers, watch);
      const chunks: Uint8Array[] = [];
      let size = 0;
      try {
        for await (const chunk of chunksOf(response, watch)) {
          size += chunk.byteLength;
          if (size > 64 << 20) throw hubError('E741', `${what}: the answer is longer than 64 MiB`);
          chunks.push(chunk);
        }
      } catch (error) {
        throw error instanceof PeelError ? error : passing(error, watch);
      }
      const { status, headers: received } = response;
      return new Response(status === 204 || status === 304 ? null : Buffer.concat(chunks), { status, headers: received });
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      await pauseAfter(hub, failed, error, what);
    } finally {
      watch.stop();
    }
  }
}
