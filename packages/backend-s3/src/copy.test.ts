import { EventEmitter, once } from 'node:events';

import { noContext } from '@coffer/storage-core';
import type { ObjectInfo } from '@coffer/storage-core';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { copyObject } from './copy.ts';
import { largestPut } from './limits.ts';
import { openStore } from './open-store.ts';
import { awsProfile } from './profile.ts';
import { copying, destination, isRead, isWrite, mib, reading, seen, source, there } from './testing/copying.ts';
import { eventually } from './testing/eventually.ts';
import { transports } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { answering, ok, refusal } from './testing/scripted.ts';
import type { Answer, Scripted } from './testing/scripted.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

describe.each(transports)('a copy (%s)', (transport) => {
  it('of an object onto itself is of the version that was inspected', async () => {
    const server = await serve(copying(there('before')));
    await backendTo(server, { transport }).copy(source, source, {}, noContext);
    const put = server.requests.find(({ method }) => method === 'PUT');
    expect(put?.headers).toMatchObject({ 'x-amz-copy-source-if-match': '"before"', 'x-amz-metadata-directive': 'REPLACE' });
  });

  it('of an object onto itself is refused if another object was written before the server made it unconditionally', async () => {
    const server = await serve((request, response) => {
      if (isRead(request)) return answering('old', { etag: '"before"' })(request, response);
      const isMade = server.requests.some(({ headers }) => headers['x-amz-copy-source'] !== undefined);
      return (isWrite(request) ? refusal(412, 'PreconditionFailed') : copying(there(isMade ? 'copied' : 'before', 3)))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
    const copy = backend.copy(source, source, { ifMatch: 'before' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(server.requests.filter(({ headers }) => headers['x-amz-copy-source'] !== undefined)).toHaveLength(1);
  });

  it('of an object onto itself is refused under If-None-Match, without trying any write', async () => {
    const server = await serve((request, response) => {
      if (isWrite(request)) return refusal(412, 'PreconditionFailed')(request, response);
      return (isRead(request) ? reading('before', 3) : copying(there('before', 3)))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, conditionalCopy: false });
    const copy = backend.copy(source, source, { ifNoneMatch: '*' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'precondition_failed', message: 'An object with this key already exists.' });
    expect(seen(server, 'PUT')).toEqual([]);
  });

  it('of an object onto itself never deletes what has come meanwhile', async () => {
    let looks = 0;
    const server = await serve(copying((request, response) => there(looks++ === 0 ? 'before' : 'after')(request, response)));
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
    const copy = backend.copy(source, source, { ifMatch: 'before' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(seen(server, 'DELETE')).toEqual([]);
  });

  it.each([
    ['NoSuchKey', 404, 'file_not_found', 'There is no object "source" in the bucket "bucket".'],
    ['InvalidObjectState', 403, 'object_archived', 'The object "source" is archived; restore it before reading it.'],
    ['InvalidRange', 416, 'precondition_failed', 'The source of the copy has a different ETag.'],
  ])('reports errors of its source as such (%s)', async (name, status, code, message) => {
    const refused = refusal(status, name);
    const server = await serve((request, response) => (request.method === 'PUT' ? refused : copying(there('etag')))(request, response));
    const backend = backendTo(server, { transport, copyByPartsFrom: 8 * mib });
    const small = await serve((request, response) => (request.method === 'PUT' ? refused : copying(there('etag', mib)))(request, response));
    for (const each of [backend, backendTo(small, { transport })]) {
      await expect(each.copy(source, destination, {}, noContext)).rejects.toMatchObject({ code, message });
    }
  });

  it.each([
    ['another', there('after'), ['/bucket/copy']],
    ['gone', refusal(404, ''), ['/bucket/copy']],
    ['the same', there('before'), []],
  ])(
    'under a condition that the server ignores is deleted if its source has changed (source afterwards: %s)',
    async (_name, after, deleted) => {
      for (const options of [{ ifMatch: 'before' }, { onlyIf: () => true }]) {
        let looks = 0;
        const server = await serve(copying((request, response) => (looks++ === 0 ? there('before') : after)(request, response)));
        const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
        const copy = backend.copy(source, destination, options, noContext);
        if (deleted.length > 0) await expect(copy).rejects.toMatchObject({ code: 'precondition_failed' });
        else expect(await copy).toMatchObject({ etag: 'copied' });
        expect(seen(server, 'DELETE')).toEqual(deleted);
      }
    },
  );

  it('of a version that is no longer there is refused before any write', async () => {
    const server = await serve(copying(there('after')));
    const copy = backendTo(server, { transport }).copy(source, destination, { ifMatch: 'before' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(seen(server, 'PUT')).toEqual([]);
  });

  it('that its caller approved by onlyIf is of no other version', async () => {
    const server = await serve(copying(there('before')));
    const asked: ObjectInfo[] = [];
    const onlyIf = (info: ObjectInfo): boolean => asked.push(info) > 0 && info.etag === 'before';
    await backendTo(server, { transport }).copy(source, destination, { onlyIf }, noContext);
    expect(server.requests.find(({ method }) => method === 'PUT')?.headers).toMatchObject({ 'x-amz-copy-source-if-match': '"before"' });
    expect(asked).toMatchObject([{ ...source, etag: 'before', size: 9 * mib, contentType: 'text/plain' }]);
    expect(seen(server, 'HEAD')).toHaveLength(1);
    const other = await serve(copying(there('after')));
    const refused = backendTo(other, { transport }).copy(source, destination, { onlyIf }, noContext);
    await expect(refused).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(seen(other, 'PUT')).toEqual([]);
  });

  it('fails once, with the error of its source, if whatever else is asked about it fails as well', async () => {
    const failures: unknown[] = [];
    const collect = (error: unknown): void => void failures.push(error);
    process.on('unhandledRejection', collect);
    onTestFinished(() => void process.off('unhandledRejection', collect));
    const told = new EventEmitter();
    const others = Promise.all(['acl', 'versioning'].map((what) => once(told, what)));
    const server = await serve((request, response) => {
      const [what = ''] = ['acl', 'versioning'].filter((each) => request.url?.includes(each));
      response.once('finish', () => told.emit(what));
      if (what === '') return others.then(() => refusal(501, 'NotImplemented')(request, response));
      return refusal(503, 'ServiceUnavailable')(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, conditionalPutOfVersions: false });
    await expect(backend.copy(source, destination, {}, noContext)).rejects.toMatchObject({ code: 'not_supported' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(failures).toEqual([]);
  });

  it('is refused for what is wrong with the keys, not with the ACL that they were to read', async () => {
    const server = await serve((request, response) => {
      const isAcl = request.method === 'GET';
      return (isAcl ? refusal(400, 'ExpiredToken') : copying(there('before')))(request, response);
    });
    const copy = backendTo(server, { transport }).copy(source, destination, {}, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'access_denied', message: 'The credentials have expired.' });
  });

  it('is refused if the server does not report the size of the source', async () => {
    const sizeless: Answer = (_request, response) => response.writeHead(200, { etag: '"before"', connection: 'close' }).end();
    const server = await serve(copying(sizeless));
    const copy = backendTo(server, { transport }).copy(source, destination, {}, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'not_supported' });
  });

  it.each([
    ['is refused because of what is at its destination', { ifNoneMatch: '*' }, 412, 'PreconditionFailed', 'precondition_failed', ok],
    ['is refused, and nobody may look there', { ifNoneMatch: '*' }, 412, 'PreconditionFailed', 'precondition_failed', refusal(403, '')],
    ['is not permitted', {}, 403, 'AccessDenied', 'access_denied', ok],
  ] as const)(
    'of the latest version fails without passing through this process if it %s',
    async (_how, condition, status, name, code, look) => {
      for (const copyByPartsFrom of [9 * mib, 10 * mib]) {
        const server = await serve((request, response) => {
          if (request.method === 'PUT') return refusal(status, name)(request, response);
          return copying(request.url?.startsWith('/bucket/copy') === true ? look : there('latest', 9 * mib, '2'))(request, response);
        });
        const backend = backendTo(server, { transport, copyByPartsFrom });
        await expect(backend.copy(source, destination, condition, noContext)).rejects.toMatchObject({ code });
        const attempts = status === 403 && copyByPartsFrom === 9 * mib ? ['a part', 'the whole'] : ['either'];
        expect(seen(server, 'PUT')).toHaveLength(attempts.length);
        expect(seen(server, 'GET').filter((url) => !url.includes('acl'))).toEqual([]);
      }
    },
  );

  it('of the latest version is of the newer one if it was replaced meanwhile, however large', async () => {
    const server = await serve((request, response) => {
      const isOfOlder = request.headers['x-amz-copy-source-if-match'] === '"older"';
      const isReplaced = server.requests.some(({ method }) => method === 'PUT');
      const look = there(isReplaced ? 'newer' : 'older', 9 * mib, '2');
      return (isOfOlder ? refusal(412, 'PreconditionFailed') : copying(look))(request, response);
    });
    expect(await backendTo(server, { transport }).copy(source, destination, {}, noContext)).toMatchObject({ etag: 'copied' });
  });

  it('of the latest version is made although its source is replaced again and again', async () => {
    let looks = 0;
    const server = await serve((request, response) => {
      const isRefused = request.headers['x-amz-copy-source-if-match'] !== undefined;
      const look: Answer = (...asked) => there(`version ${++looks}`, 9 * mib, '2')(...asked);
      return (isRefused ? refusal(412, 'PreconditionFailed') : copying(look))(request, response);
    });
    expect(await backendTo(server, { transport }).copy(source, destination, {}, noContext)).toMatchObject({ etag: 'copied' });
  });

  it('of the latest version under If-None-Match looks for its key again if the source was replaced meanwhile', async () => {
    let looks = 0;
    const server = await serve((request, response) => {
      const { method, url = '', headers } = request;
      if (headers['x-amz-copy-source-if-match'] === '"older"') return refusal(412, 'PreconditionFailed')(request, response);
      if (method === 'HEAD' && url === '/bucket') return response.end();
      const isFree = url.startsWith('/bucket/copy') && ++looks <= 2;
      const isReplaced = server.requests.some((made) => made.method === 'PUT');
      return copying(isFree ? refusal(404, '') : there(isReplaced ? 'newer' : 'older', 9 * mib, '2'))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, conditionalCopy: false });
    const copy = backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'precondition_failed', message: 'An object with this key already exists.' });
    expect(seen(server, 'PUT')).toHaveLength(1);
  });

  describe('of an object that could share its bytes with the copy, as on Ceph', () => {
    const sharing = { ...awsProfile, conditionalPutOfVersions: false, copySourceCondition: false };
    const suspended = answering('<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>');
    const serving = (copiesParts: boolean): Promise<Scripted> =>
      serve((request, response) => {
        const { url = '' } = request;
        if (url.includes('versioning')) return suspended(request, response);
        if (isWrite(request)) return answering('', { etag: '"sent"' })(request, response);
        if (url.includes('partNumber=') && !copiesParts) return refusal(501, 'NotImplemented')(request, response);
        return (isRead(request) ? reading('before', 9 * mib) : copying(there('before')))(request, response);
      });

    it.each([
      ['by the server', true, 0],
      ['through this process, if the server copies no parts', false, 2],
    ])('is made by parts also below the usual size: %s', async (_how, copiesParts, reads) => {
      const server = await serving(copiesParts);
      await backendTo(server, { transport }, sharing).copy(source, destination, {}, noContext);
      expect(seen(server, 'PUT').filter((url) => !url.includes('partNumber='))).toEqual([]);
      expect(seen(server, 'GET').filter((url) => !/acl|versioning/.test(url))).toHaveLength(reads);
      expect(seen(server, 'POST').filter((url) => url.includes('uploadId='))).toHaveLength(1);
    });

    it.each([3, 9 * mib])('keeps its tags (%i bytes)', async (size) => {
      const described = { etag: '"before"', 'content-length': size, 'x-amz-tagging-count': 1 };
      const tags = '<Tagging><TagSet><Tag><Key>name</Key><Value>of it</Value></Tag></TagSet></Tagging>';
      const server = await serve((request, response) => {
        const { method, url = '' } = request;
        if (url.includes('versioning')) return suspended(request, response);
        if (method === 'GET' && url.includes('tagging')) return answering(tags)(request, response);
        if (isWrite(request)) return answering('', { etag: '"sent"' })(request, response);
        const look: Answer = (_request, answer) => answer.writeHead(200, described).end();
        return (isRead(request) ? reading('before', size) : copying(look))(request, response);
      });
      await backendTo(server, { transport }, sharing).copy(source, destination, {}, noContext);
      expect(seen(server, 'PUT').at(-1)).toMatch(/^\/bucket\/copy\?tagging/);
    });
  });

  it('of more than one request may copy passes through this process where the server copies no parts', async () => {
    const copied = async (size: number): Promise<readonly string[]> => {
      const server = await serve((request, response) => {
        if (request.url?.includes('partNumber=') === true) return refusal(501, 'NotImplemented')(request, response);
        return (isRead(request) ? refusal(403, 'AccessDenied') : copying(there('before', size)))(request, response);
      });
      const copy = backendTo(server, { transport }).copy(source, destination, {}, noContext);
      if (size > largestPut) await expect(copy).rejects.toMatchObject({ code: 'access_denied' });
      else expect(await copy).toMatchObject({ etag: 'copied', size });
      return seen(server, 'PUT').filter((url) => !url.includes('partNumber='));
    };
    expect(await copied(largestPut)).toEqual(['/bucket/copy']);
    expect(await copied(largestPut + 1)).toEqual([]);
  });

  it('of many bytes leaves the line with its caller, and its place goes to the next', async () => {
    const server = await serve(copying(there('before', 11 * mib)));
    for (const line of ['bulk', 'downloads'] as const) {
      const keys = { accessKey: 'who', secretKey: 'secret', maxRetries: 0 };
      const store = openStore({ endpoint: server.endpoint, ...keys, transport, maxPoolConnections: 5 }, awsProfile);
      onTestFinished(() => store.connection.close());
      const leave = await store[line].take(store[line].limit);
      const taking = vi.spyOn(store[line], 'take');
      const caller = new AbortController();
      const left = copyObject(store, { source, destination }, {}, caller);
      await eventually(() => taking.mock.calls.length).toBe(1);
      const staying = copyObject(store, { source, destination }, {}, noContext);
      caller.abort(new Error('no more'));
      await expect(left).rejects.toThrow('no more');
      leave();
      expect(await staying).toMatchObject({ etag: 'copied' });
    }
  });

  it.each([
    ['the settings allow', { partsAtOnce: 2, maxPoolConnections: 10 }, 2],
    ['may be in turn', { partsAtOnce: 4, maxPoolConnections: 6 }, 3],
  ])('by parts has no more of them under way, or in line, than %s', async (_what, settings, most) => {
    const held = Promise.withResolvers<void>();
    let underWay = 0;
    const server = await serve(async (request, response) => {
      if (request.url?.includes('partNumber=') === true) {
        underWay++;
        await held.promise;
      }
      return copying(there('before', 31 * mib))(request, response);
    });
    const keys = { accessKey: 'who', secretKey: 'secret', copyByPartsFrom: 5 * mib };
    const store = openStore({ endpoint: server.endpoint, ...keys, transport, ...settings }, awsProfile);
    onTestFinished(() => store.connection.close());
    const taking = vi.spyOn(store.bulk, 'take');
    const copy = copyObject(store, { source, destination }, {}, noContext);
    await eventually(() => underWay).toBe(most);
    expect(taking).toHaveBeenCalledTimes(most);
    held.resolve();
    expect(await copy).toMatchObject({ etag: 'copied' });
    expect(underWay).toBe(7);
  });

  it('by parts makes no more of them once one was refused, and leaves their connections', async () => {
    const begun = Promise.withResolvers<void>();
    let isLeft = false;
    const server = await serve(async (request, response) => {
      if (request.url?.includes('partNumber=2&') === true) {
        request.socket.once('close', () => (isLeft = true));
        return begun.resolve(); // never answered
      }
      if (request.url?.includes('partNumber=1&') !== true) return copying(there('before', 11 * mib))(request, response);
      await begun.promise;
      return refusal(500, 'InternalError')(request, response);
    });
    const backend = backendTo(server, { transport, copyByPartsFrom: 6 * mib, timeout: 600 });
    await expect(backend.copy(source, destination, {}, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
    await eventually(() => isLeft).toBe(true);
    expect(seen(server, 'DELETE')).toEqual(['/bucket/copy?uploadId=id']);
  });

  it('whose ETag is that of its source is not looked at again', async () => {
    const server = await serve(copying(there('copied', 3)));
    expect(await backendTo(server, { transport }).copy(source, destination, {}, noContext)).toMatchObject({ etag: 'copied', size: 3 });
    expect(seen(server, 'HEAD')).toEqual(['/bucket/source']);
  });

  it.each([
    ['in one request', 12 * mib, [['acme', false]]],
    [
      'by parts, of which only the first can still be given up',
      10 * mib,
      [
        ['acme', false],
        ['acme', true],
      ],
    ],
  ])('of many bytes waits for its turn, and gives it back whatever comes of it: %s', async (_how, copyByPartsFrom, turns) => {
    let isFailing = true;
    const server = await serve((request, response) => {
      const isCopy = request.headers['x-amz-copy-source'] !== undefined;
      return (isCopy && isFailing ? refusal(500, 'InternalError') : copying(there('before', 11 * mib)))(request, response);
    });
    const keys = { accessKey: 'who', secretKey: 'secret', maxRetries: 0 };
    const store = openStore({ endpoint: server.endpoint, ...keys, transport, maxPoolConnections: 5, copyByPartsFrom }, awsProfile);
    onTestFinished(() => store.connection.close());
    const copy = (): Promise<ObjectInfo> => copyObject(store, { source, destination }, {}, { tenant: 'acme' });
    for (let failed = 0; failed < store.downloads.limit; failed++)
      await expect(copy()).rejects.toMatchObject({ code: 'storage_unavailable' });
    isFailing = false;
    for (let made = 0; made < 2; made++) {
      const taking = [vi.spyOn(store.bulk, 'take'), vi.spyOn(store.downloads, 'take')];
      expect(await copy()).toMatchObject({ etag: 'copied' });
      for (const { mock } of taking)
        expect(mock.calls.map(([, { tenant, isResuming = false } = {}]) => [tenant, isResuming])).toEqual(turns);
      vi.restoreAllMocks();
    }
  });

  it.each([
    [5 * mib, 1, 'whole'],
    [9 * mib, 9 * mib + 1, 'whole'],
    [9 * mib, 9 * mib, 'by parts'],
  ])('of %i bytes, with parts from %i on, is made %s', async (size, copyByPartsFrom, how) => {
    const server = await serve(copying(there('before', size)));
    await backendTo(server, { transport, copyByPartsFrom }).copy(source, destination, {}, noContext);
    expect(seen(server, 'PUT').every((url) => url.includes('partNumber='))).toBe(how === 'by parts');
  });

  it.each([
    ['256 MiB at most', 600, 300, 256],
    ['more, if there would be too many', 6144, 5, 7],
  ])('by parts has parts of %s', async (_what, size, copyByPartsFrom, expected) => {
    const server = await serve((request, response) => {
      const isPart = request.url?.includes('partNumber=') === true;
      return (isPart ? refusal(412, 'PreconditionFailed') : copying(there('before', size * mib)))(request, response);
    });
    const backend = backendTo(server, { transport, copyByPartsFrom: copyByPartsFrom * mib }, { ...awsProfile, maxParts: 1000 });
    await expect(backend.copy(source, destination, {}, noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
    const ranges = server.requests.map(({ headers }) => headers['x-amz-copy-source-range']);
    expect(ranges).toContain(`bytes=0-${expected * mib - 1}`);
  });

  it.each(['null', 'a version'])('by parts is of one version, and is not put together once there is another (%s)', async (version) => {
    let looks = 0;
    const look: Answer = (...asked) => there(looks++ === 0 ? 'before' : 'after', 9 * mib, version)(...asked);
    const server = await serve(copying(look));
    const copy = backendTo(server, { transport, copyByPartsFrom: 6 * mib }).copy(source, destination, {}, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'precondition_failed' });
    const parts = server.requests.filter(({ method }) => method === 'PUT').map(({ headers }) => headers);
    expect(parts.map((headers) => headers['x-amz-copy-source-if-match'])).toEqual(['"before"', '"before"']);
    const ranges = parts.map((headers) => headers['x-amz-copy-source-range']).toSorted();
    expect(ranges).toEqual([`bytes=0-${6 * mib - 1}`, `bytes=${6 * mib}-${9 * mib - 1}`]);
    expect(seen(server, 'POST').filter((url) => url.includes('uploadId='))).toEqual([]);
    expect(seen(server, 'DELETE')).toEqual(['/bucket/copy?uploadId=id']); // and not the object at the destination
  });

  it.each([
    [501, 'NotImplemented'],
    [400, 'InvalidArgument'],
  ])('by parts is made in one request where the server copies no parts (%i %s)', async (status, code) => {
    const server = await serve((request, response) => {
      const isPart = request.url?.includes('partNumber=') === true;
      return (isPart ? refusal(status, code) : copying(there('before')))(request, response);
    });
    const backend = backendTo(server, { transport, copyByPartsFrom: 6 * mib });
    expect(await backend.copy(source, destination, { acl: 'private' }, noContext)).toMatchObject({ etag: 'copied', size: 9 * mib });
    expect(seen(server, 'PUT').at(-1)).toBe('/bucket/copy');
    expect(seen(server, 'DELETE')).toEqual(['/bucket/copy?uploadId=id']);
  });

  it.each([
    ['of a version', there('before', 3, 'version'), {}],
    ['that was asked for', there('before', 9 * mib), { ifMatch: 'before' }],
    ['whose key has to be free', there('before', 9 * mib), { ifNoneMatch: '*' }],
  ] as const)('is made without the condition that its server refuses, if it is %s', async (_what, look, options) => {
    const server = await serve((request, response) => {
      const { method, url = '', headers } = request;
      if (method === 'HEAD' && url.startsWith('/bucket/copy')) return refusal(404, '')(request, response);
      const isRefused = method === 'PUT' && ('x-amz-copy-source-if-match' in headers || 'if-none-match' in headers);
      return (isRefused ? refusal(501, 'NotImplemented') : copying(look))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false, conditionalCopy: false });
    expect(await backend.copy(source, destination, options, noContext)).toMatchObject({ etag: 'copied' });
  });

  describe('where the server ignores the condition on the source', () => {
    const unenforced = { ...awsProfile, copySourceCondition: false, conditionalCopy: false };
    /** The source is another one once a copy has been made. @param etag of the copy */
    const replacing = async (etag: string, version?: string, onDelete?: () => void): Promise<Scripted> => {
      const server = await serve((request, response) => {
        const { method, url = '', headers } = request;
        if (method === 'DELETE') onDelete?.();
        if (method === 'HEAD' && url === '/bucket') return response.end();
        if (method === 'HEAD' && url.startsWith('/bucket/copy')) return refusal(404, '')(request, response);
        if (headers['x-amz-copy-source'] !== undefined)
          return answering(`<CopyObjectResult><ETag>&quot;${etag}&quot;</ETag></CopyObjectResult>`)(request, response);
        const isMade = server.requests.some((made) => made.headers['x-amz-copy-source'] !== undefined);
        return copying(there(isMade ? 'after' : 'before', 9 * mib, version))(request, response);
      });
      return server;
    };

    it.each(['null', 'a version'])(
      'is undone if it may be of another version than was asked for, whether or not its caller leaves (%s)',
      async (version) => {
        const caller = new AbortController();
        const server = await replacing('copied', version, () => caller.abort());
        const backend = backendTo(server, { transport }, unenforced);
        const copy = backend.copy(source, destination, { ifMatch: 'before' }, { signal: caller.signal });
        await expect(copy).rejects.toMatchObject({ code: 'precondition_failed' });
        expect(seen(server, 'DELETE')).toEqual(['/bucket/copy']);
      },
    );

    it.each([
      ['its ETag tells that it is of the version that was asked for', 'before', { ifMatch: 'before' }],
      ['no particular version was asked for', 'copied', { ifNoneMatch: '*' }],
    ] as const)('stays if %s, although there is a newer one', async (_why, etag, options) => {
      const server = await replacing(etag);
      expect(await backendTo(server, { transport }, unenforced).copy(source, destination, options, noContext)).toMatchObject({ etag });
      expect(seen(server, 'DELETE')).toEqual([]);
    });
  });

  it.each([undefined, false])(
    'under If-None-Match is made if its key is free, also where the credentials may not ask whether versions are kept (%s)',
    async (conditionalPutOfVersions) => {
      let isTaken = false;
      const server = await serve((request, response) => {
        const { method, url = '' } = request;
        isTaken ||= method === 'PUT';
        if (url.includes('versioning')) return refusal(403, 'AccessDenied')(request, response);
        if (method === 'HEAD' && url.startsWith('/bucket/copy') && !isTaken) return refusal(404, '')(request, response);
        if (method === 'PUT') return answering('', { etag: '"copied"' })(request, response);
        return (isRead(request) ? reading('before', 3) : copying(there('before', 3)))(request, response);
      });
      const backend = backendTo(server, { transport }, { ...awsProfile, conditionalCopy: false, conditionalPutOfVersions });
      const copy = (): Promise<ObjectInfo> => backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
      expect(await copy()).toMatchObject({ etag: 'copied' });
      await expect(copy()).rejects.toMatchObject({ code: 'precondition_failed' });
      expect(seen(server, 'PUT')).toEqual(['/bucket/copy']);
      // Where the server does compare, it also refuses whoever comes in between.
      expect(server.requests.find(({ method }) => method === 'PUT')?.headers).toMatchObject({ 'if-none-match': '*' });
    },
  );

  it('under If-None-Match is not made while the server does not tell whether versions are kept, under which it may ignore it', async () => {
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (url.includes('versioning')) return refusal(503, 'ServiceUnavailable')(request, response);
      if (method === 'HEAD' && url.startsWith('/bucket/copy')) return refusal(404, '')(request, response);
      return (isRead(request) ? reading('before', 3) : copying(there('before', 3)))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, conditionalCopy: false, conditionalPutOfVersions: false });
    const copy = backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(seen(server, 'PUT')).toEqual([]);
  });

  it.each([3, 9 * mib])('under If-None-Match replaces nothing where the server ignores that of any write (%i bytes)', async (size) => {
    const server = await serve((request, response) => {
      if (isWrite(request)) return ok(request, response);
      return (isRead(request) ? reading('before', size) : copying(there('before', size)))(request, response);
    });
    const ignoring = { ...awsProfile, conditionalPut: false, conditionalComplete: false, conditionalCopy: false };
    for (const copyByPartsFrom of [9 * mib, 10 * mib]) {
      const copy = backendTo(server, { transport, copyByPartsFrom }, ignoring).copy(source, destination, { ifNoneMatch: '*' }, noContext);
      await expect(copy).rejects.toMatchObject({ code: 'precondition_failed' });
    }
    expect(seen(server, 'PUT')).toEqual([]);
  });

  it('by parts under If-None-Match does not pass it on to a server that does not enforce it', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/bucket') return response.end(); // HEAD of the bucket
      return copying(request.url?.startsWith('/bucket/copy') === true ? refusal(404, '') : there('before'))(request, response);
    });
    const backend = backendTo(server, { transport, copyByPartsFrom: 6 * mib }, { ...awsProfile, conditionalComplete: false });
    await backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
    expect(server.requests.filter(({ headers }) => headers['if-none-match'] !== undefined)).toEqual([]);
  });

  it.each([
    ['in one request', {}, 'PUT'],
    ['by parts', { copyByPartsFrom: 6 * mib }, 'POST'],
  ])('under If-None-Match passes it on to a server that enforces it: %s', async (_how, settings, last) => {
    const server = await serve((request, response) => {
      if (request.url === '/other') return response.end(); // HEAD of the bucket
      return copying(request.url?.startsWith('/other/') === true ? refusal(404, '') : there('before'))(request, response);
    });
    await backendTo(server, { transport, ...settings }).copy(source, { ...source, bucket: 'other' }, { ifNoneMatch: '*' }, noContext);
    const told = server.requests.filter(({ headers }) => headers['if-none-match'] !== undefined);
    expect(told.map(({ method, headers }) => [method, headers['if-none-match']])).toEqual([[last, '*']]);
  });

  it.each([
    ['the same', {}, undefined],
    ['of another type', { 'content-type': 'text/html' }, 'precondition_failed'],
    ['of other metadata', { 'x-amz-meta-by': 'them' }, 'precondition_failed'],
    ['of other bytes', { etag: '"theirs"' }, 'precondition_failed'],
  ])('under If-None-Match whose answer got lost is told apart from a copy by somebody else: %s', async (_what, differing, code) => {
    const described = { etag: '"before"', 'content-length': mib, 'content-type': 'text/plain', 'x-amz-meta-by': 'us' };
    let asked = 0;
    const server = await serve((request, response) => {
      if (request.method === 'PUT') return asked++ === 0 ? request.socket.destroy() : refusal(412, 'PreconditionFailed')(request, response);
      const told = request.url?.startsWith('/bucket/copy') === true ? { ...described, ...differing } : described;
      return copying((_request, answer) => answer.writeHead(200, told).end())(request, response);
    });
    const backend = backendTo(server, { transport, maxRetries: 1 }, { ...awsProfile, acl: false });
    const copy = backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
    if (code === undefined) expect(await copy).toMatchObject({ etag: 'before', metadata: { by: 'us' } });
    else await expect(copy).rejects.toMatchObject({ code });
    expect(asked).toBe(2);
  });

  it.each([
    ['which may be it, if there are as many bytes', 3, 'storage_unavailable'],
    ['which it is not, if there are more bytes', 4, 'precondition_failed'],
  ])('of an object onto itself whose answer got lost finds another ETag there, %s', async (_what, size, code) => {
    let asked = 0;
    const server = await serve((request, response) => {
      if (request.method === 'PUT') return asked++ === 0 ? request.socket.destroy() : refusal(412, 'PreconditionFailed')(request, response);
      return copying(asked === 0 ? there('before', 3) : there('after', size))(request, response);
    });
    const copy = backendTo(server, { transport, maxRetries: 1 }).copy(source, source, {}, noContext);
    await expect(copy).rejects.toMatchObject({ code });
    expect(asked).toBe(2);
  });

  it('has the storage class of its source, unless another is requested, and a date of its own', async () => {
    const described = { etag: '"before"', 'content-length': 3, 'last-modified': 'Wed, 21 Oct 2015 07:28:00 GMT' };
    const look: Answer = (_request, response) => response.writeHead(200, { ...described, 'x-amz-storage-class': 'STANDARD_IA' }).end();
    const server = await serve(copying(look));
    const backend = backendTo(server, { transport });
    const made = await backend.copy(source, destination, {}, noContext);
    expect(made.storageClass).toBe('STANDARD_IA');
    expect(made.lastModified.getFullYear()).toBeGreaterThan(2015);
    const other = await backend.copy(source, destination, { storageClass: 'GLACIER_IR' }, noContext);
    expect(other.storageClass).toBe('GLACIER_IR');
    const told = server.requests.flatMap(({ headers }) => ('x-amz-copy-source' in headers ? [headers['x-amz-storage-class']] : []));
    expect(told).toEqual(['STANDARD_IA', 'GLACIER_IR']);
  });

  it('redirects where its source does, which AWS keeps only if it is told again', async () => {
    const described = { etag: '"before"', 'content-length': 3, 'content-type': 'text/html', 'x-amz-website-redirect-location': '/there' };
    const look: Answer = (_request, response) => response.writeHead(200, { ...described, 'x-amz-meta-by': 'us' }).end();
    const server = await serve(copying(look));
    await backendTo(server, { transport }).copy(source, destination, {}, noContext);
    expect(server.requests.find(({ method }) => method === 'PUT')?.headers).toMatchObject({
      'x-amz-metadata-directive': 'REPLACE',
      'x-amz-website-redirect-location': '/there',
      'content-type': 'text/html',
      'x-amz-meta-by': 'us',
    });
  });

  it.each([
    ['there, if its source is gone by now', there('copied', 3), refusal(404, '')],
    ['at its source, if nobody may look at it', refusal(403, 'AccessDenied'), there('copied', 3)],
    ['at its source, if another object is in its place by now', there('other', 5), there('copied', 3)],
  ])('is described as what it is, if its source was replaced between the look at it and the copy: %s', async (_where, lookAtIt, after) => {
    const server = await serve((request, response) => {
      const isMade = server.requests.some(({ headers }) => headers['x-amz-copy-source'] !== undefined);
      const lookAtSource = isMade ? after : there('before', mib);
      return copying(request.url?.startsWith('/bucket/copy') === true ? lookAtIt : lookAtSource)(request, response);
    });
    const info = await backendTo(server, { transport }).copy(source, destination, {}, noContext);
    expect(info).toMatchObject({ ...destination, etag: 'copied', size: 3 });
  });

  it('by parts under If-None-Match is aborted if an object was written meanwhile', async () => {
    let looks = 0;
    const look: Answer = (request, response) => {
      if (request.url?.startsWith('/bucket/copy') !== true) return there('before')(request, response);
      return (looks++ === 0 ? refusal(404, '') : there('theirs'))(request, response);
    };
    // The last HEAD is of the bucket.
    const server = await serve(copying((request, response) => (request.url === '/bucket' ? response.end() : look(request, response))));
    const profile = { ...awsProfile, conditionalCopy: false, conditionalComplete: false };
    const backend = backendTo(server, { transport, copyByPartsFrom: 6 * mib }, profile);
    const copy = backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(seen(server, 'PUT').length).toBe(2);
    expect(seen(server, 'POST').filter((url) => url.includes('uploadId='))).toEqual([]);
    expect(seen(server, 'DELETE')).toEqual(['/bucket/copy?uploadId=id']);
  });
});
