import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

import { noContext } from '@coffer/storage-core';

import { localBackend } from '../backend.ts';
import type { LocalBackend } from '../backend.ts';
import { localHttpHandler } from '../http/handler.ts';
import type { LocalHttpOptions } from '../http/handler.ts';

/** A directory for one test, removed by `remove`. */
export async function scratch(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'coffer-local-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Relative paths of all files below a directory, except those of the index. */
export async function filesIn(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('index.db'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

/** What writes left behind and no object refers to. */
export async function leftoversIn(root: string, backend: LocalBackend): Promise<readonly string[]> {
  const temporary = (await filesIn(root)).filter((path) => path.startsWith('.tmp'));
  const { removed } = await backend.maintenance!.sweep({ olderThan: 0, dryRun: true }, noContext);
  return [...temporary, ...Array.from({ length: removed }, (_, index) => `blob ${index}`)];
}

export interface Served {
  readonly url: string;
  readonly backend: LocalBackend;
  /** The directory of the backend. */
  readonly root: string;
  stop(): Promise<void>;
}

/** A backend behind a real server, with an empty bucket called `bucket`, in a directory that is removed with it. */
export async function serve(handling: Omit<LocalHttpOptions, 'backend'> = {}): Promise<Served> {
  const { path: root, remove } = await scratch();
  const server: Server = createServer((request, response) => {
    void handle(request, response).then((handled) => {
      if (!handled) response.writeHead(404).end('not ours');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const backend = localBackend({ root, presign: { baseUrl: url, secret: 'a secret of the tests' } });
  const handle = localHttpHandler({ backend, ...handling });
  await backend.buckets!.create('bucket', {}, noContext);
  return {
    url,
    backend,
    root,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await backend.close();
      await remove();
    },
  };
}
