/** An HTTP proxy on loopback: forwards requests and, by CONNECT, connections. */

import { createServer, type IncomingMessage, request as send } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface Proxy extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** What was asked for, in order: `GET http://...`, `CONNECT host:port`. */
  readonly requests: string[];
}

/** @param login `user:password` that requests must have. */
export async function createProxy(login?: string): Promise<Proxy> {
  const requests: string[] = [];
  const wanted = login && `Basic ${Buffer.from(login).toString('base64')}`;
  const allowed = (request: IncomingMessage) => {
    requests.push(`${request.method} ${request.url}`);
    return !wanted || request.headers['proxy-authorization'] === wanted;
  };
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    if (!allowed(request)) return void response.writeHead(407).end();
    const { 'proxy-authorization': _login, ...headers } = request.headers;
    const forward = send(request.url ?? '', { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    forward.on('error', () => response.writeHead(502).end());
    request.pipe(forward);
  });
  server.on('connect', (request, client: Socket) => {
    sockets.add(client);
    client.on('error', () => {});
    if (!allowed(request)) return void client.end('HTTP/1.1 407 Login\r\n\r\n');
    const [host = '', port] = (request.url ?? '').split(':');
    const target = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(target).pipe(client);
    });
    sockets.add(target);
    target.on('error', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
