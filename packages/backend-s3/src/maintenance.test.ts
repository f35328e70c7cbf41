import { noContext, readAll } from '@coffer/storage-core';
import type { CallContext, StorageBackend } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { maintenanceOperations } from './maintenance.ts';
import { openStore } from './open-store.ts';
import type { Store } from './store.ts';
import { newStage } from './testing/lean.ts';
import { answering, refusal } from './testing/scripted.ts';

const stale = '<Upload><Key>key</Key><UploadId>id</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>';
const parts = answering('<ListPartsResult><Part><Size>4</Size></Part></ListPartsResult>');
const noObjects = answering('<ListBucketResult></ListBucketResult>');
const noUploads = answering('<ListMultipartUploadsResult></ListMultipartUploadsResult>');
const noVersions = answering('<ListVersionsResult></ListVersionsResult>');

describe('a sweep', () => {
  const { serve, backendTo, clear } = newStage();
  afterEach(clear);

  it.each([
    ['lets nobody in', 403, 'AccessDenied'],
    ['is gone', 404, 'NoSuchBucket'],
    ['knows no list of uploads', 501, 'NotImplemented'],
  ])('goes on to the next bucket where one %s', async (_what, status, code) => {
    const buckets = ['closed', 'mine'].map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join('');
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.startsWith('/closed') && (status !== 501 || url.includes('uploads'))) return refusal(status, code)(request, response);
      if (url.includes('uploadId=')) return parts(request, response);
      if (url.includes('list-type')) return noObjects(request, response);
      if (url.startsWith('/mine')) return answering(`<ListMultipartUploadsResult>${stale}</ListMultipartUploadsResult>`)(request, response);
      return answering(`<ListAllMyBucketsResult><Buckets>${buckets}</Buckets></ListAllMyBucketsResult>`)(request, response);
    });
    const swept = await backendTo(server).maintenance?.sweep({ olderThan: 60 }, noContext);
    expect(swept).toEqual({ removed: 1, bytes: 4 });
    expect(server.requests.at(-1)).toMatchObject({ method: 'DELETE', url: '/mine/key?uploadId=id' });
  });

  it('fails where it was told to sweep a bucket whose uploads it may not list, once all others are swept', async () => {
    const names = ['mine-0', ...Array.from({ length: 30 }, (_, index) => `closed-${index}`), 'mine-1'];
    const buckets = names.map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join('');
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url === '/' || url.startsWith('/?')) {
        return answering(`<ListAllMyBucketsResult><Buckets>${buckets}</Buckets></ListAllMyBucketsResult>`)(request, response);
      }
      if (url.includes('uploadId=')) return parts(request, response);
      if (url.includes('list-type')) return noObjects(request, response);
      if (url.startsWith('/closed')) return refusal(403, 'AccessDenied')(request, response);
      return answering(`<ListMultipartUploadsResult>${stale}</ListMultipartUploadsResult>`)(request, response);
    });
    const { maintenance } = backendTo(server);
    const refused = { code: 'access_denied', message: expect.stringContaining('s3:ListBucketMultipartUploads') };
    await expect(maintenance!.sweep({ olderThan: 60, bucket: 'closed-0' }, noContext)).rejects.toMatchObject(refused);
    await expect(maintenance!.sweep({ olderThan: 60, among: async (all) => all }, noContext)).rejects.toMatchObject(refused);
    const aborted = server.requests.filter(({ method }) => method === 'DELETE').map(({ url }) => url);
    expect(aborted).toEqual(['/mine-0/key?uploadId=id', '/mine-1/key?uploadId=id']);
  });

  it('fails with the error of a failing bucket once all others are swept, and at once if the server fails', async () => {
    const names = ['broken', ...Array.from({ length: 9 }, (_, index) => `mine-${index}`)];
    const buckets = names.map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join('');
    let failing = '/broken';
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (url === '/' || url.startsWith('/?')) {
        return answering(`<ListAllMyBucketsResult><Buckets>${buckets}</Buckets></ListAllMyBucketsResult>`)(request, response);
      }
      if (url.startsWith(failing)) return refusal(500, 'InternalError')(request, response);
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('uploadId=')) return parts(request, response);
      if (url.includes('list-type')) return noObjects(request, response);
      return answering(`<ListMultipartUploadsResult>${stale}</ListMultipartUploadsResult>`)(request, response);
    });
    const sweep = async (): Promise<unknown> => backendTo(server).maintenance?.sweep({ olderThan: 60 }, noContext);
    const failed = { code: 'storage_unavailable', message: expect.stringContaining('"broken"'), retryable: true };
    await expect(sweep()).rejects.toMatchObject(failed);
    const aborted = server.requests.filter(({ method }) => method === 'DELETE').map(({ url }) => url);
    expect(aborted.toSorted()).toEqual(names.slice(1).map((name) => `/${name}/key?uploadId=id`));
    failing = '/m';
    server.requests.length = 0;
    await expect(sweep()).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(server.requests.filter(({ url = '' }) => url.startsWith('/mine')).length).toBeLessThan(9);
  });

  it('fails soon once the keys are no longer valid, and does not take that for buckets that let nobody in', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `mine-${index}`);
    const buckets = names.map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join('');
    const server = await serve((request, response) => {
      const { url = '' } = request;
      const isFirst = server.requests.length < 9;
      if (!isFirst) return refusal(403, 'ExpiredToken')(request, response);
      if (url === '/' || url.startsWith('/?')) {
        return answering(`<ListAllMyBucketsResult><Buckets>${buckets}</Buckets></ListAllMyBucketsResult>`)(request, response);
      }
      return (url.includes('list-type') ? noObjects : noUploads)(request, response);
    });
    for (const among of [undefined, async (all: readonly string[]) => all]) {
      server.requests.length = 0;
      const swept = backendTo(server).maintenance!.sweep({ olderThan: 60, ...(among && { among }) }, noContext);
      await expect(swept).rejects.toMatchObject({ code: 'access_denied' });
      const asked = new Set(server.requests.map(({ url = '' }) => url.split(/[/?]/)[1]));
      expect(asked.size).toBeLessThan(20);
    }
  });

  it('names all failing buckets, and continues past any number of them if others succeed in between', async () => {
    const names = Array.from({ length: 30 }, (_, index) => (index % 5 === 0 ? `broken-${index}` : `mine-${index}`));
    const buckets = names.map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join('');
    const server = await serve((request, response) => {
      const { url = '' } = request;
      if (url === '/' || url.startsWith('/?')) {
        return answering(`<ListAllMyBucketsResult><Buckets>${buckets}</Buckets></ListAllMyBucketsResult>`)(request, response);
      }
      if (url.startsWith('/broken-5/')) return refusal(400, 'InvalidArgument')(request, response);
      if (url.startsWith('/broken')) return refusal(503, 'SlowDown', { 'retry-after': '7' })(request, response);
      if (url.includes('list-type')) return noObjects(request, response);
      return noUploads(request, response);
    });
    const sweep = async (bucket?: string): Promise<unknown> =>
      backendTo(server).maintenance?.sweep({ olderThan: 60, ...(bucket !== undefined && { bucket }) }, noContext);
    const failed = (await sweep().catch((error: unknown) => error)) as Error;
    const broken = names.filter((name) => name.startsWith('broken'));
    expect(broken.filter((name) => !failed.message.includes(`"${name}"`))).toEqual([]);
    expect(failed).toMatchObject({ retryable: false }); // one of the failures is permanent
    const swept = new Set(server.requests.map(({ url = '' }) => url.split(/[/?]/)[1]));
    expect(names.filter((name) => !swept.has(name))).toEqual([]);
    await expect(sweep('broken-0')).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true, retryAfter: 7 });
  });

  it('aborts the uploads of all other buckets if the remains of killed probes cannot be removed', async () => {
    const left = Array.from({ length: 5 }, (_, index) => `coffer-probe-0123456789abcde${index}`);
    const buckets = [...left, 'mine'].map(
      (name) => `<Bucket><Name>${name}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>`,
    );
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (url === '/' || url.startsWith('/?')) {
        return answering(`<ListAllMyBucketsResult><Buckets>${buckets.join('')}</Buckets></ListAllMyBucketsResult>`)(request, response);
      }
      if (url.startsWith('/coffer-probe-')) return refusal(500, 'InternalError')(request, response);
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('uploadId=')) return parts(request, response);
      if (url.includes('list-type')) return noObjects(request, response);
      return answering(`<ListMultipartUploadsResult>${stale}</ListMultipartUploadsResult>`)(request, response);
    });
    const sweeping = backendTo(server).maintenance!.sweep({ olderThan: 60 }, noContext);
    await expect(sweeping).rejects.toMatchObject({ code: 'storage_unavailable', message: expect.stringContaining(left[0]!) });
    expect(server.requests.map(({ method, url }) => `${method} ${url}`)).toContain('DELETE /mine/key?uploadId=id');
  });

  it.each<[string, (backend: StorageBackend, ctx: CallContext) => Promise<unknown>]>([
    ['a sweep', (backend, ctx) => backend.maintenance!.sweep({ olderThan: 60, bucket: 'mine' }, ctx)],
    ['the deletion of a bucket', (backend, ctx) => backend.buckets!.delete('mine', { force: true }, ctx)],
  ])('%s does not wait for an upload that it is aborting once it is aborted itself', async (_what, run) => {
    const stop = new AbortController();
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return stop.abort(new Error('told to end')); // and no answer
      if (url.includes('uploadId=')) return parts(request, response);
      if (url.includes('list-type')) return noObjects(request, response);
      if (url.includes('versions')) return noVersions(request, response);
      return answering(`<ListMultipartUploadsResult>${stale}</ListMultipartUploadsResult>`)(request, response);
    });
    await expect(run(backendTo(server, { timeout: 90 }), { signal: stop.signal })).rejects.toThrow('told to end');
  });

  it.each(['NoSuchUpload', 'NoSuchKey'])(
    'does not count an upload that somebody else aborts meanwhile, and continues: %s',
    async (gone) => {
      const uploads = ['gone', 'mine'].map(
        (id) => `<Upload><Key>key</Key><UploadId>${id}</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>`,
      );
      const server = await serve((request, response) => {
        const { method, url = '' } = request;
        if (url.includes('uploadId=gone')) return refusal(404, gone)(request, response);
        if (method === 'DELETE') return response.writeHead(204).end();
        if (url.includes('uploadId=')) return parts(request, response);
        if (url.includes('list-type')) return noObjects(request, response);
        return answering(`<ListMultipartUploadsResult>${uploads.join('')}</ListMultipartUploadsResult>`)(request, response);
      });
      const swept = await backendTo(server).maintenance?.sweep({ olderThan: 60, bucket: 'mine' }, noContext);
      expect(swept).toEqual({ removed: 1, bytes: 4 });
    },
  );

  it.each(['lean', 'sdk'] as const)(
    'learns the age of an upload from its parts if the server does not report it (%s)',
    async (transport) => {
      const years: Readonly<Record<string, readonly number[]>> = { left: [2026, 2025], busy: [2026, 2999, 2025], begun: [] };
      const uploads = Object.keys(years).map((id) => `<Upload><Key>key</Key><UploadId>${id}</UploadId></Upload>`);
      const server = await serve((request, response) => {
        const { method, url = '' } = request;
        if (method === 'DELETE') return response.writeHead(204).end();
        if (url.includes('uploadId=')) {
          const parts = years[/uploadId=(\w+)/.exec(url)?.[1] ?? '']!.map(
            (year) => `<Part><Size>4</Size><LastModified>${year}-01-01T00:00:00.000Z</LastModified></Part>`,
          );
          const page = Number(/part-number-marker=(\d+)/.exec(url)?.[1] ?? 0); // of one part each
          const more =
            page + 1 < parts.length ? `<IsTruncated>true</IsTruncated><NextPartNumberMarker>${page + 1}</NextPartNumberMarker>` : '';
          return answering(`<ListPartsResult>${more}${parts[page] ?? ''}</ListPartsResult>`)(request, response);
        }
        if (url.includes('list-type')) return noObjects(request, response);
        return answering(`<ListMultipartUploadsResult>${uploads.join('')}</ListMultipartUploadsResult>`)(request, response);
      });
      const swept = await backendTo(server, { transport }).maintenance?.sweep({ olderThan: 0, bucket: 'mine' }, noContext);
      const aborted = server.requests.filter(({ method }) => method === 'DELETE').map(({ url = '' }) => /uploadId=(\w+)/.exec(url)?.[1]);
      expect(aborted).toEqual(['left']);
      expect(swept).toEqual({ removed: 1, bytes: 8 });
    },
  );

  it('asks AWS once about each bucket, since no probe leaves anything there', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `tenant-${index}`);
    const buckets = names.map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join('');
    const server = await serve((request, response) => {
      const { url = '' } = request;
      if (url.includes('list-type')) return noObjects(request, response);
      if (url.includes('uploads')) return noUploads(request, response);
      return answering(`<ListAllMyBucketsResult><Buckets>${buckets}</Buckets></ListAllMyBucketsResult>`)(request, response);
    });
    const store = openStore({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret' });
    const aws: Store = { ...store, settings: { ...store.settings, isAws: true } };
    await maintenanceOperations(aws).sweep({ olderThan: 60 }, noContext);
    store.connection.close();
    const asked = server.requests.map(({ url = '' }) => url).filter((url) => url.startsWith('/tenant-'));
    expect(asked.toSorted()).toEqual(names.map((name) => `/${name}/?uploads=`).toSorted());
  });

  it('removes only what is older than requested, to the second, and changes nothing in a dry run', async () => {
    const begun = (secondsAgo: number): string => new Date(Date.now() - secondsAgo * 1000).toISOString();
    const uploads = [50, 70].map((age) => `<Upload><Key>k</Key><UploadId>${age}</UploadId><Initiated>${begun(age)}</Initiated></Upload>`);
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('uploadId=')) return parts(request, response);
      if (url.includes('list-type')) return noObjects(request, response);
      return answering(`<ListMultipartUploadsResult>${uploads.join('')}</ListMultipartUploadsResult>`)(request, response);
    });
    const touched = (): readonly unknown[] =>
      server.requests.flatMap(({ method, url = '' }) => (url.includes('uploadId=') ? [`${method} ${url}`] : []));
    for (const dryRun of [true, false]) {
      server.requests.length = 0;
      const swept = await backendTo(server).maintenance?.sweep({ olderThan: 60, dryRun, bucket: 'mine' }, noContext);
      expect(swept).toEqual({ removed: 1, bytes: 4 });
      expect(touched()).toEqual(['GET /mine/k?uploadId=70', ...(dryRun ? [] : ['DELETE /mine/k?uploadId=70'])]);
    }
  });

  it('removes the buckets in which processes that were killed tried out the endpoint', async () => {
    const hex = '0123456789abcdef';
    const tenants = `coffer-probe-${hex.slice(1)}1`;
    const dates = {
      [`coffer-probe-${hex}`]: '2026-01-01',
      [tenants]: '2026-01-01',
      [`coffer-probe-${hex}0`]: '2026-01-01',
      [`coffer-probe-${hex.slice(1)}0`]: '2999-01-01',
    };
    const buckets = Object.entries(dates).map(
      ([name, date]) => `<Bucket><Name>${name}</Name><CreationDate>${date}T00:00:00.000Z</CreationDate></Bucket>`,
    );
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('versions')) return noVersions(request, response);
      if (url.includes('uploads')) return noUploads(request, response);
      if (url.includes('list-type')) return noObjects(request, response);
      return answering(`<ListAllMyBucketsResult><Buckets>${buckets.join('')}</Buckets></ListAllMyBucketsResult>`)(request, response);
    });
    const asked: (readonly string[])[] = [];
    const among = async (listed: readonly string[]): Promise<readonly string[]> => {
      asked.push(listed);
      return listed.filter((name) => name === tenants);
    };
    const sweep = async (dryRun: boolean): Promise<unknown> =>
      backendTo(server).maintenance?.sweep({ olderThan: 0, dryRun, among }, noContext);
    const deleted = (): readonly unknown[] => server.requests.filter(({ method }) => method === 'DELETE').map(({ url }) => url);
    expect(await sweep(true)).toEqual({ removed: 1, bytes: 0 });
    expect(deleted()).toEqual([]);
    const [abandoned, ...others] = Object.keys(dates);
    expect(asked).toEqual([[abandoned, tenants], others]);
    expect(await sweep(false)).toEqual({ removed: 1, bytes: 0 });
    expect(deleted()).toEqual([`/coffer-probe-${hex}/`]);
    server.requests.length = 0;
    await backendTo(server).maintenance?.sweep({ olderThan: 0, bucket: 'mine' }, noContext);
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'GET']);
    expect(server.requests.every(({ url = '' }) => /^\/mine\/?\?/.test(url))).toBe(true);
  });

  it('removes such a bucket even if no list shows one of the probed keys', async () => {
    const bucket = 'coffer-probe-0123456789abcdef';
    const listed = `<Bucket><Name>${bucket}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>`;
    const held = new Set([`/${bucket}/kept.versions/a`, `/${bucket}/`]);
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') {
        const [path = ''] = url.split('?');
        if (path === `/${bucket}/` && held.size > 1) return refusal(409, 'BucketNotEmpty')(request, response);
        held.delete(path);
        return response.writeHead(204).end();
      }
      if (url.includes('versions')) return noVersions(request, response);
      if (url.includes('uploads')) return noUploads(request, response);
      if (url.includes('list-type')) return noObjects(request, response);
      return answering(`<ListAllMyBucketsResult><Buckets>${listed}</Buckets></ListAllMyBucketsResult>`)(request, response);
    });
    const among = async (): Promise<readonly string[]> => [];
    expect(await backendTo(server).maintenance?.sweep({ olderThan: 0, among }, noContext)).toEqual({ removed: 1, bytes: 0 });
    expect([...held]).toEqual([]);
  });

  it('removes their sandboxes from a bucket that is in use', async () => {
    const [old, recent] = ['.coffer-probe-0123456789abcdef/', '.coffer-probe-123456789abcdef0/'];
    const keys = {
      [`${old}object`]: 2026,
      [`${old}x/y`]: 2026,
      [`${recent}object`]: 2026,
      [`${recent}x`]: 2999,
      '.coffer-probe-mine': 2026,
    };
    const contents = Object.entries(keys).map(
      ([key, year]) => `<Contents><Key>${key}</Key><Size>1</Size><LastModified>${year}-01-01T00:00:00.000Z</LastModified></Contents>`,
    );
    let versions = [`${old}object`, `${old}x/y`];
    const deleted: string[] = [];
    const server = await serve(async (request, response) => {
      const { method, url = '' } = request;
      if (method === 'POST') {
        deleted.push(...((await readAll(request)).toString().match(/(?<=<Key>)[^<]*/g) ?? []));
        versions = [];
        return response.end('<DeleteResult></DeleteResult>');
      }
      if (url.includes('versions')) {
        // A server that ignores the prefix also lists the key of somebody else.
        const told = url.includes(`prefix=${encodeURIComponent(old)}`) ? [...versions, 'theirs'] : ['theirs'];
        const listed = told.map((key) => `<Version><Key>${key}</Key><VersionId>null</VersionId></Version>`);
        return answering(`<ListVersionsResult>${listed.join('')}</ListVersionsResult>`)(request, response);
      }
      if (url.includes('uploads')) return noUploads(request, response);
      if (url.includes('list-type')) return answering(`<ListBucketResult>${contents.join('')}</ListBucketResult>`)(request, response);
      return answering('<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>')(request, response);
    });
    const among = async (): Promise<readonly string[]> => ['used'];
    const sweep = async (dryRun: boolean): Promise<unknown> =>
      backendTo(server).maintenance?.sweep({ olderThan: 0, dryRun, among }, noContext);
    expect(await sweep(true)).toEqual({ removed: 2, bytes: 0 });
    expect(deleted).toEqual([]);
    expect(await sweep(false)).toEqual({ removed: 2, bytes: 0 });
    expect(deleted).toEqual([`${old}object`, `${old}x/y`]);
  });

  it('removes them, and nothing else, if the server has no versions', async () => {
    const old = '.coffer-probe-0123456789abcdef/';
    const held = new Set([`${old}object`, `${old}x/y`, 'theirs']);
    const server = await serve(async (request, response) => {
      const { method, url = '' } = request;
      if (method === 'POST') {
        for (const key of (await readAll(request)).toString().match(/(?<=<Key>)[^<]*/g) ?? []) held.delete(key);
        return response.end('<DeleteResult></DeleteResult>');
      }
      if (url.includes('versions')) return refusal(501, 'NotImplemented')(request, response);
      if (url.includes('uploads')) return noUploads(request, response);
      // Pages have one entry, and the first page without a prefix has none of these keys.
      const prefix = new URL(url, 'http://x').searchParams.get('prefix') ?? '';
      const told = [...held].filter((key) => (prefix === '' ? key === 'theirs' : key.startsWith(prefix)));
      const contents = told.map(
        (key) => `<Contents><Key>${key}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`,
      );
      return answering(`<ListBucketResult>${contents.join('')}</ListBucketResult>`)(request, response);
    });
    expect(await backendTo(server).maintenance?.sweep({ olderThan: 0, bucket: 'used' }, noContext)).toEqual({ removed: 2, bytes: 0 });
    expect([...held]).toEqual(['theirs']);
  });

  it('removes them by key if the credentials may not see versions', async () => {
    const old = '.coffer-probe-0123456789abcdef/';
    const contents = ['object', 'x/y'].map(
      (name) => `<Contents><Key>${old}${name}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`,
    );
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('versions')) return refusal(403, 'AccessDenied')(request, response);
      if (url.includes('uploads')) return noUploads(request, response);
      return answering(`<ListBucketResult>${contents.join('')}</ListBucketResult>`)(request, response);
    });
    const swept = await backendTo(server).maintenance?.sweep({ olderThan: 0, bucket: 'used' }, noContext);
    expect(swept).toEqual({ removed: 2, bytes: 0 });
    const deleted = server.requests.filter(({ method }) => method === 'DELETE').map(({ url = '' }) => url.split('?')[0]);
    expect(deleted.toSorted()).toEqual([`/used/${old}object`, `/used/${old}x/y`]);
  });
});
