import * as fs from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';

// By descriptor: the handles that Yarn's Plug'n'Play puts in the place of Node's cannot sync. Nor does a handle wait for this when it is
// closed: whoever closes it has waited, or has no use for the bytes.
const fsync = promisify(fs.fsync);
const fdatasync = promisify(fs.fdatasync);

/** Makes what was written by a handle durable. */
export async function sync({ fd }: FileHandle): Promise<void> {
  await fsync(fd);
}

/** The same, without the times of the file. */
export async function datasync({ fd }: FileHandle): Promise<void> {
  await fdatasync(fd);
}
