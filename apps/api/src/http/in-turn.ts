import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** With this many requests waiting, the connection is not read any further. */
const mostWaiting = 32;
/**
 * What was read by then may hold thousands of very short requests, each taking some kilobytes while it waits. This many requests with a
 * token fit into one read.
 */
const mostInLine = 256;

interface Line {
  last: ServerResponse;
  waiting: number;
  isHeld: boolean;
  /** Refuses bytes that came after `last`, or as the rest of that request, and are not a valid request. */
  refuse: (() => void) | undefined;
}

export interface Turns {
  /** Calls `begin` when it is the request's turn. */
  take(incoming: IncomingMessage, outgoing: ServerResponse, begin: () => void): void;
  /**
   * Calls `refuse` for unparsable bytes on a connection when it is their turn, unless whole requests arrive after all.
   * @returns false, and never calls `refuse`, if it is their turn now or if the broken request is the one being handled
   */
  waitToRefuse(socket: Socket, refuse: () => void): boolean;
}

/**
 * Begins the requests of each connection one by one, in order, each once the previous one is answered. Node begins all that have arrived
 * at once: a GET would miss what the PUT before it writes, and one connection could run any number of requests. None begins after
 * an answer that closes the connection. A connection with more waiting requests than any client sends is cut: what was read of them
 * cannot be put back for later.
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
      if (line.refuse !== undefined) return true; // more of it has arrived
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
  line.last.once('close', () => setImmediate(next)); // lets other connections have a turn in between
  line.last = outgoing;
  line.refuse = undefined;
  line.waiting++;
  if (line.waiting > mostInLine) socket.destroy();
  if (line.waiting < mostWaiting || line.isHeld) return;
  line.isHeld = true;
  socket.on('resume', hold).pause();
}

/** Reads no more than is answered: Node resumes the socket after each request, and whenever its writes have drained. */
function hold(this: Socket): void {
  this.pause();
}
