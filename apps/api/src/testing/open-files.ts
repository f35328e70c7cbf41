import { readdir, readlink } from 'node:fs/promises';

/** Number of files below a directory that this process holds open, without SQLite's own; always 0 where the system does not tell. */
export async function openFilesBelow(directory: string): Promise<number> {
  if (process.platform !== 'linux') return 0;
  const links = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return links.filter((link) => link.startsWith(directory) && !link.includes('index.db')).length;
}
