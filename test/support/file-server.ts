/** A small HTTP(S) server for a directory: ranges, conditional requests, logins, faults on order. */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

/** What to do with the requests whose path matches. */
export interface Fault {
  match: RegExp;
  /** Only for so many requests. @default all */
  times?: number;
  /** Wait so many milliseconds before the answer. */
  delay?: number;
  /** Send the head and the first bytes, then nothing more. */
  hang?: boolean;
  /** Answer with this status and no content. */
  status?: number;
  /** Close the connection after so many bytes of content. */
  cutAfter?: number;
}

export interface FileServerOptions {
  /** `user:password`; other requests are answered with 401. */
  login?: string;
  /** Serves HTTPS. */
  tls?: { key: Buffer; cert: Buffer };
}

export interface FileServer extends AsyncDisposable {
  readonly url: string;
  /** `GET /path`, in order of arrival. */
  readonly requests: string[];
  /** The first match decides. Change at will. */
  faults: Fault[];
  /** The most requests that waited for their answer at one time, of those with a `delay`. */
  readonly most: number;
  stop(): Promise<void>;
}

export async function serveDirectory(
  directory: string,
  options: FileServerOptions = {},
): Promise<FileServer> {
  const requests: string[] = [];
  let current = 0;
  let most = 0;
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response).catch((error: Error) => response.destroy(error));
  };
  const { tls, login } = options;
  const server = tls ? createSecureServer(tls, listener) : createServer(listener);
  const authorization = login && `Basic ${Buffer.from(login).toString('base64')}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    requests.push(`${request.method} ${name}`);
    if (authorization && request.headers.authorization !== authorization) {
      return void response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end();
    }
    const fault = result.faults.find(({ match, times }) => times !== 0 && match.test(name));
    if (fault?.times) fault.times -= 1;
    if (fault?.delay) {
      current += 1;
      most = Math.max(most, current);
      await new Promise((resolve) => setTimeout(resolve, fault.delay));
      // Before the answer: a client may send its next request the moment it has the last byte.
      current -= 1;
    }
    if (fault?.status) return void response.writeHead(fault.status).end();
    const file = path.join(directory, path.normalize(name));
    const info = await stat(file).catch(() => undefined);
    if (!info?.isFile()) return void response.writeHead(404).end();
    const modified = info.mtime.toUTCString();
    response.setHeader('Last-Modified', modified);
    response.setHeader('Accept-Ranges', 'bytes');
    if (request.headers['if-modified-since'] === modified) {
      return void response.writeHead(304).end();
    }
    const start = rangeStart(request, modified);
    if (start > 0 && start >= info.size) {
      return void response.writeHead(416, { 'Content-Range': `bytes */${info.size}` }).end();
    }
    response.setHeader('Content-Length', info.size - start);
    if (start > 0) {
      response.setHeader('Content-Range', `bytes ${start}-${info.size - 1}/${info.size}`);
    }
    response.writeHead(start > 0 ? 206 : 200);
    if (request.method === 'HEAD') return void response.end();
    const limit = fault?.hang ? 1 : fault?.cutAfter;
    if (limit === undefined) return void createReadStream(file, { start }).pipe(response);
    for await (const chunk of createReadStream(file, { start, end: start + limit - 1 })) {
      response.write(chunk);
    }
    if (!fault?.hang) response.socket?.end();
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const result: FileServer = {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    faults: [],
    get most() {
      return most;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
  return result;
}

/** Where `Range: bytes=N-` begins; 0 without one, or if the file changed since. */
function rangeStart(request: IncomingMessage, modified: string): number {
  const condition = request.headers['if-range'];
  if (condition !== undefined && condition !== modified) return 0;
  return Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
}
