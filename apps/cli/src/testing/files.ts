import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { StorageService } from '@coffer/storage-core';

/** Writes files below a folder; their names are relative paths separated by `/`. */
export async function putFiles(folder: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
}

/** The text of every file below a folder, dotfiles included, by its relative path. */
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

/** The text of every object of a bucket, by its key. */
export async function objectsIn(storage: StorageService, bucket: string): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  for await (const { key } of storage.listFiles({ bucket })) found[key] = (await storage.downloadFile({ bucket, key })).toString();
  return found;
}
