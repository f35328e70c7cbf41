import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const oldMs = 3_600_000;

/**
 * Creates a folder inside this package, where the imports of snippets resolve. Removes folders that killed runs left more than an
 * hour ago.
 */
export async function runFolder(): Promise<string> {
  const dist = fileURLToPath(new URL('../dist/', import.meta.url));
  await mkdir(dist, { recursive: true });
  for (const name of await readdir(dist)) {
    const path = join(dist, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (Date.now() - mtimeMs > oldMs) await rm(path, { recursive: true, force: true });
  }
  return mkdtemp(join(dist, 'run-'));
}
