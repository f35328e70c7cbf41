import { createServer } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { localBackend } from '@coffer/backend-local';
import { localHttpHandler } from '@coffer/backend-local/http';
import { openS3Backend } from '@coffer/backend-s3';
import { noContext } from '@coffer/storage-core';
import { describeBackend } from '@coffer/storage-core/testing';

const abilities = { buckets: true, acl: true, presign: true, batchDelete: true, maintenance: true } as const;
const bucket = `runtimes-${process.pid}`;

describeBackend({ describe, it, after }, 'local', {
  abilities: { ...abilities, versioning: false, lifecycle: false, deleteIfMatch: true },
  async start() {
    const root = await mkdtemp(join(tmpdir(), 'coffer-runtimes-'));
    const server = createServer((request, response) => void handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const backend = localBackend({ root, presign: { baseUrl, secret: 'keep me out of the repository' } });
    const handle = localHttpHandler({ backend });
    await backend.buckets?.create(bucket, {}, noContext);
    return {
      backend,
      bucket,
      async stop() {
        server.close();
        server.closeAllConnections();
        await rm(root, { recursive: true });
      },
    };
  },
});

describeBackend({ describe, it, after }, 'Ceph RGW', {
  abilities: { ...abilities, versioning: true, lifecycle: true, pull: true },
  refusedAcls: ['aws-exec-read'],
  async start() {
    const account = { accessKey: process.env['S3_ACCESS_KEY'] ?? '', secretKey: process.env['S3_SECRET_KEY'] ?? '' };
    const backend = await openS3Backend({ endpoint: process.env['S3_ENDPOINT'] ?? '', ...account });
    await backend.buckets?.create(bucket, {}, noContext);
    return { backend, bucket, stop: async () => undefined };
  },
});
