import { noContext, readAll } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { transports } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { answering, ok, refusal } from './testing/scripted.ts';
import type { Answer } from './testing/scripted.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

const full = refusal(409, 'BucketNotEmpty');

it.each(transports)('a forced deletion aborts open uploads if the server keeps the bucket because of them (%s)', async (transport) => {
  let isOpen = true;
  const upload = '<Upload><Key>key</Key><UploadId>id</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>';
  const server = await serve((request, response) => {
    const { method, url = '' } = request;
    if (url.includes('versions')) return answering('<ListVersionsResult></ListVersionsResult>')(request, response);
    if (method === 'GET') {
      return answering(`<ListMultipartUploadsResult>${isOpen ? upload : ''}</ListMultipartUploadsResult>`)(request, response);
    }
    if (url.includes('uploadId=id')) isOpen = false;
    else if (isOpen) return refusal(409, 'BucketNotEmpty')(request, response);
    return response.writeHead(204).end();
  });
  const backend = backendTo(server, { transport });
  await expect(backend.buckets?.delete('bucket', {}, noContext)).rejects.toMatchObject({ code: 'bucket_not_empty' });
  await backend.buckets?.delete('bucket', { force: true }, noContext);
  expect(isOpen).toBe(false);
});

// Behind a load balancer before two zones of Ceph, the list may be of one zone, and each abort reach the other, which has no such upload.
it.each(transports)(
  'a forced deletion ends if open uploads are listed again and again, however often they are aborted (%s)',
  async (transport) => {
    const upload = '<Upload><Key>key</Key><UploadId>id</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>';
    let listed = 0;
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (url.includes('versions')) return answering('<ListVersionsResult></ListVersionsResult>')(request, response);
      if (url.includes('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
      if (method === 'GET') {
        const uploads = listed++ < 100 ? upload : ''; // ends sooner or later, so that a test that fails ends too
        return answering(`<ListMultipartUploadsResult>${uploads}</ListMultipartUploadsResult>`)(request, response);
      }
      if (url.includes('uploadId=id')) return refusal(404, 'NoSuchUpload')(request, response);
      return full(request, response);
    });
    const deleting = backendTo(server, { transport }).buckets!.delete('bucket', { force: true }, noContext);
    await expect(deleting).rejects.toMatchObject({ code: 'bucket_not_empty' });
    expect(listed).toBeLessThan(10);
  },
);

describe.each(transports)('a forced deletion of versions that the server protects (%s)', (transport) => {
  it.each([
    ['AccessDenied', 'access_denied', /object lock .*s3:DeleteObject or s3:DeleteObjectVersion/],
    ['InvalidRequest', 'access_denied', /object lock/], // of MinIO
    ['InternalError', 'storage_unavailable', /\(storage_unavailable\)/],
  ])('says why they may be: %s', async (name, code, message) => {
    const failed = `<Error><Key>key</Key><VersionId>1</VersionId><Code>${name}</Code></Error>`;
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'POST') return answering(`<DeleteResult>${failed}</DeleteResult>`)(request, response);
      if (method === 'DELETE') return url.includes('versionId') ? refusal(503, name)(request, response) : full(request, response);
      const version = '<Version><Key>key</Key><VersionId>1</VersionId></Version>';
      return url.includes('versions')
        ? answering(`<ListVersionsResult>${version}</ListVersionsResult>`)(request, response)
        : emptyOfAll(request, response);
    });
    const deleting = backendTo(server, { transport }).buckets!.delete('bucket', { force: true }, noContext);
    await expect(deleting).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });
});

it.each(
  transports.flatMap((transport) => [
    [transport, 'on its page', [['above', 'kept', 'other']]] as const,
    [transport, 'on the next page, after versions', [['free', 'above'], ['kept']]] as const,
    [transport, 'on the next page, after other markers', [['another', 'above'], ['kept']]] as const,
  ]),
)(
  'a forced deletion (%s) removes no delete marker whose removal would bring a locked version back, which is %s',
  async (transport, _where, pages) => {
    const entries: Readonly<Record<string, string>> = {
      another: '<DeleteMarker><Key>a</Key><VersionId>another</VersionId></DeleteMarker>',
      free: '<Version><Key>a</Key><VersionId>free</VersionId></Version>',
      above: '<DeleteMarker><Key>b</Key><VersionId>above</VersionId></DeleteMarker>',
      kept: '<Version><Key>b</Key><VersionId>kept</VersionId></Version>',
      other: '<DeleteMarker><Key>c</Key><VersionId>other</VersionId></DeleteMarker>',
    };
    const perPage = pages[0].length;
    let held: readonly string[] = pages.flat();
    const server = await serve(async (request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return full(request, response);
      if (method !== 'POST' && !url.includes('versions')) return emptyOfAll(request, response);
      const asked = (await readAll(request)).toString();
      const page = held.slice(0, perPage).map((id) => entries[id]);
      if (method !== 'POST') return response.end(`<ListVersionsResult>${page.join('')}</ListVersionsResult>`);
      const ids = held.filter((id) => asked.includes(`<VersionId>${id}</VersionId>`));
      held = held.filter((id) => id === 'kept' || !ids.includes(id));
      const locked = '<Error><Key>b</Key><VersionId>kept</VersionId><Code>AccessDenied</Code></Error>';
      return response.end(`<DeleteResult>${ids.includes('kept') ? locked : ''}</DeleteResult>`);
    });
    const deleting = backendTo(server, { transport }).buckets!.delete('bucket', { force: true }, noContext);
    await expect(deleting).rejects.toMatchObject({ code: 'access_denied' });
    expect(held.filter((id) => id !== 'other')).toEqual(['above', 'kept']);
  },
);

describe.each(transports)('a forced deletion with an open upload that cannot be aborted (%s)', (transport) => {
  it.each([
    ['NoSuchUpload', 404, undefined],
    ['NoSuchKey', 404, undefined],
    ['NoSuchBucket', 404, undefined], // to the deletion of the bucket, its own answer counts
    ['AccessDenied', 403, 'access_denied'],
    ['InternalError', 500, 'storage_unavailable'],
  ])('succeeds only if the upload is already gone: %s', async (name, status, code) => {
    const deleted: string[] = [];
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (url.includes('versions')) return answering('<ListVersionsResult></ListVersionsResult>')(request, response);
      if (url.includes('uploadId=id')) return refusal(status, name)(request, response);
      if (method === 'DELETE') {
        deleted.push(url);
        return response.writeHead(204).end();
      }
      const upload = '<Upload><Key>key</Key><UploadId>id</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>';
      return answering(`<ListMultipartUploadsResult>${upload}</ListMultipartUploadsResult>`)(request, response);
    });
    const deleting = backendTo(server, { transport }).buckets!.delete('bucket', { force: true }, noContext);
    if (code === undefined) await deleting;
    else await expect(deleting).rejects.toMatchObject({ code });
    expect(deleted).toHaveLength(code === undefined ? 1 : 0);
  });
});

it.each(transports)('a bucket whose server knows no upload to list has none (%s)', async (transport) => {
  const server = await serve((request, response) => {
    const { method, url = '' } = request;
    if (url.includes('versions')) return answering('<ListVersionsResult></ListVersionsResult>')(request, response);
    if (method === 'GET') return refusal(404, 'NoSuchUpload')(request, response);
    return response.writeHead(204).end();
  });
  const backend = backendTo(server, { transport });
  await backend.buckets!.delete('bucket', { force: true }, noContext);
});

it.each(transports)('a list of uploads that breaks off is not taken for a whole one (%s)', async (transport) => {
  const upload = '<Upload><Key>key</Key><UploadId>id</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>';
  const next = '<IsTruncated>true</IsTruncated><NextKeyMarker>key</NextKeyMarker><NextUploadIdMarker>id</NextUploadIdMarker>';
  const server = await serve((request, response) => {
    const { method, url = '' } = request;
    if (url.includes('versions')) return answering('<ListVersionsResult></ListVersionsResult>')(request, response);
    if (url.includes('key-marker')) return refusal(404, 'NoSuchUpload')(request, response); // as MinIO does if it cannot read the marker
    if (method === 'GET') return answering(`<ListMultipartUploadsResult>${next}${upload}</ListMultipartUploadsResult>`)(request, response);
    return response.writeHead(204).end();
  });
  const backend = backendTo(server, { transport });
  await expect(backend.buckets!.delete('bucket', { force: true }, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
  const deleted = server.requests.filter(({ method }) => method === 'DELETE').map(({ url = '' }) => url.replace(/[?&]x-id=\w+/, ''));
  expect(deleted).toEqual(['/bucket/key?uploadId=id']); // and not the bucket
});

describe.each(transports)('many open uploads (%s)', (transport) => {
  it.each(['a forced deletion', 'a sweep'])('are aborted page by page, once the page after theirs is read: %s', async (what) => {
    const begun = '<Initiated>2026-01-01T00:00:00.000Z</Initiated>';
    let open = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const seen: string[] = [];
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      const { pathname, searchParams: asked } = new URL(url, 'http://x');
      const key = pathname.slice('/bucket/'.length);
      if (asked.has('versions')) return answering('<ListVersionsResult></ListVersionsResult>')(request, response);
      if (asked.has('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
      if (asked.has('uploads')) {
        // A server may no longer know where an upload was that is gone.
        const marker = asked.get('key-marker');
        if (marker !== null && !open.includes(marker)) return refusal(404, 'NoSuchUpload')(request, response);
        const after = open.filter((name) => name > (marker ?? ''));
        const listed = after.slice(0, 2).map((name) => `<Upload><Key>${name}</Key><UploadId>id</UploadId>${begun}</Upload>`);
        if (listed.length > 0) seen.push(`list ${after.slice(0, 2).join('')}`);
        const more = `<IsTruncated>${after.length > 2}</IsTruncated>`;
        return answering(`<ListMultipartUploadsResult>${more}${listed.join('')}</ListMultipartUploadsResult>`)(request, response);
      }
      if (method === 'GET') return answering('<ListPartsResult><Part><Size>4</Size></Part></ListPartsResult>')(request, response);
      if (key !== '') seen.push('abort');
      open = open.filter((name) => name !== key);
      return response.writeHead(204).end();
    });
    const { buckets, maintenance } = backendTo(server, { transport });
    if (what === 'a sweep')
      expect(await maintenance!.sweep({ olderThan: 60, bucket: 'bucket' }, noContext)).toEqual({ removed: 7, bytes: 28 });
    else await buckets!.delete('bucket', { force: true }, noContext);
    expect(open).toEqual([]);
    expect(seen.join()).toBe('list ab,list cd,abort,abort,list ef,abort,abort,list g,abort,abort,abort');
  });

  describe('of which the server lists only the first, as Versity Gateway does', () => {
    const serving = async (keys: readonly string[] = ['a', 'b', 'c', 'd', 'e']) => {
      const open = keys.slice();
      const server = await serve((request, response) => {
        const { method, url = '' } = request;
        const { pathname, searchParams: asked } = new URL(url, 'http://x');
        if (asked.has('versions')) return answering('<ListVersionsResult></ListVersionsResult>')(request, response);
        if (asked.has('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
        if (asked.has('key-marker')) return refusal(400, 'InvalidArgument')(request, response);
        if (asked.has('uploads')) {
          const begun = '<Initiated>2026-01-01T00:00:00.000Z</Initiated>';
          const listed = open.slice(0, 2).map((name) => `<Upload><Key>${name}</Key><UploadId>id</UploadId>${begun}</Upload>`);
          const more = `<IsTruncated>${open.length > 2}</IsTruncated>`;
          return answering(`<ListMultipartUploadsResult>${more}${listed.join('')}</ListMultipartUploadsResult>`)(request, response);
        }
        if (method === 'GET') return answering('<ListPartsResult></ListPartsResult>')(request, response);
        if (asked.has('uploadId')) open.splice(open.indexOf(pathname.slice('/bucket/'.length)), 1);
        else if (open.length > 0) return refusal(409, 'BucketNotEmpty')(request, response);
        return response.writeHead(204).end();
      });
      return { open, backend: backendTo(server, { transport }) };
    };

    it('are all aborted by a forced deletion, however many', async () => {
      const { open, backend } = await serving(Array.from({ length: 14 }, (_, index) => `key-${index}`));
      await backend.buckets!.delete('bucket', { force: true }, noContext);
      expect(open).toEqual([]);
    });

    it('are aborted by one sweep after the other', async () => {
      const { open, backend } = await serving();
      const sweep = () => backend.maintenance!.sweep({ olderThan: 60, bucket: 'bucket' }, noContext);
      for (const left of ['cde', 'e']) {
        await expect(sweep()).rejects.toMatchObject({ code: 'invalid_argument' });
        expect(open.join('')).toBe(left);
      }
      expect(await sweep()).toMatchObject({ removed: 1 });
    });
  });
});

it.each(transports)(
  'a forced deletion succeeds if the list of versions reports a key as another one, or lacks it (%s)',
  async (transport) => {
    const held = new Set(['\uffff', '.uploads.x/y']);
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      const key = decodeURIComponent(new URL(url, 'http://x').pathname.replace(/^\/bucket\/?/, ''));
      const body: Buffer[] = [];
      request.on('data', (chunk: Buffer) => body.push(chunk));
      request.once('end', () => {
        if (url.includes('versions')) {
          const told = held.has('\uffff') ? '<Version><Key>\ufffd</Key><VersionId>null</VersionId></Version>' : '';
          return response.end(`<ListVersionsResult>${told}</ListVersionsResult>`);
        }
        if (url.includes('uploads')) return response.end('<ListMultipartUploadsResult></ListMultipartUploadsResult>');
        if (method === 'GET') {
          const contents = [...held].map((each) => `<Contents><Key>${encodeURIComponent(each)}</Key><Size>1</Size></Contents>`).join('');
          return response.end(`<ListBucketResult><EncodingType>url</EncodingType>${contents}</ListBucketResult>`);
        }
        if (method === 'POST') {
          for (const [, name = ''] of Buffer.concat(body)
            .toString()
            .matchAll(/<Key>([^<]*)<\/Key>/g))
            held.delete(name);
          return response.end('<DeleteResult></DeleteResult>');
        }
        if (key !== '') held.delete(key);
        else if (held.size > 0) return response.writeHead(409).end('<Error><Code>BucketNotEmpty</Code></Error>');
        return response.writeHead(204).end();
      });
    });
    await backendTo(server, { transport }).buckets?.delete('bucket', { force: true }, noContext);
    expect([...held]).toEqual([]);
  },
);

it.each(transports)('a forced deletion succeeds if delete markers are removed only by overwriting them (%s)', async (transport) => {
  const markers = new Map([
    ['a', 'marker'],
    ['b/c', 'marker'],
  ]);
  let isSuspended = false;
  const server = await serve((request, response) => {
    const { method, url = '' } = request;
    const { pathname, searchParams } = new URL(url, 'http://x');
    const key = decodeURIComponent(pathname.replace(/^\/bucket\/?/, ''));
    request.resume();
    request.once('end', () => {
      if (searchParams.has('versioning')) {
        isSuspended = method === 'PUT';
        return response.end();
      }
      if (searchParams.has('versions')) {
        const told = [...markers.keys()]
          .map((each) => `<DeleteMarker><Key>${each}</Key><VersionId>null</VersionId></DeleteMarker>`)
          .join('');
        return response.end(`<ListVersionsResult>${told}</ListVersionsResult>`);
      }
      if (searchParams.has('uploads')) return response.end('<ListMultipartUploadsResult></ListMultipartUploadsResult>');
      if (method === 'GET') return response.end('<ListBucketResult></ListBucketResult>');
      if (method === 'POST') return response.end('<DeleteResult></DeleteResult>');
      if (method === 'PUT' && isSuspended) markers.set(key, 'object');
      if (method === 'PUT') return response.writeHead(200, { etag: '"x"' }).end();
      if (key === '' && markers.size > 0) return response.writeHead(409).end('<Error><Code>BucketNotEmpty</Code></Error>');
      if (markers.get(key) === 'object' && searchParams.get('versionId') === 'null') markers.delete(key);
      return response.writeHead(204).end();
    });
  });
  await backendTo(server, { transport }).buckets?.delete('bucket', { force: true }, noContext);
  expect([...markers]).toEqual([]);
});

it.each(transports)('a forced deletion ends if only its own delete markers can be removed and the object stays (%s)', async (transport) => {
  let isMarked = false;
  let requests = 0;
  const server = await serve((request, response) => {
    const { method, url = '' } = request;
    request.resume();
    request.once('end', () => {
      if (++requests > 200) return response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
      if (url.includes('versions')) {
        const marker = isMarked ? '<DeleteMarker><Key>a</Key><VersionId>m</VersionId></DeleteMarker>' : '';
        return response.end(`<ListVersionsResult>${marker}</ListVersionsResult>`);
      }
      if (url.includes('uploads')) return response.end('<ListMultipartUploadsResult></ListMultipartUploadsResult>');
      if (method === 'GET') {
        const object = isMarked ? '' : '<Contents><Key>a</Key><Size>1</Size></Contents>';
        return response.end(`<ListBucketResult>${object}</ListBucketResult>`);
      }
      if (method === 'DELETE') return response.writeHead(409).end('<Error><Code>BucketNotEmpty</Code></Error>');
      isMarked = !isMarked;
      return response.end('<DeleteResult></DeleteResult>');
    });
  });
  const deleting = backendTo(server, { transport }).buckets?.delete('bucket', { force: true }, noContext);
  await expect(deleting).rejects.toMatchObject({ code: 'bucket_not_empty' });
});

it.each(transports)(
  'a forced deletion succeeds while somebody writes into the bucket, if versioning cannot be suspended (%s)',
  async (transport) => {
    const held = new Set<string>();
    let late = ['a', 'b', 'c'];
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      request.resume();
      request.once('end', () => {
        if (/[?&]versioning/.test(url)) return response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
        if (url.includes('versions')) {
          const told = [...held].map((key) => `<Version><Key>${key}</Key><VersionId>null</VersionId></Version>`).join('');
          return response.end(`<ListVersionsResult>${told}</ListVersionsResult>`);
        }
        if (url.includes('uploads')) return response.end('<ListMultipartUploadsResult></ListMultipartUploadsResult>');
        if (method === 'GET') {
          const told = [...held].map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join('');
          const next = late.slice(0, 1); // arrives right after the look
          late = late.slice(1);
          response.end(`<ListBucketResult>${told}</ListBucketResult>`);
          if (told === '') for (const key of next) held.add(key);
          return response;
        }
        if (method === 'POST') {
          held.clear();
          return response.end('<DeleteResult></DeleteResult>');
        }
        if (late.length === 3) {
          held.add('first');
          late = late.slice(1);
        }
        if (held.size > 0) return response.writeHead(409).end('<Error><Code>BucketNotEmpty</Code></Error>');
        return response.writeHead(204).end();
      });
    });
    await backendTo(server, { transport }).buckets?.delete('bucket', { force: true }, noContext);
    expect([...held]).toEqual([]);
  },
);

it.each(transports)(
  'a forced deletion succeeds however often more keys appear, and with keys that only the list of objects has (%s)',
  async (transport) => {
    const hidden = ['a', 'b', 'c', 'd', 'e'];
    const held = new Set<string>();
    let isListed = true; // only in the list of objects
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (url.includes('versions')) {
        const told = [...held].map((key) => `<Version><Key>${key}</Key><VersionId>null</VersionId></Version>`).join('');
        return answering(`<ListVersionsResult>${told}</ListVersionsResult>`)(request, response);
      }
      if (url.includes('uploads')) return emptyOfAll(request, response);
      if (method === 'GET') {
        const told = isListed ? '<Contents><Key>z</Key><Size>1</Size></Contents>' : '';
        return answering(`<ListBucketResult>${told}</ListBucketResult>`)(request, response);
      }
      if (method === 'POST') {
        isListed &&= held.size > 0;
        held.clear();
        return answering('<DeleteResult></DeleteResult>')(request, response);
      }
      for (const key of hidden.splice(0, 1)) held.add(key);
      return held.size > 0 || isListed ? refusal(409, 'BucketNotEmpty')(request, response) : response.writeHead(204).end();
    });
    await backendTo(server, { transport }).buckets?.delete('bucket', { force: true }, noContext);
    expect([hidden, [...held], isListed]).toEqual([[], [], false]);
  },
);

// As on JuiceFS.
it.each(transports)('a forced deletion deletes one by one what batches claim to delete, but leave (%s)', async (transport) => {
  const held = new Set(['a/b/c', 'd']);
  const server = await serve((request, response) => {
    const { method, url = '' } = request;
    if (/[?&](?:versions|uploads)\b/.test(url)) return refusal(501, 'NotImplemented')(request, response);
    if (method === 'POST') {
      if (held.delete('a/b/c')) held.add('a/b/');
      held.delete('d');
      return answering('<DeleteResult></DeleteResult>')(request, response);
    }
    if (method === 'DELETE') {
      const [, key = ''] = /^\/bucket\/([^?]*)/.exec(url) ?? [];
      if (key === '' && held.size > 0) return full(request, response);
      held.delete(key);
      return response.writeHead(204).end();
    }
    const contents = [...held].map((key) => `<Contents><Key>${key}</Key><Size>0</Size></Contents>`).join('');
    return answering(`<ListBucketResult>${contents}</ListBucketResult>`)(request, response);
  });
  await backendTo(server, { transport }).buckets?.delete('bucket', { force: true }, noContext);
  expect(held).toEqual(new Set());
});

it.each(transports)('a bucket is deleted by force where the server knows neither versions nor open uploads (%s)', async (transport) => {
  const held = new Set(['a', 'b/c']);
  const server = await serve((request, response) => {
    const { method, url = '' } = request;
    if (/[?&](?:versions|uploads)\b/.test(url)) return refusal(501, 'NotImplemented')(request, response);
    if (method === 'POST') {
      held.clear();
      return answering('<DeleteResult></DeleteResult>')(request, response);
    }
    if (method === 'DELETE') return held.size > 0 ? refusal(409, 'BucketNotEmpty')(request, response) : response.writeHead(204).end();
    const contents = [...held].map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join('');
    return answering(`<ListBucketResult>${contents}</ListBucketResult>`)(request, response);
  });
  await backendTo(server, { transport }).buckets?.delete('bucket', { force: true }, noContext);
  expect(held.size).toBe(0);
});

it.each(transports)(
  'a forced deletion writes nothing into a bucket with an object that may not be deleted, and leaves the bucket (%s)',
  async (transport) => {
    const locked = '<Version><Key>a</Key><VersionId>null</VersionId></Version>';
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'POST')
        return answering('<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>')(request, response);
      if (url.includes('versions')) return answering(`<ListVersionsResult>${locked}</ListVersionsResult>`)(request, response);
      if (url.includes('uploads')) return answering('<ListMultipartUploadsResult></ListMultipartUploadsResult>')(request, response);
      return refusal(409, 'BucketNotEmpty')(request, response);
    });
    const deleting = backendTo(server, { transport }).buckets!.delete('bucket', { force: true }, noContext);
    await expect(deleting).rejects.toMatchObject({ code: 'access_denied' });
    expect(server.requests.filter(({ method }) => method === 'PUT')).toEqual([]);
  },
);

const emptyOfAll: Answer = ({ method, url = '' }, response) => {
  const [, parameter = ''] = /[?&](versions|uploads)\b/.exec(url) ?? [];
  const roots: Readonly<Record<string, string>> = { versions: 'ListVersionsResult', uploads: 'ListMultipartUploadsResult' };
  if (method === 'GET') response.end(`<${roots[parameter] ?? 'ListBucketResult'}/>`);
};

it.each(transports)('a forced deletion succeeds although another deletion of the same bucket disturbs it (%s)', async (transport) => {
  let attempts = 0;
  const server = await serve((request, response) => {
    if (request.method !== 'DELETE') return emptyOfAll(request, response);
    return ++attempts === 1 ? refusal(499, 'ClientDisconnected')(request, response) : response.writeHead(204).end();
  });
  await backendTo(server, { transport }).buckets?.delete('bucket', { force: true }, noContext);
  expect(attempts).toBe(2);
});

/** A bucket with a delete marker that stays. @param suspension what is answered when versions are to be suspended */
const keepingMarker =
  (suspension: Answer): Answer =>
  (request, response) => {
    const { method, url = '' } = request;
    if (/[?&]versioning/.test(url)) return suspension(request, response);
    if (method === 'PUT') return ok(request, response);
    if (method === 'DELETE') return full(request, response);
    if (method === 'POST') return answering('<DeleteResult></DeleteResult>')(request, response);
    const marker = '<DeleteMarker><Key>a</Key><VersionId>null</VersionId></DeleteMarker>';
    return url.includes('versions')
      ? answering(`<ListVersionsResult>${marker}</ListVersionsResult>`)(request, response)
      : emptyOfAll(request, response);
  };

it.each(transports)(
  'a forced deletion fails with the error of a server that fails when delete markers are to be overwritten (%s)',
  async (transport) => {
    const server = await serve(keepingMarker(refusal(503, 'SlowDown')));
    const deleting = backendTo(server, { transport }).buckets!.delete('bucket', { force: true }, noContext);
    await expect(deleting).rejects.toMatchObject({ code: 'storage_unavailable' });
  },
);

it.each(transports)(
  'a forced deletion overwrites no delete marker where versions cannot be suspended: that would only add versions (%s)',
  async (transport) => {
    const server = await serve(keepingMarker(refusal(403, 'AccessDenied')));
    const deleting = backendTo(server, { transport }).buckets!.delete('bucket', { force: true }, noContext);
    await expect(deleting).rejects.toMatchObject({ code: 'bucket_not_empty' });
    expect(server.requests.filter(({ method, url = '' }) => method === 'PUT' && !url.includes('versioning'))).toEqual([]);
  },
);

it.each(transports)(
  'a forced deletion fails at once, without touching objects, if the credentials may not delete the bucket (%s)',
  async (transport) => {
    const version = '<Version><Key>key</Key><VersionId>1</VersionId></Version>';
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return refusal(403, 'AccessDenied')(request, response);
      return url.includes('versions')
        ? answering(`<ListVersionsResult>${version}</ListVersionsResult>`)(request, response)
        : emptyOfAll(request, response);
    });
    const deleting = backendTo(server, { transport }).buckets!.delete('bucket', { force: true }, noContext);
    await expect(deleting).rejects.toMatchObject({ code: 'access_denied' });
    expect(server.requests.filter(({ method }) => method !== 'GET')).toHaveLength(1);
  },
);

it.each(
  transports.flatMap((transport) => [
    [transport, 'versions', 's3:ListBucketVersions'] as const,
    [transport, 'uploads', 's3:ListBucketMultipartUploads'] as const,
  ]),
)(
  'a forced deletion says why it fails if the credentials may not list (%s) the %s of the bucket',
  async (transport, parameter, permission) => {
    const server = await serve((request, response) => {
      if (request.method === 'DELETE') return full(request, response);
      return request.url?.includes(parameter) === true ? refusal(403, 'AccessDenied')(request, response) : emptyOfAll(request, response);
    });
    const deleting = backendTo(server, { transport }).buckets!.delete('bucket', { force: true }, noContext);
    await expect(deleting).rejects.toMatchObject({ code: 'access_denied', message: expect.stringContaining(permission) });
    expect(server.requests.filter(({ method }) => method === 'POST')).toEqual([]);
  },
);

it.each(transports)(
  'a forced deletion removes versions of keys that no batch can name, unless one may not be deleted (%s)',
  async (transport) => {
    const held = new Set(['+a', 'b%01']);
    let isKept = true;
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (url.includes('versions')) {
        const told = [...held].map((key) => `<Version><Key>${key}</Key><VersionId>1</VersionId></Version>`).join('');
        return answering(`<ListVersionsResult><EncodingType>url</EncodingType>${told}</ListVersionsResult>`)(request, response);
      }
      if (method === 'POST') {
        held.delete('+a');
        return answering('<DeleteResult></DeleteResult>')(request, response);
      }
      if (method !== 'DELETE') return emptyOfAll(request, response);
      if (/^\/bucket\/b%01\?.*versionId=1/.test(url)) {
        if (isKept) return refusal(403, 'AccessDenied')(request, response);
        held.delete('b%01');
      }
      return held.size > 0 && /^\/bucket\/?(?:\?|$)/.test(url)
        ? refusal(409, 'BucketNotEmpty')(request, response)
        : response.writeHead(204).end();
    });
    const buckets = backendTo(server, { transport }).buckets!;
    await expect(buckets.delete('bucket', { force: true }, noContext)).rejects.toMatchObject({ code: 'access_denied' });
    expect([...held]).toEqual(['b%01']);
    isKept = false;
    await buckets.delete('bucket', { force: true }, noContext);
    expect([...held]).toEqual([]);
  },
);

const stubborn = [
  ['versions', '<Version><Key>a</Key><VersionId>1</VersionId></Version>', ''],
  ['delete markers', '<DeleteMarker><Key>a</Key><VersionId>null</VersionId></DeleteMarker>', ''],
  ['objects', '', '<Contents><Key>a</Key><Size>1</Size></Contents>'],
] as const;

it.each(transports.flatMap((transport) => stubborn.map((lists) => [transport, ...lists] as const)))(
  'a forced deletion ends (%s) if the server claims to delete %s, but keeps them',
  async (transport, _what, versions, objects) => {
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (server.requests.length > 100) return refusal(403, 'AccessDenied')(request, response);
      if (method === 'PUT') return ok(request, response);
      if (method === 'POST') return answering('<DeleteResult></DeleteResult>')(request, response);
      if (method === 'DELETE' && /^\/bucket\/?(?:\?|$)/.test(url)) return refusal(409, 'BucketNotEmpty')(request, response);
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('versions')) return answering(`<ListVersionsResult>${versions}</ListVersionsResult>`)(request, response);
      if (url.includes('uploads')) return answering('<ListMultipartUploadsResult></ListMultipartUploadsResult>')(request, response);
      return answering(`<ListBucketResult>${objects}</ListBucketResult>`)(request, response);
    });
    const deleting = backendTo(server, { transport }).buckets!.delete('bucket', { force: true }, noContext);
    await expect(deleting).rejects.toMatchObject({ code: 'bucket_not_empty' });
  },
);

it.each(transports.flatMap((transport) => [false, true].map((force) => [transport, force] as const)))(
  'a bucket does not count as deleted (%s, force %s) if the server keeps it after an attempt without an answer',
  async (transport, force) => {
    let attempts = 0;
    const server = await serve((request, response) => {
      if (request.method !== 'DELETE') return emptyOfAll(request, response);
      return ++attempts === 1 ? response.destroy() : refusal(403, 'AccessDenied')(request, response);
    });
    const deleting = backendTo(server, { transport, maxRetries: 1 }).buckets!.delete('bucket', { force }, noContext);
    await expect(deleting).rejects.toMatchObject({ code: 'access_denied' });
    expect(attempts).toBe(2);
  },
);
