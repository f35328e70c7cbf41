import { fsync } from 'node:fs';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Creates a file that only its owner may read; it is durable once this resolves. @throws EEXIST if there is one, or a link */
export async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await promisify(fsync)(file.fd); // the handles that Yarn's Plug'n'Play substitutes for Node's cannot sync
  } finally {
    await file.close();
  }
}
