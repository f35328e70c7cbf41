import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { StorageService } from '@coffer/storage-core';

/** Writes files of these names, with `/`, below a folder. */
export async function putFiles(folder: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
}

/** Every file below a folder, with its text; also those that begin with a dot. */
export async function filesIn(folder: string): Promise<Readonly<Record<string, string>>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found: Record<string, string> = {};
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    found[path.slice(folder.length + 1)] = await readFile(path, 'utf8');
  }
  return found;
}

export async function putObjects(storage: StorageService, objects: Readonly<Record<string, string | Buffer>>): Promise<void> {
  await Promise.all(Object.entries(objects).map(([key, body]) => storage.uploadFile({ key, body })));
}

/** Every object of a bucket, with its text. */
export async function objectsIn(storage: StorageService, bucket: string): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  for await (const { key } of storage.listFiles({ bucket })) found[key] = (await storage.downloadFile({ bucket, key })).toString();
  return found;
}

export function randomFile(size: number): Buffer {
  return randomBytes(size);
}
