import { randomBytes } from 'node:crypto';

import { startS3 } from '@coffer/fixtures';
import { noContext, StorageService } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { openS3Backend, probeEndpoint, s3Backend } from './backend.ts';
import { awsProfile } from './profile.ts';
import { transports } from './testing/fault-bench.ts';
import { behindFront, errorDocument } from './testing/front.ts';
import { newStage } from './testing/lean.ts';
import { ok, refusal } from './testing/scripted.ts';
import type { Answer, Scripted } from './testing/scripted.ts';
import { accountOn, ifAvailable, startOn } from './testing/server.ts';

const ceph = await startS3('ceph');
const minio = await ifAvailable(startS3('minio'));
const servers = [ceph, minio].filter((server) => typeof server !== 'string');
const onEach = servers.flatMap((server) => transports.map((transport) => ({ name: server.name, server, transport })));

const { serve, backendTo, clear } = newStage();
afterEach(clear);

const at = { bucket: 'bucket', key: 'key' };
const sent = ({ requests }: Scripted): readonly unknown[] => requests.map(({ method, headers }) => [method, headers['if-match']]);

function text(backend: StorageBackend, bucket: string, key: string, data: string): ReturnType<StorageBackend['put']> {
  return backend.put({ bucket, key }, { kind: 'buffer', data: Buffer.from(data) }, { contentType: 'text/plain' }, noContext);
}

describe.each(transports)('a conditional delete (%s)', (transport) => {
  it('is one request where the server enforces the condition', async () => {
    const server = await serve((_request, response) => response.writeHead(204).end());
    await backendTo(server, { transport }).deleteIfMatch!(at, 'etag', noContext);
    expect(sent(server)).toEqual([['DELETE', '"etag"']]);
  });

  it.each([
    [412, 'PreconditionFailed', 'precondition_failed'],
    [409, 'ConditionalRequestConflict', 'precondition_failed'], // another request writes the key at that moment
    [404, 'NoSuchKey', 'precondition_failed'],
    [404, 'NoSuchBucket', 'no_such_bucket'],
    [403, 'AccessDenied', 'access_denied'],
  ] as const)('that is answered with %i %s fails with %s', async (status, name, code) => {
    const server = await serve(refusal(status, name));
    await expect(backendTo(server, { transport }).deleteIfMatch!(at, 'etag', noContext)).rejects.toMatchObject({ code });
  });

  it('has deleted the object if the answer got lost, and it is gone when the request is repeated', async () => {
    const server = await serve((request) => request.socket.destroy(), refusal(404, 'NoSuchKey'));
    await backendTo(server, { transport, maxRetries: 1 }).deleteIfMatch!(at, 'etag', noContext);
    expect(sent(server)).toHaveLength(2);
  });

  it('has done so too if the server then refuses what is gone, and not if another object is there', async () => {
    const removing = async (look: Answer): Promise<void> => {
      const server = await serve((request) => request.socket.destroy(), refusal(412, 'PreconditionFailed'), look);
      return backendTo(server, { transport, maxRetries: 1 }).deleteIfMatch!(at, 'etag', noContext);
    };
    await removing(refusal(404, 'NoSuchKey'));
    await expect(removing(ok)).rejects.toMatchObject({ code: 'precondition_failed' });
    await expect(removing(refusal(403, 'AccessDenied'))).rejects.toMatchObject({ code: 'precondition_failed' });
  });

  it('sends nothing that a server may take for the ETag of any object', async () => {
    for (const etag of ['*', '', 'a"b', 'x\r\ny']) {
      const server = await serve(ok);
      await expect(backendTo(server, { transport }).deleteIfMatch!(at, etag, noContext)).rejects.toMatchObject({
        code: 'precondition_failed',
      });
      expect(sent(server)).toEqual([['HEAD', undefined]]);
    }
  });

  it('looks first where the server is known only then not to enforce it, and sends no condition', async () => {
    const options = { ...(await accountOn(ceph)), transport };
    const { backend, bucket, stop } = await startOn(options);
    onTestFinished(stop);
    expect(backend).not.toHaveProperty('deleteIfMatch');
    const lazy = s3Backend(options);
    onTestFinished(() => lazy.close());
    const { etag } = await text(backend, bucket, 'key', 'bytes');
    await expect(lazy.deleteIfMatch!({ bucket, key: 'key' }, 'other', noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
    await lazy.deleteIfMatch!({ bucket, key: 'key' }, etag, noContext);
    await expect(lazy.deleteIfMatch!({ bucket, key: 'key' }, etag, noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
  });
});

describe.each(transports)('a move (%s)', (transport) => {
  it('deletes only what it has copied where the server enforces that, without another request', async () => {
    const deletes: unknown[] = [];
    let isOver = false;
    const options = await behindFront(ceph, (method, path, headers) => {
      if (method !== 'DELETE' || isOver) return undefined;
      deletes.push([path.replace(/^\/[^/]*|\?.*/g, ''), headers['if-match']]);
      return { status: 412, body: errorDocument('PreconditionFailed') }; // as if somebody had written
    });
    const enforcing = s3Backend({ ...options, transport }, awsProfile);
    onTestFinished(() => enforcing.close());
    const bucket = `moves-${randomBytes(6).toString('hex')}`;
    await enforcing.buckets!.create(bucket, {}, noContext);
    const { etag } = await text(enforcing, bucket, 'from', 'bytes');
    const storage = new StorageService({ backend: enforcing, defaultBucket: bucket });
    expect(await storage.moveFile({ source: 'from', destination: 'to' })).toMatchObject({ key: 'to', etag });
    expect(deletes).toEqual([['/from', `"${etag}"`]]);
    expect(await storage.fileExists('from')).toBe(true);
    isOver = true;
    await enforcing.buckets!.delete(bucket, { force: true }, noContext);
  });

  it('sends no condition, and probes nothing for it, where nothing is known', async () => {
    const options = { ...(await accountOn(ceph)), transport };
    const { backend, bucket, stop } = await startOn(options);
    onTestFinished(stop);
    const seen: string[] = [];
    const front = await behindFront(ceph, (method, path, headers) => {
      seen.push(`${method} ${path.replace(/\?.*/, '')}${headers['if-match'] === undefined ? '' : ' on a condition'}`);
      return undefined;
    });
    await text(backend, bucket, 'from', 'bytes');
    const lazy = s3Backend({ ...options, endpoint: front.endpoint });
    onTestFinished(() => lazy.close());
    await new StorageService({ backend: lazy, defaultBucket: bucket }).moveFile({ source: 'from', destination: 'to' });
    expect(seen.filter((request) => request.startsWith('DELETE'))).toEqual([`DELETE /${bucket}/from`]);
    expect(seen.filter((request) => request.includes('coffer-probe'))).toEqual([]);
  });
});

describe('the probe of conditional deletes', () => {
  const other = '"d41d8cd98f00b204e9800998ecf8427e"';

  it.each(transports)('knows a server that enforces them (%s)', async (transport) => {
    const options = await behindFront(ceph, (method, _path, headers) =>
      method === 'DELETE' && headers['if-match'] === other ? { status: 412, body: errorDocument('PreconditionFailed') } : undefined,
    );
    expect(await probeEndpoint({ ...options, transport })).toMatchObject({ conditionalDelete: true, acl: true });
    const backend = await openS3Backend({ ...options, transport });
    onTestFinished(() => backend.close());
    expect(backend).toHaveProperty('deleteIfMatch');
  });

  it.each(transports)('does not take a server that refuses all of them for one that enforces them (%s)', async (transport) => {
    const options = await behindFront(ceph, (method, _path, headers) =>
      method === 'DELETE' && 'if-match' in headers ? { status: 501, body: errorDocument('NotImplemented') } : undefined,
    );
    expect(await probeEndpoint({ ...options, transport })).toMatchObject({ conditionalDelete: false, acl: true });
  });

  it.each(onEach)('knows that $name ignores the condition ($transport)', async ({ server, transport }) => {
    expect(await probeEndpoint({ ...(await accountOn(server)), transport })).toMatchObject({ conditionalDelete: false });
  });
});
