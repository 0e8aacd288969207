/** A server on this machine that speaks the parts of the hub's API that pulling needs, and can be told to misbehave. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';

export interface Asked { readonly method: string; readonly url: string; readonly range: string | undefined; readonly authorization: string | undefined }

/** True where it has answered. */
export type Misbehaviour = (request: IncomingMessage, response: ServerResponse, hub: FakeHub) => boolean;

export class FakeHub {
  readonly asked: Asked[] = [];
  readonly files = new Map<string, Buffer>();
  /** Paths whose digest in the listing is sha256, as for large files. */
  large = /\.(safetensors|gguf)$/;
  misbehave: Misbehaviour = () => false;
  /** Replaces the listing's entries. */
  listing: ((entries: Record<string, unknown>[]) => unknown) | undefined;
  commit: string = COMMIT;
  private server: Server | undefined;
  endpoint = '';

  async start(): Promise<this> {
    const server = createServer((request, response) => {
      const { authorization, range } = request.headers;
      this.asked.push({ method: request.method ?? '', url: request.url ?? '', range, authorization });
      if (!this.misbehave(request, response, this)) this.answer(request, response);
    });
    this.server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return this;
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve));
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.endpoint);
    const json = (value: unknown, headers: Record<string, string> = {}): void => { response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value)); };
    if (/^\/api\/models\/[^/]+\/[^/]+\/revision\//.test(url.pathname)) {
      json({ _id: '1', id: 'owner/name', sha: this.commit, private: false, gated: false, downloads: 0, likes: 0, lastModified: '2024-01-01T00:00:00.000Z' });
    } else if (/\/tree\//.test(url.pathname)) {
      const entries = [...this.files].map(([path, data]) => ({
        type: 'file', path, size: data.length, oid: createHash('sha1').update(`blob ${data.length}\0`).update(data).digest('hex'),
        ...(this.large.test(path) ? { lfs: { oid: createHash('sha256').update(data).digest('hex'), size: data.length, pointerSize: 130 } } : {}),
      }));
      // Two pages.
      const listed = this.listing ? this.listing(entries) : entries;
      const half = Math.ceil(entries.length / 2);
      if (!Array.isArray(listed)) json(listed);
      else if (url.searchParams.has('cursor')) json(listed.slice(half));
      else json(listed.slice(0, half), listed.length > half ? { link: `<${this.endpoint}${url.pathname}?cursor=2>; rel="next"` } : {});
    } else {
      const path = decodeURIComponent(/\/resolve\/[^/]+\/(.*)$/.exec(url.pathname)?.[1] ?? '');
      const data = this.files.get(path);
      if (data) this.send(request, response, data);
      else response.writeHead(404).end('nothing');
    }
  }

  send(request: IncomingMessage, response: ServerResponse, data: Buffer, options: { ranges?: boolean; stopAfter?: number } = {}): void {
    const from = options.ranges === false ? undefined : /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
    const body = from === undefined ? data : data.subarray(Number(from));
    response.writeHead(from === undefined ? 200 : 206, {
      'content-length': body.length, ...(from === undefined ? {} : { 'content-range': `bytes ${from}-${data.length - 1}/${data.length}` }),
    });
    if (options.stopAfter === undefined) response.end(body);
    else response.write(body.subarray(0, options.stopAfter), () => setTimeout(() => response.destroy(), 20));
  }
}
