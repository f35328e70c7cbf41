import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** From so many on, nothing more is read. */
const mostWaiting = 32;
/**
 * What has been read by then may hold thousands of the shortest requests, each of which takes some kilobytes until its turn. As many as
 * fit into one read where they have a token.
 */
const mostInLine = 256;

interface Line {
  last: ServerResponse;
  waiting: number;
  isHeld: boolean;
  /** Of what came after `last`, or of the rest of that request, and is none. */
  refuse: (() => void) | undefined;
}

export interface Turns {
  /** Has a request begun when it is its turn. */
  take(incoming: IncomingMessage, outgoing: ServerResponse, begin: () => void): void;
  /**
   * Has what came on a connection, and is no request, refused when it is its turn, unless whole requests come after all.
   * @returns false when it is now, or the request under way is the one that is broken: then nothing is called
   */
  waitToRefuse(socket: Socket, refuse: () => void): boolean;
}

/**
 * Has each connection's requests begun one after the other, in their order, each once the one before it is answered. Node begins
 * all that have come at once: a GET would not find what the PUT before it writes, and one connection could have any number under way.
 * None is begun after an answer that closes the connection. One with more of them in line than any client sends is cut: what of them
 * was read cannot be left for later, and nobody could take it back.
 * @see RFC 9112, section 9.3.2
 */
export function requestsInTurn(): Turns {
  const lines = new WeakMap<Socket, Line>();
  return {
    take({ socket }, outgoing, begin) {
      if (!socket.writable) return;
      const line = lines.get(socket);
      if (line !== undefined && !line.last.closed) return join(line, socket, outgoing, begin);
      if (line === undefined) lines.set(socket, { last: outgoing, waiting: 0, isHeld: false, refuse: undefined });
      else line.last = outgoing;
      begin();
    },
    waitToRefuse(socket, refuse) {
      const line = lines.get(socket);
      if (line === undefined || line.last.closed) return false;
      if (line.refuse !== undefined) return true; // more of it has come
      const { last } = line;
      if (!last.req.complete && line.waiting === 0) return false;
      line.refuse = refuse;
      last.once('close', () => {
        if (line.refuse !== refuse) return;
        line.refuse = undefined;
        if (socket.writable) refuse();
      });
      return true;
    },
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
    if (line.refuse === undefined || outgoing.req.complete) begin();
    else line.refuse();
  };
  line.last.once('close', () => setImmediate(next)); // other connections have their turn in between
  line.last = outgoing;
  line.refuse = undefined;
  line.waiting++;
  if (line.waiting > mostInLine) socket.destroy();
  if (line.waiting < mostWaiting || line.isHeld) return;
  line.isHeld = true;
  socket.on('resume', hold).pause();
}

/** No more is read than is answered: Node reads on after each request, and whenever what it has written is out. */
function hold(this: Socket): void {
  this.pause();
}
