import { fsync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Makes what was written by a handle durable. By its descriptor: the handles that Yarn's Plug'n'Play puts in the place of Node's cannot sync. */
export async function sync({ fd }: FileHandle): Promise<void> {
  await promisify(fsync)(fd);
}
