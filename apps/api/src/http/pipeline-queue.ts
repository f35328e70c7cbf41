import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** With this many requests waiting, the connection is not read any further. */
const maxWaiting = 32;
/**
 * What was read by then may hold thousands of very short requests, each taking some kilobytes while it waits. This many requests with a
 * token fit into one read.
 */
const maxQueued = 256;

interface ConnectionQueue {
  last: ServerResponse;
  waiting: number;
  isPaused: boolean;
  /** Refuses bytes that came after `last`, or as the rest of that request, and are not a valid request. */
  refuse: (() => void) | undefined;
}

export interface PipelineQueue {
  /** Calls `begin` when it is the request's turn. */
  enqueue(incoming: IncomingMessage, outgoing: ServerResponse, begin: () => void): void;
  /**
   * Calls `refuse` for unparsable bytes on a connection when it is their turn, unless whole requests arrive after all.
   * @returns false, and never calls `refuse`, if it is their turn now or if the broken request is the one being handled
   */
  deferRefusal(socket: Socket, refuse: () => void): boolean;
}

/**
 * Begins the requests of each connection one by one, in order, each once the previous one is answered. Node begins all that have arrived
 * at once: a GET would miss what the PUT before it writes, and one connection could run any number of requests. None begins after
 * an answer that closes the connection. A connection with more waiting requests than any client sends is cut: what was read of them
 * cannot be put back for later.
 * @see RFC 9112, section 9.3.2
 */
export function pipelineQueue(): PipelineQueue {
  const queues = new WeakMap<Socket, ConnectionQueue>();
  return {
    enqueue({ socket }, outgoing, begin) {
      if (!socket.writable) return;
      const queue = queues.get(socket);
      if (queue !== undefined && !queue.last.closed) return waitInQueue(queue, socket, outgoing, begin);
      if (queue === undefined) queues.set(socket, { last: outgoing, waiting: 0, isPaused: false, refuse: undefined });
      else queue.last = outgoing;
      begin();
    },
    deferRefusal(socket, refuse) {
      const queue = queues.get(socket);
      if (queue === undefined || queue.last.closed) return false;
      if (queue.refuse !== undefined) return true; // more of it has arrived
      const { last } = queue;
      if (!last.req.complete && queue.waiting === 0) return false;
      queue.refuse = refuse;
      last.once('close', () => {
        if (queue.refuse !== refuse) return;
        queue.refuse = undefined;
        if (socket.writable) refuse();
      });
      return true;
    },
  };
}

function waitInQueue(queue: ConnectionQueue, socket: Socket, outgoing: ServerResponse, begin: () => void): void {
  const next = (): void => {
    queue.waiting--;
    if (!socket.writable) return;
    if (queue.waiting === 0) {
      queue.isPaused = false;
      socket.off('resume', keepPaused).resume();
    }
    if (queue.refuse === undefined || outgoing.req.complete) begin();
    else queue.refuse();
  };
  queue.last.once('close', () => setImmediate(next)); // lets other connections have a turn in between
  queue.last = outgoing;
  queue.refuse = undefined;
  queue.waiting++;
  if (queue.waiting > maxQueued) socket.destroy();
  if (queue.waiting < maxWaiting || queue.isPaused) return;
  queue.isPaused = true;
  socket.on('resume', keepPaused).pause();
}

/** Reads no more than is answered: Node resumes the socket after each request, and whenever its writes have drained. */
function keepPaused(this: Socket): void {
  this.pause();
}
