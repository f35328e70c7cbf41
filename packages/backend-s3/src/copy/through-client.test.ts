import { hash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';

import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { copyObject } from '../copy.ts';
import { openStore } from '../open-store.ts';
import { awsProfile } from '../profile.ts';
import { copying, destination, isRead, isWrite, mib, reading, seen, source, there } from '../testing/copying.ts';
import { eventually } from '../testing/eventually.ts';
import { transports } from '../testing/fault-bench.ts';
import { newStage } from '../testing/lean.ts';
import { answering, ok, refusal } from '../testing/scripted.ts';
import type { Answer } from '../testing/scripted.ts';

const { serve, backendTo, open, clear } = newStage();
afterEach(clear);

const sent = answering('', { etag: '"sent"' });

describe.each(transports)('a copy through this process (%s)', (transport) => {
  it.each([
    [3, {}, ['GET', 'PUT']],
    [8 * mib, {}, ['GET', 'PUT']],
    [9 * mib, {}, ['GET', 'GET', 'PUT', 'PUT', 'POST']],
    [12 * mib, {}, ['GET', 'GET', 'PUT', 'PUT', 'POST']],
    [3, { ifNoneMatch: '*' }, ['GET', 'PUT']],
    [9 * mib, { ifNoneMatch: '*' }, ['GET', 'GET', 'PUT', 'PUT', 'POST']],
    [12 * mib, { ifNoneMatch: '*' }, ['GET', 'GET', 'PUT', 'PUT', 'POST']],
  ] as const)('is made of the latest version if the server would copy another one (%i bytes, %o)', async (size, condition, made) => {
    const server = await serve((request, response) => {
      const { method, url = '', headers } = request;
      const isAbsent = 'ifNoneMatch' in condition;
      if (isAbsent && method === 'HEAD' && url.startsWith('/bucket/copy')) return refusal(404, '')(request, response);
      if (headers['x-amz-copy-source-if-match'] === '"latest"') return refusal(412, 'PreconditionFailed')(request, response);
      if (isWrite(request)) return sent(request, response);
      return (isRead(request) ? reading('latest', size) : copying(there('latest', size, '2')))(request, response);
    });
    await backendTo(server, { transport, copyByPartsFrom: 10 * mib }).copy(source, destination, condition, noContext);
    const refused = server.requests.findLastIndex(({ headers }) => headers['x-amz-copy-source'] !== undefined);
    const after = server.requests
      .slice(refused + 1)
      .filter(({ method = '', url = '' }) => !/HEAD|DELETE/.test(method) && !/uploads|acl/.test(url));
    expect(after.map(({ method }) => method).toSorted()).toEqual([...made].toSorted());
    expect(seen(server, 'DELETE')).toEqual(size < 10 * mib ? [] : ['/bucket/copy?uploadId=id']);
  });

  it('of an object onto itself is made if the server ignores its condition, and replaces only what was read', async () => {
    let isReplaced = false;
    const look: Answer = (request, response) => there(isReplaced ? 'after' : 'before', 3)(request, response);
    const server = await serve((request, response) => {
      if (isRead(request)) return answering('old', { etag: '"before"' })(request, response);
      isReplaced ||= request.method === 'PUT';
      return (isWrite(request) ? refusal(412, 'PreconditionFailed') : copying(look))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
    await expect(backend.copy(source, source, {}, noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
    const [put, ...others] = server.requests.filter(({ method }) => method === 'PUT');
    expect(put?.headers).toMatchObject({ 'if-match': '"before"', 'content-type': 'text/plain' });
    expect(others).toEqual([]);
  });

  it.each([3, 9 * mib])('of the latest version keeps its tags (%i bytes)', async (size) => {
    const described = { etag: '"latest"', 'content-length': size, 'x-amz-version-id': '2', 'x-amz-tagging-count': 1 };
    const tags = '<Tagging><TagSet><Tag><Key>name</Key><Value>of it</Value></Tag></TagSet></Tagging>';
    const server = await serve((request, response) => {
      const { method, url = '', headers } = request;
      if (headers['x-amz-copy-source-if-match'] !== undefined) return refusal(412, 'PreconditionFailed')(request, response);
      if (method === 'GET' && url.includes('tagging')) return answering(tags)(request, response);
      if (method === 'PUT') return sent(request, response);
      const look: Answer = (_request, answer) => answer.writeHead(200, described).end();
      return (isRead(request) ? reading('latest', size) : copying(look))(request, response);
    });
    await backendTo(server, { transport }).copy(source, destination, {}, noContext);
    expect(seen(server, 'PUT').at(-1)).toMatch(/^\/bucket\/copy\?tagging/);
  });

  it('is of the inspected version, and holds neither memory nor a connection afterwards', async () => {
    const size = 3 * mib;
    let reads = 0;
    const server = await serve((request, response) => {
      if (isRead(request)) return reading(reads++ === 0 ? 'after' : 'before', size)(request, response);
      return (request.method === 'PUT' ? ok : copying(there('before', size)))(request, response);
    });
    const settings = { transport, uploadMemory: 5 * mib, partSize: 5 * mib, maxPoolConnections: 1 };
    const backend = backendTo(server, settings, { ...awsProfile, copySourceCondition: false });
    const copy = (): Promise<unknown> => backend.copy(source, destination, { ifMatch: 'before' }, { signal: AbortSignal.timeout(20_000) });
    await expect(copy()).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(seen(server, 'PUT')).toEqual([]);
    for (let made = 0; made < 2; made++) expect(await copy()).toMatchObject({ size });
    expect(server.requests.filter(isRead).map(({ headers }) => headers['if-match'])).toEqual(Array(3).fill('"before"'));
  });

  it('by parts holds no memory once a part was of another version', async () => {
    const size = 6 * mib;
    let reads = 0;
    const server = await serve((request, response) => {
      if (isRead(request)) return reading(reads++ === 0 ? 'after' : 'before', size)(request, response);
      return (request.method === 'PUT' ? ok : copying(there('before', size)))(request, response);
    });
    const settings = { transport, uploadMemory: 5 * mib, partSize: 5 * mib, copyByPartsFrom: 5 * mib + 1 };
    const backend = backendTo(server, settings, { ...awsProfile, copySourceCondition: false });
    const from = { ...source, key: 'a%b' }; // the parts of which no server copies
    const copy = (): Promise<unknown> => backend.copy(from, destination, { ifMatch: 'before' }, { signal: AbortSignal.timeout(20_000) });
    await expect(copy()).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(await copy()).toMatchObject({ size });
  });

  it.each(['read', 'write'])('by parts ends with its caller and with its other parts, whose connections it leaves (a %s)', async (what) => {
    const size = 12 * mib;
    for (const isCallerLeaving of [true, false]) {
      const caller = new AbortController();
      const begun = Promise.withResolvers<void>();
      let isLeft = false;
      const server = await serve(async (request, response) => {
        const { url = '', headers } = request;
        const isSecond =
          what === 'read' ? headers.range?.startsWith('bytes=0-') === false : isWrite(request) && url.includes('partNumber=2&');
        if (isSecond) {
          request.socket.once('close', () => (isLeft = true));
          request.resume();
          return begun.resolve(); // never answered
        }
        if (isWrite(request)) {
          await begun.promise;
          if (isCallerLeaving) return caller.abort(new Error('no more'));
          return refusal(500, 'InternalError')(request, response);
        }
        return (isRead(request) ? reading('before', size) : copying(there('before', size)))(request, response);
      });
      const backend = backendTo(server, { transport, copyByPartsFrom: 10 * mib, timeout: 600 });
      const copy = backend.copy({ ...source, key: 'a%b' }, destination, {}, caller); // the parts of which no server copies
      const failure = isCallerLeaving ? { message: 'no more' } : { code: 'storage_unavailable' };
      await expect(copy).rejects.toMatchObject(failure);
      await eventually(() => isLeft).toBe(true);
      expect(seen(server, 'DELETE')).toEqual(['/bucket/copy?uploadId=id']);
    }
  });

  it('of an object onto itself that fails is not made in another way', async () => {
    const server = await serve((request, response) => {
      if (isWrite(request)) return refusal(403, 'AccessDenied')(request, response);
      return (isRead(request) ? reading('before', 3) : copying(there('before', 3)))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
    await expect(backend.copy(source, source, { ifMatch: 'before' }, noContext)).rejects.toMatchObject({ code: 'access_denied' });
    expect(seen(server, 'PUT')).toEqual(['/bucket/source']);
  });

  it.each([
    ['whole', 'a%b', 6 * mib],
    ['by parts', 'a%b', 12 * mib],
  ])('is made although a connection that it reads from is cut: %s', async (_how, key, size) => {
    let reads = 0;
    const server = await serve((request, response) => {
      if (isWrite(request)) return sent(request, response);
      if (!isRead(request)) return copying(there('before', size))(request, response);
      if (reads++ > 0) return reading('before', size)(request, response);
      response.writeHead(200, { etag: '"before"', 'content-length': size });
      return response.write(Buffer.alloc(mib, 'x'), () => request.socket.destroy());
    });
    const settings = { transport, copyByPartsFrom: 10 * mib, maxRetries: 1, uploadMemory: 8 * mib };
    const backend = backendTo(server, settings, { ...awsProfile, copySourceCondition: false });
    await backend.copy({ ...source, key }, destination, { ifMatch: 'before' }, noContext);
    expect(reads).toBe(size > 8 * mib ? 3 : 2);
  });

  it.each([
    ['whole', 6 * mib],
    ['by parts', 12 * mib],
  ])('is made although the server falls silent, until the system gives up the connection: %s', async (_how, size) => {
    const opened: Socket[] = [];
    const collect = (message: unknown): void => void opened.push((message as { readonly socket: Socket }).socket);
    subscribe('net.client.socket', collect);
    onTestFinished(() => void unsubscribe('net.client.socket', collect));
    const givenUp = Object.assign(new Error('read ETIMEDOUT'), { code: 'ETIMEDOUT', syscall: 'read' });
    let reads = 0;
    const server = await serve((request, response) => {
      if (isWrite(request)) return sent(request, response);
      if (!isRead(request)) return copying(there('before', size))(request, response);
      if (reads++ > 0) return reading('before', size)(request, response);
      const reader = opened.find(({ localPort }) => localPort === request.socket.remotePort);
      response.writeHead(200, { etag: '"before"', 'content-length': size });
      return response.write(Buffer.alloc(mib, 'x'), () => setTimeout(() => reader?.destroy(givenUp), 100));
    });
    const settings = { transport, copyByPartsFrom: 10 * mib, maxRetries: 1 };
    const backend = backendTo(server, settings, { ...awsProfile, copySourceCondition: false });
    const from = { ...source, key: 'a%b' }; // the parts of which no server copies
    expect(await backend.copy(from, destination, { ifMatch: 'before' }, noContext)).toMatchObject({ size });
    expect(reads).toBe(size > 8 * mib ? 3 : 2);
  });

  it('is given up once its source was cut off more often than requests are retried', async () => {
    let reads = 0;
    const server = await serve((request, response) => {
      if (!isRead(request)) return copying(there('before', 3 * mib))(request, response);
      reads++;
      response.writeHead(200, { etag: '"before"', 'content-length': 3 * mib });
      return response.write(Buffer.alloc(mib), () => request.socket.destroy());
    });
    const backend = backendTo(server, { transport, maxRetries: 1 }, { ...awsProfile, copySourceCondition: false });
    const copy = backend.copy(source, destination, { ifMatch: 'before' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(reads).toBe(2);
    expect(seen(server, 'PUT')).toEqual([]);
  });

  it.each([
    ['whole', 3 * mib],
    ['by parts', 9 * mib],
  ])('does not wait for slow clients that hold the memory: %s', async (_how, size) => {
    const server = await serve((request, response) => {
      if (isWrite(request)) return sent(request, response);
      return (isRead(request) ? reading('before', size) : copying(there('before', size)))(request, response);
    });
    const settings = { endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', timeout: 10, transport };
    const sizes = { partSize: 5 * mib, uploadMemory: 10 * mib, copyByPartsFrom: 6 * mib };
    const store = openStore({ ...settings, ...sizes }, { ...awsProfile, copySourceCondition: false });
    open.push(() => store.connection.close());
    await store.memory.take(10 * mib, {});
    void store.memory.whileFilling(10 * mib, new Promise(() => {}));
    const at = { ...source, key: '100%' };
    expect(await copyObject(store, { source: at, destination }, { ifMatch: 'before' }, noContext)).toMatchObject({ size });
  });

  it('of a few bytes does not wait for large uploads, however long these hold the memory', async () => {
    const size = 256 * 1024;
    const server = await serve((request, response) => {
      if (isWrite(request)) return sent(request, response);
      return (isRead(request) ? reading('before', size) : copying(there('before', size)))(request, response);
    });
    const settings = { endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', timeout: 2, transport };
    const store = openStore({ ...settings, partSize: 5 * mib, uploadMemory: 10 * mib }, { ...awsProfile, copySourceCondition: false });
    open.push(() => store.connection.close());
    await store.memory.take(10 * mib, {});
    expect(await copyObject(store, { source, destination }, { ifMatch: 'before' }, noContext)).toMatchObject({ size });
  });

  it.each([
    ['as a whole', 5 * mib, 'source'],
    ['by parts', 10 * mib, '100%'],
  ])('needs no memory beside what it has taken, and leaves that to others (%s)', async (_how, size, key) => {
    const server = await serve((request, response) => {
      if (isWrite(request)) return sent(request, response);
      return (isRead(request) ? reading('before', size) : copying(there('before', size)))(request, response);
    });
    const settings = { endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', timeout: 10, transport };
    const sizes = { partSize: 5 * mib, uploadMemory: 5 * mib, copyByPartsFrom: 6 * mib };
    const store = openStore({ ...settings, ...sizes }, { ...awsProfile, copySourceCondition: false });
    open.push(() => store.connection.close());
    await copyObject(store, { source: { ...source, key }, destination }, { ifMatch: 'before' }, noContext);
    const { buffer } = await store.memory.take(5 * mib, {});
    expect(buffer.equals(Buffer.alloc(5 * mib, 'x'))).toBe(true);
  });

  it.each(['a read with another ETag', 'a refused read'])(
    'under If-None-Match is of the newer version, if the source is replaced meanwhile (%s)',
    async (how) => {
      let looks = 0;
      const server = await serve((request, response) => {
        if (isRead(request) && looks === 1 && how === 'a refused read') return refusal(412, 'PreconditionFailed')(request, response);
        if (isRead(request)) return answering('new', { etag: '"after"' })(request, response);
        if (request.method === 'PUT') return answering('', { etag: '"after"' })(request, response);
        return copying((...look) => (looks++ === 0 ? there('before', 9) : there('after', 3))(...look))(request, response);
      });
      const backend = backendTo(server, { transport }, { ...awsProfile, conditionalCopy: false });
      const info = await backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
      expect(info).toMatchObject({ ...destination, etag: 'after', size: 3 });
      expect(seen(server, 'PUT').filter((url) => !url.includes('acl='))).toEqual(['/bucket/copy']);
    },
  );

  it('under If-None-Match leaves the tags of what is at its destination alone as long as it is not made', async () => {
    let looks = 0;
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'GET' && url.includes('tagging')) return answering('<Tagging><TagSet></TagSet></Tagging>')(request, response);
      if (isRead(request)) return answering('new', { etag: '"after"' })(request, response);
      if (method === 'PUT') return answering('', { etag: '"after"' })(request, response);
      const described = { 'content-length': 3, 'x-amz-tagging-count': 1 };
      const look: Answer = (_request, answer) =>
        answer.writeHead(200, { etag: looks++ === 0 ? '"before"' : '"after"', ...described }).end();
      return copying(look)(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, conditionalCopy: false });
    await backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
    expect(seen(server, 'PUT').map((url) => url.replace(/=$/, ''))).toEqual(['/bucket/copy', '/bucket/copy?tagging']);
  });

  it('under If-None-Match is given up if its source is replaced again and again', async () => {
    const server = await serve((request, response) =>
      (isRead(request) ? answering('new', { etag: '"after"' }) : copying(there('before', 3)))(request, response),
    );
    const backend = backendTo(server, { transport }, { ...awsProfile, conditionalCopy: false });
    const message = 'The source of the copy has a different ETag.';
    const copy = backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'precondition_failed', message });
    expect(seen(server, 'PUT')).toEqual([]);
  });

  it('under If-None-Match is written with that condition alone, and recognized if the answer gets lost', async () => {
    const etag = hash('md5', 'old');
    const described = { etag: `"${etag}"`, 'content-length': 3, 'content-type': 'text/plain', 'cache-control': 'no-cache' };
    const look: Answer = (_request, response) => response.writeHead(200, described).end();
    const writes: IncomingHttpHeaders[] = [];
    const server = await serve((request, response) => {
      if (isRead(request)) return answering('old', { etag: `"${etag}"` })(request, response);
      if (request.method !== 'PUT') return copying(look)(request, response);
      writes.push(request.headers);
      return writes.length === 1 ? request.socket.destroy() : refusal(412, 'PreconditionFailed')(request, response);
    });
    const backend = backendTo(server, { transport, maxRetries: 1 }, { ...awsProfile, acl: false, conditionalCopy: false });
    expect(await backend.copy(source, destination, { ifNoneMatch: '*' }, noContext)).toMatchObject({ ...destination, etag });
    expect(writes).toMatchObject(Array(2).fill({ 'if-none-match': '*', 'cache-control': 'no-cache' }));
    expect(writes.filter((headers) => 'if-match' in headers)).toEqual([]);
  });

  it('under If-None-Match is not taken for what somebody else has written when the answer got lost', async () => {
    let writes = 0;
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (isRead(request)) return answering('old', { etag: `"${hash('md5', 'old')}"` })(request, response);
      const look = there(url.startsWith('/bucket/copy') ? 'theirs' : hash('md5', 'old'), 3);
      if (method !== 'PUT') return copying(look)(request, response);
      return writes++ === 0 ? request.socket.destroy() : refusal(412, 'PreconditionFailed')(request, response);
    });
    const backend = backendTo(server, { transport, maxRetries: 1 }, { ...awsProfile, acl: false, conditionalCopy: false });
    const copy = backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(writes).toBe(2);
  });

  it('ends when its caller leaves while the source is read', async () => {
    const caller = new AbortController();
    const server = await serve((request, response) => {
      if (!isRead(request)) return copying(there('before', 3 * mib))(request, response);
      response.writeHead(200, { etag: '"before"', 'content-length': 3 * mib });
      return response.write(Buffer.alloc(mib), () => setTimeout(() => caller.abort(), 100));
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
    const copy = backend.copy(source, destination, { ifMatch: 'before' }, { signal: caller.signal });
    await expect(copy).rejects.toMatchObject({ name: 'AbortError' });
    expect(seen(server, 'PUT')).toEqual([]);
  });

  it.each(['ol', 'older'])('is not made of less or more than what was inspected: %s', async (read) => {
    const server = await serve((request, response) => {
      return (isRead(request) ? answering(read, { etag: '"before"' }) : copying(there('before', 3)))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
    const copy = backend.copy(source, destination, { ifMatch: 'before' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(seen(server, 'PUT')).toEqual([]);
  });
});
