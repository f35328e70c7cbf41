import { readdir, readlink } from 'node:fs/promises';

/** How many files below a directory this process holds open, SQLite's own left out; always 0 where that cannot be seen. */
export async function openFilesBelow(directory: string): Promise<number> {
  if (process.platform !== 'linux') return 0;
  const links = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return links.filter((link) => link.startsWith(directory) && !link.includes('index.db')).length;
}
