import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const mostWaiting = 32;

interface Line {
  last: ServerResponse;
  waiting: number;
  isHeld: boolean;
}

/**
 * Has each connection's requests begun one after the other, in their order, each once the one before it is answered. Node begins
 * all that have come at once: a GET would not find what the PUT before it writes, and one connection could have any number under way.
 * None is begun after an answer that closes the connection.
 * @see RFC 9112, section 9.3.2
 */
export function requestsInTurn(): (incoming: IncomingMessage, outgoing: ServerResponse, begin: () => void) => void {
  const lines = new WeakMap<Socket, Line>();
  return ({ socket }, outgoing, begin) => {
    if (!socket.writable) return;
    const line = lines.get(socket);
    if (line !== undefined && !line.last.closed) return join(line, socket, outgoing, begin);
    if (line === undefined) lines.set(socket, { last: outgoing, waiting: 0, isHeld: false });
    else line.last = outgoing;
    begin();
  };
}

function join(line: Line, socket: Socket, outgoing: ServerResponse, begin: () => void): void {
  const next = (): void => {
    line.waiting--;
    if (!socket.writable) return;
    if (line.waiting === 0) {
      line.isHeld = false;
      socket.off('resume', hold).resume();
    }
    begin();
  };
  line.last.once('close', () => setImmediate(next)); // other connections have their turn in between
  line.last = outgoing;
  line.waiting++;
  if (line.waiting < mostWaiting || line.isHeld) return;
  line.isHeld = true;
  socket.on('resume', hold).pause();
}

/** No more is read than is answered: Node reads on after each request, and whenever what it has written is out. */
function hold(this: Socket): void {
  this.pause();
}
