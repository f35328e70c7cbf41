import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const mostWaiting = 32;

/**
 * Has each connection's requests begun one after the other, in their order, each once the one before it is answered. Node begins
 * all that have come at once: a GET would not find what the PUT before it writes, and one connection could have any number under way.
 * None is begun after an answer that closes the connection.
 * @see RFC 9112, section 9.3.2
 */
export function requestsInTurn(): (incoming: IncomingMessage, outgoing: ServerResponse, begin: () => void) => void {
  const lines = new WeakMap<Socket, { last: ServerResponse; waiting: number }>();
  return ({ socket }, outgoing, begin) => {
    const line = lines.get(socket);
    if (line === undefined || line.last.closed) {
      lines.set(socket, { last: outgoing, waiting: 0 });
      begin();
      return;
    }
    const next = (): void => {
      line.waiting--;
      if (!socket.writable) return;
      if (line.waiting === 0) socket.resume();
      begin();
    };
    line.last.once('close', () => setImmediate(next)); // other connections have their turn in between
    line.last = outgoing;
    // No more is read than is answered. Once all that was read is parsed: after each request, Node would read on.
    if (++line.waiting === mostWaiting) process.nextTick(() => line.waiting >= mostWaiting && socket.pause());
  };
}
