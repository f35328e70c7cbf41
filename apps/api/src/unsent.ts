import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';

const checkMs = 100;

/**
 * Resolves once clients have received what was written to connections on this port, closed ones included, or `isOver`. Without that, a
 * container that ends takes its network along, and with it up to several megabytes of each answer that Node has already finished: the
 * client waits for them in vain. At once where there is no /proc, as outside of Linux.
 */
export async function allReceived(port: number, isOver: () => boolean): Promise<void> {
  while (!isOver() && (await hasUnsent(port))) await setTimeout(checkMs);
}

async function hasUnsent(port: number): Promise<boolean> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/self/net/${name}`, 'latin1').catch(() => '')));
  return tables.some((table) =>
    table.split('\n').some((line) => {
      const [, local, , , queues] = line.trim().split(/\s+/);
      return local?.endsWith(suffix) === true && Number.parseInt(queues ?? '', 16) > 1; // the end of a connection counts as a byte
    }),
  );
}
