import { fsync } from 'node:fs';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Writes a file that only its owner may read; it is durable once this resolves. @param flags `wx` to fail if the file exists */
export async function writeDurably(path: string, text: string, flags: 'w' | 'wx'): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await file.writeFile(text);
    await promisify(fsync)(file.fd); // the handles that Yarn's Plug'n'Play substitutes for Node's cannot sync
  } finally {
    await file.close();
  }
}
