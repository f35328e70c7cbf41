import type { Server } from 'node:http';

/**
 * Stops taking connections and lets what is in flight finish, for at most `deadlineMs`; then cuts it.
 * `server.close()` alone waits for idle keep-alive sockets and still serves requests on them.
 */
export async function drain(server: Server, deadlineMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const idle = setInterval(() => server.closeIdleConnections(), 200);
  const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs);
  await closed;
  clearInterval(idle);
  clearTimeout(deadline);
}

/** Ends a server whose answers nobody waits for. */
export async function closeNow(server: Server): Promise<void> {
  await drain(server, 0);
}
