import { randomBytes } from 'node:crypto';

import { startS3 } from '@coffer/fixtures';
import { noContext, StorageService } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { openS3Backend, probeEndpoint, s3Backend } from './backend.ts';
import { openStore } from './open-store.ts';
import { awsProfile } from './profile.ts';
import { deleteIfMatch } from './remove.ts';
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

  // As Swift does.
  it('of an object of parts looks at it where the server refuses it, which may compare something else than the ETag it tells', async () => {
    const told = (etag: string): Promise<Scripted> =>
      serve(
        refusal(412, 'PreconditionFailed'),
        (_request, response) => response.writeHead(200, { etag, 'content-length': 1, 'last-modified': new Date(0).toUTCString() }).end(),
        (_request, response) => response.writeHead(204).end(),
      );
    const removing = (server: Scripted): Promise<void> => backendTo(server, { transport }).deleteIfMatch!(at, 'etag-2', noContext);
    const same = await told('"etag-2"');
    await removing(same);
    expect(sent(same)).toEqual([
      ['DELETE', '"etag-2"'],
      ['HEAD', undefined],
      ['DELETE', undefined],
    ]);
    const other = await told('"other-2"');
    await expect(removing(other)).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(sent(other)).toHaveLength(2);
  });

  it.each([
    [409, 'ConditionalRequestConflict', 'precondition_failed'], // whoever looked then would find what is about to be replaced
    [404, 'NoSuchKey', 'precondition_failed'],
    [403, 'AccessDenied', 'access_denied'],
  ] as const)('of an object of parts does without a look where the answer is %i %s', async (status, name, code) => {
    const server = await serve(refusal(status, name));
    await expect(backendTo(server, { transport }).deleteIfMatch!(at, 'etag-2', noContext)).rejects.toMatchObject({ code });
    expect(sent(server)).toEqual([['DELETE', '"etag-2"']]);
  });

  it('of an object of parts does without a look on AWS, which compares the ETag that it tells', async () => {
    const server = await serve(refusal(412, 'PreconditionFailed'));
    const settings = { endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', transport };
    const store = openStore(settings, awsProfile);
    onTestFinished(() => store.connection.close());
    const onAws = { ...store, settings: { ...store.settings, isAws: true } };
    await expect(deleteIfMatch(onAws, at, 'etag-2', noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(sent(server)).toEqual([['DELETE', '"etag-2"']]);
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

  /** Keys, and the ETags that their deletion depends on. */
  type Deletions = readonly (readonly [string, string | undefined])[];

  /** Moves objects, one after the other, over a backend that knows nothing about its server. */
  const moving = async (
    keys: readonly string[],
    answer: (etag: string, ifMatch: string | undefined) => readonly [number, string] | undefined,
    meanwhile?: (write: (data: string) => Promise<unknown>) => Promise<unknown>,
  ): Promise<{ readonly deletions: Deletions; readonly left: readonly string[]; readonly etag: string; readonly probed: boolean }> => {
    const options = { ...(await accountOn(ceph)), transport };
    const { backend, bucket, stop } = await startOn(options);
    onTestFinished(stop);
    let etag = '';
    const deletions: [string, string | undefined][] = [];
    let probed = false;
    const front = await behindFront(ceph, (method, path, headers) => {
      probed ||= path.includes('coffer-probe');
      if (method !== 'DELETE') return undefined;
      const ifMatch = headers['if-match'];
      deletions.push([path.replace(/^\/[^/]*\/|\?.*/g, ''), ifMatch]);
      const [status, name] = answer(`"${etag}"`, ifMatch) ?? [];
      return status === undefined ? undefined : { status, body: errorDocument(name!) };
    });
    const lazy = s3Backend({ ...options, endpoint: front.endpoint });
    onTestFinished(() => lazy.close());
    const copying: StorageBackend = {
      ...lazy,
      async copy(source, destination, copyOptions, ctx) {
        const copied = await lazy.copy(source, destination, copyOptions, ctx);
        await meanwhile?.(async (data) => void ({ etag } = await text(backend, bucket, source.key, data)));
        return copied;
      },
    };
    const storage = new StorageService({ backend: copying, defaultBucket: bucket });
    for (const key of keys) ({ etag } = await text(backend, bucket, key, 'bytes'));
    for (const key of keys) await storage.moveFile({ source: key, destination: `moved ${key}` });
    const { objects } = await backend.list(bucket, {}, noContext);
    const left = objects.map(({ key }) => key).filter((key) => !key.startsWith('moved'));
    expect(objects).toHaveLength(keys.length + left.length);
    return { deletions, left, etag: `"${etag}"`, probed };
  };
  const none = '"00000000000000000000000000000000"';
  const enforcing = (etag: string, ifMatch: string | undefined): readonly [number, string] | undefined =>
    ifMatch === undefined || ifMatch === etag ? undefined : [412, 'PreconditionFailed'];

  it('finds out with its first deletion whether the server enforces the condition: one that does', async () => {
    const { deletions, left, etag, probed } = await moving(['a', 'b'], enforcing);
    expect(deletions).toEqual([
      ['a', none],
      ['a', etag],
      ['b', etag],
    ]);
    expect([left, probed]).toEqual([[], false]);
  });

  it('finds out with its first deletion whether the server enforces the condition: one that ignores it', async () => {
    const { deletions, left, probed } = await moving(['a', 'b'], () => undefined);
    expect(deletions).toEqual([
      ['a', none],
      ['b', undefined],
    ]);
    expect([left, probed]).toEqual([[], false]);
  });

  it.each([
    [501, 'NotImplemented', false],
    [400, 'InvalidArgument', false],
    [412, 'PreconditionFailed', true],
  ])(
    'finds out with its first deletion whether the server enforces the condition: one that refuses each with %i',
    async (status, name, mayEnforce) => {
      const { deletions, left, etag } = await moving(['a', 'b'], (_etag, ifMatch) => (ifMatch === undefined ? undefined : [status, name]));
      expect(deletions).toEqual([['a', none], ...(mayEnforce ? [['a', etag]] : []), ['a', undefined], ['b', undefined]]);
      expect(left).toEqual([]);
    },
  );

  it('keeps what is written to its source meanwhile, also the first one', async () => {
    const { deletions, left } = await moving(['a'], enforcing, (write) => write('written meanwhile'));
    expect([deletions, left]).toEqual([[], ['a']]);
  });

  it('keeps what is written to its source while it finds that out, and learns nothing from that', async () => {
    let held = 'old';
    const server = await serve((request, response) => {
      const { method, headers } = request;
      if (method === 'HEAD') return response.writeHead(200, { etag: `"${held}"`, 'content-length': 1 }).end();
      if (headers['if-match'] === none) held = 'new';
      return refusal(412, 'PreconditionFailed')(request, response);
    });
    const lazy = s3Backend({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport });
    onTestFinished(() => lazy.close());
    await expect(lazy.deleteIfMatch!(at, 'old', noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
    await expect(lazy.deleteIfMatch!(at, 'new', noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
    const attempt = ['HEAD', 'DELETE', 'DELETE', 'HEAD'];
    expect(server.requests.map(({ method }) => method)).toEqual([...attempt, ...attempt, 'DELETE']);
  });

  it('leaves what somebody is just writing while it finds that out, and learns nothing from that', async () => {
    let isBusy = true;
    const server = await serve((request, response) => {
      const { method, headers } = request;
      if (method === 'HEAD') return response.writeHead(200, { etag: '"held"', 'content-length': 1 }).end();
      if (headers['if-match'] === '"held"' && !isBusy) return response.writeHead(204).end();
      return refusal(isBusy ? 409 : 412, isBusy ? 'ConditionalRequestConflict' : 'PreconditionFailed')(request, response);
    });
    const lazy = s3Backend({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport });
    onTestFinished(() => lazy.close());
    await expect(lazy.deleteIfMatch!(at, 'held', noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
    isBusy = false;
    await lazy.deleteIfMatch!(at, 'held', noContext);
    const look = ['HEAD', undefined];
    expect(sent(server)).toEqual([look, ['DELETE', none], look, ['DELETE', none], ['DELETE', '"held"']]);
  });

  /** A server that ignores conditions, or enforces them on objects that are there. `before` runs before each DELETE, and may answer it. */
  const holding = async (
    held: Map<string, string>,
    enforces: boolean,
    before: (key: string, ifMatch: string | undefined) => Answer | undefined = () => undefined,
  ): Promise<StorageBackend> => {
    const server = await serve((request, response) => {
      const { method, headers } = request;
      const key = request.url!.replace(/^\/bucket\/|\?.*/g, '');
      const ifMatch = headers['if-match'];
      const answer = method === 'DELETE' ? before(key, ifMatch) : undefined;
      if (answer !== undefined) return answer(request, response);
      const etag = held.get(key);
      if (method === 'HEAD' && etag === undefined) return response.writeHead(404).end();
      if (method === 'HEAD') return response.writeHead(200, { etag: `"${etag}"`, 'content-length': 1 }).end();
      if (enforces && etag !== undefined && ifMatch !== undefined && ifMatch !== `"${etag}"`)
        return refusal(412, 'PreconditionFailed')(request, response);
      held.delete(key);
      return response.writeHead(204).end();
    });
    const lazy = s3Backend({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport });
    onTestFinished(() => lazy.close());
    return lazy;
  };

  it('does not take a server for one that enforces the condition because it once refused a deletion for another reason', async () => {
    const held = new Map([
      ['a', 'old'],
      ['b', 'new'],
    ]);
    let refusals = 1;
    const lazy = await holding(held, false, () => (refusals-- > 0 ? refusal(400, 'InvalidRequest') : undefined));
    await lazy.deleteIfMatch!({ bucket: 'bucket', key: 'a' }, 'old', noContext);
    await expect(lazy.deleteIfMatch!({ bucket: 'bucket', key: 'b' }, 'old', noContext)).rejects.toMatchObject({
      code: 'precondition_failed',
    });
    expect([...held.keys()]).toEqual(['b']);
  });

  it('does not take a server for one that ignores the condition because it called a success what it found deleted already', async () => {
    const held = new Map(['a', 'b', 'c'].map((key) => [key, 'old']));
    const conditions: unknown[] = [];
    const first = Promise.withResolvers<void>();
    const lazy = await holding(held, true, (key, ifMatch) => {
      conditions.push([key, ifMatch]);
      if (key !== 'b' || ifMatch !== none) return undefined;
      return (_request, response) => first.promise.then(() => response.writeHead(204).end());
    });
    const deleting = (key: string): Promise<void> => lazy.deleteIfMatch!({ bucket: 'bucket', key }, 'old', noContext);
    await Promise.all([deleting('a').then(first.resolve), deleting('b')]);
    await deleting('c');
    expect(conditions.at(-1)).toEqual(['c', '"old"']);
  });

  it('deletes nothing that is written after its first deletion has found nothing', async () => {
    const server = await serve(ok, refusal(404, 'NoSuchKey'), ok);
    const lazy = s3Backend({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport });
    onTestFinished(() => lazy.close());
    await expect(lazy.deleteIfMatch!(at, 'made', noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(sent(server)).toEqual([
      ['HEAD', undefined],
      ['DELETE', none],
    ]);
  });

  it('fails if the first deletion does, and may be repeated', async () => {
    await expect(moving(['a'], () => [403, 'AccessDenied'])).rejects.toMatchObject({ code: 'access_denied' });
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
