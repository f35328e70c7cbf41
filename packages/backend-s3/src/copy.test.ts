import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import { noContext } from '@coffer/storage-core';
import type { ObjectInfo } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { copyObject } from './copy.ts';
import { openStore } from './open-store.ts';
import { awsProfile } from './profile.ts';
import { transports } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { answering, ok, refusal } from './testing/scripted.ts';
import type { Answer, Scripted } from './testing/scripted.ts';

const mib = 2 ** 20;
const source = { bucket: 'bucket', key: 'source' };
const destination = { bucket: 'bucket', key: 'copy' };

const { serve, backendTo, open, clear } = newStage();
afterEach(clear);

const there =
  (etag: string, size = 9 * mib, version = 'null'): Answer =>
  (_request, response) => {
    const headers = { etag: `"${etag}"`, 'content-length': size, 'content-type': 'text/plain', 'x-amz-version-id': version };
    response.writeHead(200, headers).end();
  };
const privately = answering('<AccessControlPolicy><Owner><ID></ID></Owner><AccessControlList/></AccessControlPolicy>');
const copied = answering('<CopyObjectResult><ETag>&quot;copied&quot;</ETag></CopyObjectResult>');
const partCopied = answering('<CopyPartResult><ETag>&quot;part&quot;</ETag></CopyPartResult>');
const begun = answering('<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>');
const completed = answering('<CompleteMultipartUploadResult><ETag>&quot;copied&quot;</ETag></CompleteMultipartUploadResult>');

/** A server that copies whatever it is asked to. @param look answers to HEAD */
const copying =
  (look: Answer): Answer =>
  (request, response) => {
    const { method, url = '' } = request;
    if (method === 'HEAD') return look(request, response);
    if (method === 'GET') return privately(request, response);
    if (method === 'DELETE') return response.writeHead(204).end();
    if (method === 'POST') return (url.includes('uploadId=') ? completed : begun)(request, response);
    return (url.includes('partNumber=') ? partCopied : copied)(request, response);
  };
const seen = ({ requests }: Scripted, method: string): readonly string[] =>
  requests.filter((request) => request.method === method).map(({ url = '' }) => url.replace(/[?&]x-id=\w+/, ''));

describe.each(transports)('a copy (%s)', (transport) => {
  it('of an object onto itself is of the version that was inspected', async () => {
    const server = await serve(copying(there('before')));
    await backendTo(server, { transport }).copy(source, source, {}, noContext);
    const put = server.requests.find(({ method }) => method === 'PUT');
    expect(put?.headers).toMatchObject({ 'x-amz-copy-source-if-match': '"before"', 'x-amz-metadata-directive': 'REPLACE' });
  });

  it.each([
    [3, {}, ['GET', 'PUT']],
    [8 * mib, {}, ['GET', 'PUT']],
    [9 * mib, {}, ['GET', 'GET', 'PUT', 'PUT', 'POST']],
    [12 * mib, {}, ['GET', 'GET', 'PUT', 'PUT', 'POST']],
    [3, { ifNoneMatch: '*' }, ['GET', 'PUT']],
    [9 * mib, { ifNoneMatch: '*' }, ['GET', 'GET', 'PUT', 'PUT', 'POST']],
    [12 * mib, { ifNoneMatch: '*' }, ['GET', 'GET', 'PUT', 'PUT', 'POST']],
  ] as const)(
    'of the latest version passes through this process if the server would copy another one (%i bytes, %o)',
    async (size, condition, made) => {
      const latest = Buffer.alloc(size, 'x');
      const look: Answer = (_request, response) =>
        response.writeHead(200, { etag: '"latest"', 'content-length': size, 'content-type': 'text/plain', 'x-amz-version-id': '2' }).end();
      const server = await serve((request, response) => {
        const { method, url = '', headers } = request;
        const isAbsent = 'ifNoneMatch' in condition;
        if (isAbsent && method === 'HEAD' && url.startsWith('/bucket/copy')) return refusal(404, '')(request, response);
        if (headers['x-amz-copy-source-if-match'] === '"latest"') return refusal(412, 'PreconditionFailed')(request, response);
        if (method === 'PUT' && headers['x-amz-copy-source'] === undefined) return answering('', { etag: '"sent"' })(request, response);
        if (method !== 'GET' || /acl|versioning/.test(url)) return copying(look)(request, response);
        const [first = 0, last = size - 1] = (headers.range ?? '').replace('bytes=', '').split('-').filter(Boolean).map(Number);
        const range = headers.range === undefined ? {} : { 'content-range': `bytes ${first}-${last}/${size}` };
        response.writeHead(headers.range === undefined ? 200 : 206, { etag: '"latest"', ...range, 'content-length': last + 1 - first });
        return response.end(latest.subarray(first, last + 1));
      });
      await backendTo(server, { transport, copyByPartsFrom: 10 * mib }).copy(source, destination, condition, noContext);
      const refused = server.requests.findLastIndex(({ headers }) => headers['x-amz-copy-source'] !== undefined);
      const after = server.requests
        .slice(refused + 1)
        .filter(({ method = '', url = '' }) => !/HEAD|DELETE/.test(method) && !/uploads|acl/.test(url));
      expect(after.map(({ method }) => method).toSorted()).toEqual([...made].toSorted());
      expect(seen(server, 'DELETE')).toEqual(size < 10 * mib ? [] : ['/bucket/copy?uploadId=id']);
    },
  );

  it('of an object onto itself passes through this process if the server ignores its condition, and replaces only what was read', async () => {
    let isReplaced = false;
    const look: Answer = (request, response) => there(isReplaced ? 'after' : 'before', 3)(request, response);
    const server = await serve((request, response) => {
      const isRead = request.method === 'GET' && request.url?.includes('acl') !== true;
      if (isRead) return answering('old', { etag: '"before"' })(request, response);
      const isCopy = request.headers['x-amz-copy-source'] !== undefined;
      isReplaced ||= request.method === 'PUT';
      return (request.method === 'PUT' && !isCopy ? refusal(412, 'PreconditionFailed') : copying(look))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
    await expect(backend.copy(source, source, {}, noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
    const [put, ...others] = server.requests.filter(({ method }) => method === 'PUT');
    expect(put?.headers).toMatchObject({ 'if-match': '"before"', 'content-type': 'text/plain' });
    expect(others).toEqual([]);
  });

  it('of an object onto itself is refused if another object was written before the server made it unconditionally', async () => {
    const server = await serve((request, response) => {
      const isOfBytes = request.url?.includes('acl') !== true;
      if (isOfBytes && request.method === 'GET') return answering('old', { etag: '"before"' })(request, response);
      const isWrite = isOfBytes && request.method === 'PUT' && request.headers['x-amz-copy-source'] === undefined;
      const isMade = server.requests.some(({ headers }) => headers['x-amz-copy-source'] !== undefined);
      return (isWrite ? refusal(412, 'PreconditionFailed') : copying(there(isMade ? 'copied' : 'before', 3)))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
    const copy = backend.copy(source, source, { ifMatch: 'before' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(server.requests.filter(({ headers }) => headers['x-amz-copy-source'] !== undefined)).toHaveLength(1);
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
        expect(seen(server, 'PUT')).toHaveLength(1);
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

  it.each([3, 9 * mib])('of the latest version keeps its tags when it passes through this process (%i bytes)', async (size) => {
    const described = { etag: '"latest"', 'content-length': size, 'x-amz-version-id': '2', 'x-amz-tagging-count': 1 };
    const tags = '<Tagging><TagSet><Tag><Key>name</Key><Value>of it</Value></Tag></TagSet></Tagging>';
    const server = await serve((request, response) => {
      const { method, url = '', headers } = request;
      if (headers['x-amz-copy-source-if-match'] !== undefined) return refusal(412, 'PreconditionFailed')(request, response);
      if (method === 'GET' && url.includes('tagging')) return answering(tags)(request, response);
      if (method === 'PUT') return answering('', { etag: '"sent"' })(request, response);
      const isRead = method === 'GET' && !url.includes('acl');
      if (!isRead) return copying((_request, answer) => answer.writeHead(200, described).end())(request, response);
      const [first = 0, last = size - 1] = (headers.range ?? '').replace('bytes=', '').split('-').filter(Boolean).map(Number);
      return response.writeHead(200, { etag: '"latest"', 'content-length': last + 1 - first }).end(Buffer.alloc(last + 1 - first));
    });
    await backendTo(server, { transport }).copy(source, destination, {}, noContext);
    expect(seen(server, 'PUT').at(-1)).toMatch(/^\/bucket\/copy\?tagging/);
  });

  describe('of an object that could share its bytes with the copy, as on Ceph', () => {
    const sharing = { ...awsProfile, conditionalPutOfVersions: false, copySourceCondition: false };
    const suspended = answering('<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>');
    const serving = (copiesParts: boolean): Promise<Scripted> =>
      serve((request, response) => {
        const { method, url = '', headers } = request;
        if (url.includes('versioning')) return suspended(request, response);
        if (method === 'PUT' && url.includes('partNumber=') && headers['x-amz-copy-source'] === undefined)
          return answering('', { etag: '"sent"' })(request, response);
        if (url.includes('partNumber=') && !copiesParts) return refusal(501, 'NotImplemented')(request, response);
        if (method !== 'GET' || url.includes('acl')) return copying(there('before'))(request, response);
        const [first = 0, last = 0] = (headers.range ?? '').replace('bytes=', '').split('-').map(Number);
        return response.writeHead(206, { etag: '"before"', 'content-length': last + 1 - first }).end(Buffer.alloc(last + 1 - first));
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
  });

  it('of more than one request may copy passes through this process where the server copies no parts', async () => {
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (url.includes('partNumber=')) return refusal(501, 'NotImplemented')(request, response);
      const isRead = method === 'GET' && !url.includes('acl');
      return (isRead ? refusal(403, 'AccessDenied') : copying(there('before', 6 * 1024 * mib)))(request, response);
    });
    const copy = backendTo(server, { transport }).copy(source, destination, {}, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'access_denied' });
    expect(seen(server, 'PUT').filter((url) => !url.includes('partNumber='))).toEqual([]);
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
      return (isPart ? refusal(403, 'AccessDenied') : copying(there('before', size * mib)))(request, response);
    });
    const backend = backendTo(server, { transport, copyByPartsFrom: copyByPartsFrom * mib }, { ...awsProfile, maxParts: 1000 });
    await expect(backend.copy(source, destination, {}, noContext)).rejects.toMatchObject({ code: 'access_denied' });
    const ranges = server.requests.map(({ headers }) => headers['x-amz-copy-source-range']);
    expect(ranges).toContain(`bytes=0-${expected * mib - 1}`);
  });

  it('by parts is of one version, and is not put together once there is another', async () => {
    let looks = 0;
    const server = await serve(copying((request, response) => there(looks++ === 0 ? 'before' : 'after')(request, response)));
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
  ])('is made without the condition that its server refuses, if it is %s', async (_what, look, options) => {
    const server = await serve((request, response) => {
      const isRefused = request.method === 'PUT' && 'x-amz-copy-source-if-match' in request.headers;
      return (isRefused ? refusal(501, 'NotImplemented') : copying(look))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
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

  it('through this process is of the inspected version, and holds neither memory nor a connection afterwards', async () => {
    const data = Buffer.alloc(3 * mib);
    let reads = 0;
    const server = await serve((request, response) => {
      const isOfBytes = request.url?.includes('acl') !== true;
      if (isOfBytes && request.method === 'GET')
        return response.writeHead(200, { etag: reads++ === 0 ? '"after"' : '"before"', 'content-length': data.length }).end(data);
      return (request.method === 'PUT' ? ok : copying(there('before', data.length)))(request, response);
    });
    const settings = { transport, uploadMemory: 5 * mib, partSize: 5 * mib, maxPoolConnections: 1 };
    const backend = backendTo(server, settings, { ...awsProfile, copySourceCondition: false });
    const copy = (): Promise<unknown> => backend.copy(source, destination, { ifMatch: 'before' }, { signal: AbortSignal.timeout(20_000) });
    await expect(copy()).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(seen(server, 'PUT')).toEqual([]);
    for (let made = 0; made < 2; made++) expect(await copy()).toMatchObject({ size: data.length });
  });

  it('by parts through this process holds no memory once a part was of another version', async () => {
    const size = 6 * mib;
    let reads = 0;
    const server = await serve((request, response) => {
      const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')?.map(Number) ?? [];
      if (start === undefined || end === undefined)
        return (request.method === 'PUT' ? ok : copying(there('before', size)))(request, response);
      const part = Buffer.alloc(end - start + 1);
      return response.writeHead(206, { etag: reads++ === 0 ? '"after"' : '"before"', 'content-length': part.length }).end(part);
    });
    const settings = { transport, uploadMemory: 5 * mib, partSize: 5 * mib, copyByPartsFrom: 5 * mib + 1 };
    const backend = backendTo(server, settings, { ...awsProfile, copySourceCondition: false });
    const from = { ...source, key: 'a%b' }; // the parts of which no server copies
    const copy = (): Promise<unknown> => backend.copy(from, destination, { ifMatch: 'before' }, { signal: AbortSignal.timeout(20_000) });
    await expect(copy()).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(await copy()).toMatchObject({ size });
  });

  it.each([
    ['there', there('copied', 3)],
    ['at its source, if nobody may look at it', refusal(403, 'AccessDenied')],
  ])('is described as what it is, if its source was replaced between the look at it and the copy: %s', async (_where, lookAtIt) => {
    const server = await serve((request, response) => {
      const isMade = server.requests.some(({ headers }) => headers['x-amz-copy-source'] !== undefined);
      const lookAtSource = isMade ? there('copied', 3) : there('before', mib);
      return copying(request.url?.startsWith('/bucket/copy') === true ? lookAtIt : lookAtSource)(request, response);
    });
    const info = await backendTo(server, { transport }).copy(source, destination, {}, noContext);
    expect(info).toMatchObject({ ...destination, etag: 'copied', size: 3 });
  });

  it.each([
    ['whole', 'a%b', 6 * mib],
    ['by parts', 'a%b', 12 * mib],
  ])('through this process is made although a connection that it reads from is cut: %s', async (_how, key, size) => {
    let reads = 0;
    const server = await serve((request, response) => {
      const { method, url = '', headers } = request;
      if (method === 'PUT' && headers['x-amz-copy-source'] === undefined) return answering('', { etag: '"sent"' })(request, response);
      if (method !== 'GET' || /acl/.test(url)) return copying(there('before', size))(request, response);
      const [first = 0, last = size - 1] = (headers.range ?? '').replace('bytes=', '').split('-').filter(Boolean).map(Number);
      const range = headers.range === undefined ? {} : { 'content-range': `bytes ${first}-${last}/${size}` };
      response.writeHead(headers.range === undefined ? 200 : 206, { etag: '"before"', ...range, 'content-length': last + 1 - first });
      if (reads++ === 0) return response.write(Buffer.alloc(mib), () => request.socket.destroy());
      return response.end(Buffer.alloc(last + 1 - first));
    });
    const settings = { transport, copyByPartsFrom: 10 * mib, maxRetries: 1, uploadMemory: 8 * mib };
    const backend = backendTo(server, settings, { ...awsProfile, copySourceCondition: false });
    await backend.copy({ ...source, key }, destination, { ifMatch: 'before' }, noContext);
    expect(reads).toBe(size > 8 * mib ? 3 : 2);
  });

  it('through this process is given up once its source was cut off more often than requests are retried', async () => {
    let reads = 0;
    const server = await serve((request, response) => {
      if (request.method !== 'GET' || request.url?.includes('acl') === true) return copying(there('before', 3 * mib))(request, response);
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
  ])('through this process does not wait for slow clients that hold the memory: %s', async (_how, size) => {
    const server = await serve((request, response) => {
      const { method, url = '', headers } = request;
      if (method === 'PUT' && headers['x-amz-copy-source'] === undefined) return answering('', { etag: '"sent"' })(request, response);
      if (method !== 'GET' || /acl/.test(url)) return copying(there('before', size))(request, response);
      const [first = 0, last = size - 1] = (headers.range ?? '').replace('bytes=', '').split('-').filter(Boolean).map(Number);
      return response.writeHead(200, { etag: '"before"', 'content-length': last + 1 - first }).end(Buffer.alloc(last + 1 - first));
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

  it.each([
    ['as a whole', 5 * mib, 'source'],
    ['by parts', 10 * mib, '100%'],
  ])('through this process needs no memory beside what it has taken, and leaves that to others (%s)', async (_how, size, key) => {
    const server = await serve((request, response) => {
      const { method, url = '', headers } = request;
      if (method === 'PUT') return answering('', { etag: '"sent"' })(request, response);
      if (method !== 'GET' || url.includes('acl')) return copying(there('before', size))(request, response);
      const [first = 0, last = size - 1] = (headers.range ?? '').replace('bytes=', '').split('-').filter(Boolean).map(Number);
      const content = { etag: '"before"', 'content-length': last + 1 - first };
      return response.writeHead(headers.range === undefined ? 200 : 206, content).end(Buffer.alloc(last + 1 - first, 'x'));
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
    'under If-None-Match through this process is of the newer version, if the source is replaced meanwhile (%s)',
    async (how) => {
      let looks = 0;
      const server = await serve((request, response) => {
        const isRead = request.method === 'GET' && request.url?.includes('acl') !== true;
        if (isRead && looks === 1 && how === 'a refused read') return refusal(412, 'PreconditionFailed')(request, response);
        if (isRead) return answering('new', { etag: '"after"' })(request, response);
        if (request.method === 'PUT') return answering('', { etag: '"after"' })(request, response);
        return copying((...look) => (looks++ === 0 ? there('before', 9) : there('after', 3))(...look))(request, response);
      });
      const backend = backendTo(server, { transport }, { ...awsProfile, conditionalCopy: false });
      const info = await backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
      expect(info).toMatchObject({ ...destination, etag: 'after', size: 3 });
      expect(seen(server, 'PUT').filter((url) => !url.includes('acl='))).toEqual(['/bucket/copy']);
    },
  );

  it('under If-None-Match through this process is written with that condition alone, and recognized if the answer gets lost', async () => {
    const etag = hash('md5', 'old');
    const described = { etag: `"${etag}"`, 'content-length': 3, 'content-type': 'text/plain', 'cache-control': 'no-cache' };
    const look: Answer = (_request, response) => response.writeHead(200, described).end();
    const writes: IncomingHttpHeaders[] = [];
    const server = await serve((request, response) => {
      const { method, url = '', headers } = request;
      if (method === 'GET' && !url.includes('acl')) return answering('old', { etag: `"${etag}"` })(request, response);
      if (method !== 'PUT') return copying(look)(request, response);
      writes.push(headers);
      return writes.length === 1 ? request.socket.destroy() : refusal(412, 'PreconditionFailed')(request, response);
    });
    const backend = backendTo(server, { transport, maxRetries: 1 }, { ...awsProfile, acl: false, conditionalCopy: false });
    expect(await backend.copy(source, destination, { ifNoneMatch: '*' }, noContext)).toMatchObject({ ...destination, etag });
    expect(writes).toMatchObject(Array(2).fill({ 'if-none-match': '*', 'cache-control': 'no-cache' }));
    expect(writes.filter((headers) => 'if-match' in headers)).toEqual([]);
  });

  it('under If-None-Match through this process is not taken for what somebody else has written when the answer got lost', async () => {
    let writes = 0;
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'GET' && !url.includes('acl')) return answering('old', { etag: `"${hash('md5', 'old')}"` })(request, response);
      const look = there(url.startsWith('/bucket/copy') ? 'theirs' : hash('md5', 'old'), 3);
      if (method !== 'PUT') return copying(look)(request, response);
      return writes++ === 0 ? request.socket.destroy() : refusal(412, 'PreconditionFailed')(request, response);
    });
    const backend = backendTo(server, { transport, maxRetries: 1 }, { ...awsProfile, acl: false, conditionalCopy: false });
    const copy = backend.copy(source, destination, { ifNoneMatch: '*' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(writes).toBe(2);
  });

  it('through this process ends when its caller leaves while the source is read', async () => {
    const caller = new AbortController();
    const server = await serve((request, response) => {
      if (request.method !== 'GET' || request.url?.includes('acl') === true) return copying(there('before', 3 * mib))(request, response);
      response.writeHead(200, { etag: '"before"', 'content-length': 3 * mib });
      return response.write(Buffer.alloc(mib), () => setTimeout(() => caller.abort(), 100));
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
    const copy = backend.copy(source, destination, { ifMatch: 'before' }, { signal: caller.signal });
    await expect(copy).rejects.toMatchObject({ name: 'AbortError' });
    expect(seen(server, 'PUT')).toEqual([]);
  });

  it.each(['ol', 'older'])('through this process is not made of less or more than what was inspected: %s', async (read) => {
    const server = await serve((request, response) => {
      const isRead = request.method === 'GET' && request.url?.includes('acl') !== true;
      return (isRead ? answering(read, { etag: '"before"' }) : copying(there('before', 3)))(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, copySourceCondition: false });
    const copy = backend.copy(source, destination, { ifMatch: 'before' }, noContext);
    await expect(copy).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(seen(server, 'PUT')).toEqual([]);
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
