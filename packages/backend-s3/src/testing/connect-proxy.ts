import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ConnectProxy extends AsyncDisposable {
  readonly url: string;
  /** Host and port of each requested tunnel. */
  readonly tunnels: readonly string[];
  /** The number of open tunnels. */
  readonly open: () => number;
  /**
   * What a client gets instead of a tunnel: an answer, an end, silence, or (`hole`) a tunnel behind which nothing answers. Undefined: a
   * tunnel.
   */
  answer: `${number} ${string}` | 'end' | 'silence' | 'hole' | undefined;
}

/** Another request may follow on the connection, which its client has to close if none does. */
function refuse(client: Socket, status: string): void {
  client.resume().once('end', () => client.end());
  client.write(`HTTP/1.1 ${status}\r\ncontent-length: 0\r\n\r\n`);
}

/** An HTTP proxy with a password, as in companies that let nothing else out. */
export async function connectProxy(): Promise<ConnectProxy> {
  const tunnels: string[] = [];
  const sockets = new Set<Duplex>();
  const server = createServer();
  server.on('connect', ({ url = '', headers }, client: Socket): unknown => {
    tunnels.push(url);
    sockets.add(client.once('close', () => sockets.delete(client)).on('error', () => {}));
    if (headers['proxy-authorization'] !== `Basic ${Buffer.from('user:secret').toString('base64')}`) return refuse(client, '407 No');
    const { answer } = proxy;
    if (answer === 'hole') client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    if (answer === 'silence' || answer === 'hole') return void client.resume().once('end', () => client.end());
    if (answer !== undefined) return answer === 'end' ? client.end() : refuse(client, answer);
    const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(url) ?? [];
    const behind = connect(Number(port), host.endsWith('.localhost') ? '127.0.0.1' : host, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(behind).pipe(client);
    });
    behind.on('error', () => client.destroy()).on('close', () => client.destroy());
    return client.on('close', () => behind.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: ConnectProxy = {
    url: `http://user:secret@127.0.0.1:${(server.address() as AddressInfo).port}`,
    tunnels,
    open: () => sockets.size,
    answer: undefined,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
