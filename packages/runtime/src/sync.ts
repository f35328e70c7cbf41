import { fsync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';

/**
 * Makes what was written through a handle durable. Uses its descriptor: the handles that Yarn's Plug'n'Play substitutes for Node's cannot
 * sync.
 */
export async function sync({ fd }: FileHandle): Promise<void> {
  await promisify(fsync)(fd);
}

/** Writes a file that only its owner may read; it is durable once this resolves. @param flags `wx` to fail if the file exists */
export async function writeDurably(path: string, text: string, flags: 'w' | 'wx'): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await file.writeFile(text);
    await sync(file);
  } finally {
    await file.close();
  }
}
