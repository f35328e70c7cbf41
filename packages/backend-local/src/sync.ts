import * as fs from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';

// By descriptor, because the file handles that Yarn's Plug'n'Play substitutes for Node's cannot sync. Closing a handle does not wait for
// these calls: whoever closes it has awaited them, or no longer needs the bytes.
const fsync = promisify(fs.fsync);
const fdatasync = promisify(fs.fdatasync);

/** Makes what was written through a handle durable. */
export async function sync({ fd }: FileHandle): Promise<void> {
  await fsync(fd);
}

/** The same, without the timestamps of the file. */
export async function datasync({ fd }: Pick<FileHandle, 'fd'>): Promise<void> {
  await fdatasync(fd);
}
