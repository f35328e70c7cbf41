import { randomUUID } from 'node:crypto';

import { startS3 } from '@coffer/fixtures';
import { compareKeys, noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { Endpoint } from './endpoint.ts';
import { listObjects } from './list.ts';
import { openStore } from './open-store.ts';
import { awsProfile } from './profile.ts';
import { transports } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { answering, ok, refusal } from './testing/scripted.ts';
import type { Answer } from './testing/scripted.ts';
import { accountOn, ifAvailable, startOn } from './testing/server.ts';

const { serve, backendTo, open, clear } = newStage();
afterEach(clear);

describe.each(transports)('a list (%s)', (transport) => {
  it('ends if the server ignores the token, which would return the same page for ever', async () => {
    const page = `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>there</NextContinuationToken>
      <Contents><Key>a</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents></ListBucketResult>`;
    const backend = backendTo(await serve(answering(page)), { transport });
    const { nextContinuationToken, objects } = await backend.list('bucket', { maxKeys: 1000 }, noContext);
    expect(objects).toHaveLength(1);
    const again = backend.list('bucket', { maxKeys: 1000, continuationToken: nextContinuationToken! }, noContext);
    await expect(again).rejects.toMatchObject({ code: 'not_supported', retryable: false });
  });

  it('asks for 1,000 entries where no number is given: MinIO of February 2021 (97fe57bba92c) would return more', async () => {
    const server = await serve(answering('<ListBucketResult></ListBucketResult>'));
    const backend = backendTo(server, { transport });
    for (const delimiter of [undefined, '/', '-']) await backend.list('bucket', delimiter === undefined ? {} : { delimiter }, noContext);
    const asked = server.requests.map(({ url = '' }) => new URLSearchParams(url.split('?')[1]).get('max-keys'));
    expect(asked).toEqual(['1000', '1000', '1000']);
  });

  it('is refused if the server ignores the prefix and returns keys with another one', async () => {
    const key = '<Contents><Key>a</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents>';
    for (const told of [key, '<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>']) {
      const backend = backendTo(await serve(answering(`<ListBucketResult>${told}</ListBucketResult>`)), { transport });
      const listed = backend.list('bucket', { prefix: 'b/', delimiter: '/' }, noContext);
      await expect(listed).rejects.toMatchObject({ code: 'not_supported', retryable: false });
    }
  });

  it('tells of common prefixes in the order of their bytes; SeaweedFS leaves the delimiter out of account', async () => {
    const names = ['a/', 'a-/', 'a0/'].map((name) => `<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`);
    const backend = backendTo(await serve(answering(`<ListBucketResult>${names.join('')}</ListBucketResult>`)), { transport });
    const { commonPrefixes } = await backend.list('bucket', { delimiter: '/' }, noContext);
    expect(commonPrefixes).toEqual(['a-/', 'a/', 'a0/']);
  });

  it('is refused if the server rolls keys up to less than the delimiter', async () => {
    const page = '<ListBucketResult><CommonPrefixes><Prefix>a:</Prefix></CommonPrefixes></ListBucketResult>';
    const backend = backendTo(await serve(answering(page)), { transport });
    const listed = backend.list('bucket', { delimiter: '::' }, noContext);
    await expect(listed).rejects.toMatchObject({ code: 'not_supported', retryable: false });
  });

  // How MinIO answers to a token of a listing with another prefix, and to one that is no key.
  it.each([
    [501, 'NotImplemented'],
    [400, 'XMinioInvalidResourceName'],
  ])('blames the token that the server refuses: %s %s', async (status, code) => {
    const backend = backendTo(await serve(refusal(status, code)), { transport });
    const listed = backend.list('bucket', { prefix: 'a/', continuationToken: 's.there' }, noContext);
    await expect(listed).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('token') as string });
  });

  it('starts after no key that XML cannot express, since some servers repeat it', async () => {
    const page = `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>there</NextContinuationToken>
      <Contents><Key>a::</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents></ListBucketResult>`;
    const server = await serve(answering(page), answering('<ListBucketResult></ListBucketResult>'));
    const backend = backendTo(server, { transport });
    const asked = { prefix: 'a:', delimiter: '::', maxKeys: 3 };
    const { nextContinuationToken } = await backend.list('bucket', asked, noContext);
    await backend.list('bucket', { ...asked, continuationToken: nextContinuationToken! }, noContext);
    const place = new URL(server.requests[1]!.url!, server.endpoint).searchParams.get('start-after');
    expect(place).toMatch(/^a::[\t\n\r]$/);
  });

  it('continues after the last of its common prefixes, in whatever order they arrive, and never goes back', async () => {
    const told = ['b-', 'a-'].map((prefix) => `<CommonPrefixes><Prefix>${prefix}</Prefix></CommonPrefixes>`).join('');
    const page = `<IsTruncated>true</IsTruncated><NextContinuationToken>there</NextContinuationToken>${told}`;
    const server = await serve(answering(`<ListBucketResult>${page}</ListBucketResult>`));
    const backend = backendTo(server, { transport });
    const asked = { delimiter: '-', maxKeys: 2 };
    const { commonPrefixes, nextContinuationToken } = await backend.list('bucket', asked, noContext);
    expect(commonPrefixes).toEqual(['a-', 'b-']);
    const again = backend.list('bucket', { ...asked, continuationToken: nextContinuationToken! }, noContext);
    await expect(again).rejects.toMatchObject({ code: 'not_supported' });
    const place = new URL(server.requests[1]!.url!, server.endpoint).searchParams.get('start-after');
    expect(place).toBe('b-\u{10FFFF}');
  });

  it('continues after a common prefix with the note of a token of MinIO, which otherwise may end the list', async () => {
    const [note, cut] = ['[minio_cache:v2,return:]', '<CommonPrefixes><Prefix>a/b-</Prefix></CommonPrefixes>'];
    const theirs = Buffer.from(`a/b-c/${note}`).toString('base64');
    const page = `<IsTruncated>true</IsTruncated><NextContinuationToken>${theirs}</NextContinuationToken>${cut}`;
    const server = await serve(answering(`<ListBucketResult>${page}</ListBucketResult>`), answering('<ListBucketResult/>'));
    const backend = backendTo(server, { transport });
    const asked = { delimiter: '-', maxKeys: 1 };
    const { nextContinuationToken } = await backend.list('bucket', asked, noContext);
    await backend.list('bucket', { ...asked, continuationToken: nextContinuationToken! }, noContext);
    const { searchParams } = new URL(server.requests[1]!.url!, server.endpoint);
    expect(Buffer.from(searchParams.get('continuation-token') ?? '', 'base64').toString()).toBe(`a/b-\u{10FFFF}${note}`);
    expect(searchParams.has('start-after')).toBe(false);
  });

  it('is empty if the server rejects a prefix as an argument and holds no key that begins with it', async () => {
    const backend = backendTo(
      await serve((request, response) =>
        request.method === 'HEAD' ? ok(request, response) : refusal(400, 'InvalidArgument')(request, response),
      ),
      { transport },
      { ...awsProfile, refusedKeys: ['empty segments'] },
    );
    expect(await backend.list('bucket', { prefix: 'a//' }, noContext)).toMatchObject({ objects: [], isTruncated: false });
    await expect(backend.list('bucket', { prefix: 'a/' }, noContext)).rejects.toMatchObject({ code: 'invalid_argument' });
    const none = backendTo(await serve(refusal(404, 'NoSuchBucket')), { transport }, { ...awsProfile, refusedKeys: ['empty segments'] });
    await expect(none.list('bucket', { prefix: 'a//' }, noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
  });

  it('is empty if the server takes its prefix for another one, also before anybody knows that it does', async () => {
    const key = '<Contents><Key>a/b</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents>';
    const { endpoint } = await serve(answering(`<ListBucketResult>${key}</ListBucketResult>`));
    const opened = openStore({ endpoint, accessKey: 'who', secretKey: 'secret', transport });
    open.push(() => opened.connection.close());
    const store = { ...opened, endpoint: new Endpoint(undefined, async () => ({ ...awsProfile, refusedKeys: ['empty segments'] })) };
    expect(await listObjects(store, 'bucket', { prefix: 'a//' }, noContext)).toMatchObject({ objects: [], isTruncated: false });
    expect((await listObjects(store, 'bucket', { prefix: 'a/' }, noContext)).objects).toMatchObject([{ key: 'a/b' }]);
  });

  const entry = (key: string): string =>
    `<Contents><Key>${key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents>`;
  const folder = (prefix: string): string => `<CommonPrefixes><Prefix>${prefix}</Prefix></CommonPrefixes>`;
  const answer = (told: string, isTruncated = false): Answer => {
    const more = isTruncated ? '<IsTruncated>true</IsTruncated><NextContinuationToken>there</NextContinuationToken>' : '';
    return answering(`<ListBucketResult>${more}${told}</ListBucketResult>`);
  };

  it.each([
    ['an object before a folder', entry('a') + folder('ab/'), { objects: [{ key: 'a' }], commonPrefixes: [] }, 'a'],
    ['an object before another', entry('a') + entry('b'), { objects: [{ key: 'a' }], commonPrefixes: [] }, 'a'],
    ['a folder before an object', entry('b') + folder('a/'), { objects: [], commonPrefixes: ['a/'] }, 'a/\u{10FFFF}'],
  ])('of one entry has the first one, where the server ends too early and is asked for two: %s', async (_what, told, first, place) => {
    const server = await serve(answer(''), answer(told), answer(''));
    const backend = backendTo(server, { transport });
    const asked = { delimiter: '/', maxKeys: 1 };
    const page = await backend.list('bucket', { ...asked, continuationToken: 's.here' }, noContext);
    expect(page).toMatchObject({ ...first, isTruncated: true });
    await backend.list('bucket', { ...asked, continuationToken: page.nextContinuationToken! }, noContext);
    const queries = server.requests.map(({ url = '' }) => new URL(url, server.endpoint).searchParams);
    expect(queries.slice(0, 3).map((query) => query.get('max-keys'))).toEqual(['1', '2', '1']);
    expect(queries[2]?.get('start-after')).toBe(place);
  });

  it('of names that begin with a dot is over once the folder above has none left, however much follows', async () => {
    const refused = refusal(400, 'XMinioInvalidObjectName');
    const server = await serve(refused, answer(entry('a/.b') + entry('a/c'), true));
    const page = await backendTo(server, { transport }).list('bucket', { prefix: 'a/.' }, noContext);
    expect(page).toMatchObject({ objects: [{ key: 'a/.b' }], isTruncated: false });
    expect(page).not.toHaveProperty('nextContinuationToken');
  });

  it('of names that begin with a dot goes on while the folder above does', async () => {
    const refused = refusal(400, 'XMinioInvalidObjectName');
    const server = await serve(refused, answer(entry('a/.b'), true), answer(entry('a/.c') + entry('a/d')));
    const backend = backendTo(server, { transport });
    const page = await backend.list('bucket', { prefix: 'a/.' }, noContext);
    expect(page).toMatchObject({ objects: [{ key: 'a/.b' }], isTruncated: true });
    const next = await backend.list('bucket', { prefix: 'a/.', continuationToken: page.nextContinuationToken! }, noContext);
    expect(next).toMatchObject({ objects: [{ key: 'a/.c' }], isTruncated: false });
    const query = new URL(server.requests[2]!.url!, server.endpoint).searchParams;
    expect([query.get('prefix'), query.get('continuation-token')]).toEqual(['a/', 'there']);
  });

  it('that ends after a token of MinIO with the number of a list is asked for again without it, if the place is within a folder', async () => {
    const [note, fresh] = ['[minio_cache:v2,id:b4d1,p:0,s:0]', '[minio_cache:v2,return:]'];
    const server = await serve(answer(''), answer(entry('a/c') + entry('b')), answer(''), answer(''), answer(''));
    const backend = backendTo(server, { transport });
    const tokenOf = (told: string): string => Buffer.from(told).toString('base64');
    const after = (told: string, prefix = '') => backend.list('bucket', { prefix, continuationToken: `s.${tokenOf(told)}` }, noContext);
    expect(await after(`a/b${note}`)).toMatchObject({ objects: [{ key: 'a/c' }, { key: 'b' }], isTruncated: false });
    for (const [told, prefix] of [[`a/b${note}`, 'a/'], [`a${note}`], [`a/b${fresh}`]] as const) await after(told, prefix);
    const tokens = server.requests.map(({ url = '' }) => new URL(url, server.endpoint).searchParams.get('continuation-token'));
    expect(tokens).toEqual([`a/b${note}`, `a/b${fresh}`, `a/b${note}`, `a${note}`, `a/b${fresh}`].map(tokenOf));
  });

  it('that continues after a token of MinIO is asked for again only if the page begins another list', async () => {
    const tokenOf = (told: string): string => Buffer.from(told).toString('base64');
    const pageTo = (told: string, key: string): Answer =>
      answer(`<IsTruncated>true</IsTruncated><NextContinuationToken>${tokenOf(told)}</NextContinuationToken>${entry(key)}`);
    const [note, fresh] = ['[minio_cache:v2,id:b4d1,p:0,s:0]', '[minio_cache:v2,return:]'];
    const server = await serve(pageTo(`a/c${note}`, 'a/c'), pageTo(`b${fresh}`, 'b'), pageTo(`a/d${note}`, 'a/d'));
    const backend = backendTo(server, { transport });
    const after = (told: string) => backend.list('bucket', { continuationToken: `s.${tokenOf(told)}` }, noContext);
    expect(await after(`a/b${note}`)).toMatchObject({ objects: [{ key: 'a/c' }] });
    expect(await after(`a/c${note}`)).toMatchObject({ objects: [{ key: 'a/d' }] });
    const tokens = server.requests.map(({ url = '' }) => new URL(url, server.endpoint).searchParams.get('continuation-token'));
    expect(tokens).toEqual([`a/b${note}`, `a/c${note}`, `a/c${fresh}`].map(tokenOf));
  });

  it('continues after its last key, whatever place a token of MinIO names', async () => {
    const note = '[minio_cache:v2,return:]';
    const theirs = Buffer.from(`b/${note}`).toString('base64');
    const page = `<IsTruncated>true</IsTruncated><NextContinuationToken>${theirs}</NextContinuationToken>${entry('a/b')}`;
    const backend = backendTo(await serve(answer(page)), { transport });
    const { nextContinuationToken = '' } = await backend.list('bucket', { maxKeys: 1 }, noContext);
    expect(Buffer.from(nextContinuationToken.slice(2), 'base64').toString()).toBe(`a/b${note}`);
  });

  it.each(['', 's.', 'k.', 'p.', 'd.', 'x.YQ', 'k.YQ==', 'p.Y Q', 'YQ'])(
    'takes no token that none of its pages ends with: %j',
    async (token) => {
      const server = await serve(answer(entry('a')));
      const listed = backendTo(server, { transport }).list('bucket', { continuationToken: token }, noContext);
      await expect(listed).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('token') as string });
      expect(server.requests).toEqual([]);
    },
  );
});

const minio = await ifAvailable(startS3('minio'));

const beside = ['a.c/a!/k', 'a.c/a!5', 'a.c/a!6', 'a.c/a+/k1', 'a.c/a+/k2', 'a.c/a-b/a-b/1', 'a.c/a-b/ab/2'];
const scattered = [...beside, 'a.c/a/a!/3', 'a.c/a4', 'a.c/ab/a!5', 'a/k6', 'a7'];

// MinIO forgets a list 15 minutes after its last page, or when it is restarted.
it.skipIf(typeof minio === 'string').each([
  ['a folder that has many neighbours', '', 5, [...numbered('a+', 20), ...numbered('a/', 20), 'b']],
  ['a folder that it names as the place of a page before it', '', 1, scattered],
  ['a folder of which a page leaves out the rest', '', 1, ['a--/a', 'a-/+', 'a-1', 'a-2', 'a.k/k/.1', 'a/b/1', 'a/b/2', 'a/c', 'b']],
  ['keys that hold the beginning of its notes', '', 1, ['a/1', 'a[minio_cache:v2', 'a[minio_cache:v2-1', 'a[minio_cache:v2-2', 'b']],
  ['a folder where a page ends with a common prefix', '/k', 3, [...numbered('a.c/', 11), 'a.c/k', 'a/1', 'a/2', 'a/b/k', 'a/c/1']],
])('a list goes on to its end where MinIO has forgotten it, within %s', async (_where, delimiter, maxKeys, names) => {
  const { backend, bucket, stop } = await startOn(await accountOn(await startS3('minio')));
  onTestFinished(stop);
  for (const name of names) {
    const key = delimiter !== '' && name.endsWith(delimiter) ? `${name}1` : name;
    await backend.put({ bucket, key }, { kind: 'buffer', data: Buffer.of() }, { contentType: 'text/plain' }, noContext);
  }
  const listed: string[] = [];
  let forgotten = 0;
  for (let continuationToken: string | undefined, isTruncated = true; isTruncated;) {
    const page = await backend.list(
      bucket,
      { delimiter, maxKeys, ...(continuationToken !== undefined && { continuationToken }) },
      noContext,
    );
    listed.push(...[...page.objects.map(({ key }) => key), ...page.commonPrefixes].toSorted(compareKeys));
    ({ isTruncated } = page);
    const told = Buffer.from(page.nextContinuationToken?.slice(2) ?? '', 'base64').toString();
    const other = told.replace(/,id:[^,]*/, `,id:${randomUUID()}`);
    if (other !== told) forgotten++;
    continuationToken = other === told ? page.nextContinuationToken : `s.${Buffer.from(other).toString('base64')}`;
  }
  expect(listed).toEqual(names);
  expect(forgotten).toBeGreaterThan(0);
});

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${name}${index + 10}`);
}
