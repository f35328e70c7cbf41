import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { openStore } from './open-store.ts';
import type { Store } from './store.ts';
import { transports } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { answering } from './testing/scripted.ts';
import type { Answer, Scripted } from './testing/scripted.ts';
import { allUploads } from './testing/server.ts';

const { serve, backendTo, open, clear } = newStage();
afterEach(clear);

const upload = (key: string): string => `<Upload><Key>${key}</Key><UploadId>id-${key}</UploadId></Upload>`;
const uploads = (isTruncated: string, more: string): Answer =>
  answering(`<ListMultipartUploadsResult>${isTruncated}${more}</ListMultipartUploadsResult>`);
const parts = (isTruncated: string, more: string): Answer => answering(`<ListPartsResult>${isTruncated}${more}</ListPartsResult>`);
const objects = (more: string): Answer =>
  answering(`<ListBucketResult>${more}<Contents><Key>k</Key><Size>1</Size></Contents></ListBucketResult>`);
const [yes, no] = ['<IsTruncated>true</IsTruncated>', '<IsTruncated>false</IsTruncated>'];
const part = '<Part><PartNumber>1</PartNumber><Size>5</Size></Part>';

describe.each(transports)('a list in pages (%s)', (transport) => {
  const storeTo = ({ endpoint }: Scripted): Store => {
    const store = openStore({ endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport });
    open.push(() => store.connection.close());
    return store;
  };
  const asked = ({ requests }: Scripted, name: string): readonly (string | null)[] =>
    requests.map(({ url = '' }) => new URLSearchParams(url.split('?')[1]).get(name));

  it.each(['', '<IsTruncated>True</IsTruncated>'])('goes on where its token leads, also with %j', async (told) => {
    const server = await serve(objects(`${told}<NextContinuationToken>on</NextContinuationToken>`));
    const page = await storeTo(server).transport.list('bucket', {}, noContext);
    expect(page).toMatchObject({ isTruncated: true, nextContinuationToken: 'on' });
  });

  it.each([no, ''])('is over where it says so, or nothing: %j', async (told) => {
    const server = await serve(objects(`${told}${told === '' ? '' : '<NextContinuationToken>on</NextContinuationToken>'}`));
    expect(await storeTo(server).transport.list('bucket', {}, noContext)).toMatchObject({ isTruncated: false });
  });

  it('of uploads continues after its last entry if there is no marker', async () => {
    const server = await serve(uploads(yes, upload('a') + upload('b')), uploads(no, upload('c')));
    const found = await allUploads(storeTo(server), 'bucket');
    expect(found.map(({ at }) => at.key)).toEqual(['a', 'b', 'c']);
    expect(asked(server, 'key-marker')).toEqual([null, 'b']);
    expect(asked(server, 'upload-id-marker')).toEqual([null, 'id-b']);
  });

  it.each([
    ['', '&upload-id-marker=id-z', '<NextUploadIdMarker>id-z</NextUploadIdMarker>'],
    [', which may be a key alone', '', '<NextUploadIdMarker/>'],
  ])('of uploads continues at its markers%s', async (_what, marker, told) => {
    const server = await serve(uploads(yes, `<NextKeyMarker>z</NextKeyMarker>${told}${upload('a')}`), uploads(no, ''));
    await allUploads(storeTo(server), 'bucket');
    expect(server.requests[1]?.url).toContain(`?key-marker=z${marker}&uploads`);
  });

  it.each([
    ['behind its last one, where no marker says where', '', '2'],
    ['where its marker leads', '<NextPartNumberMarker>7</NextPartNumberMarker>', '7'],
  ])('of parts goes on %s', async (_where, told, next) => {
    const { administration } = storeTo(await serve(parts(yes, told + part + part.replace('>1<', '>2<'))));
    const listed = await administration.listParts({ at: { bucket: 'bucket', key: 'k' }, uploadId: 'id' }, undefined, noContext);
    expect(listed).toMatchObject({ size: 10, next });
  });

  it('is malformed if it is truncated, but empty', async () => {
    const told = { code: 'storage_unavailable' };
    await expect(allUploads(storeTo(await serve(uploads(yes, ''))), 'bucket')).rejects.toMatchObject(told);
    const { administration } = storeTo(await serve(parts(yes, '')));
    const listing = administration.listParts({ at: { bucket: 'bucket', key: 'k' }, uploadId: 'id' }, undefined, noContext);
    await expect(listing).rejects.toMatchObject(told);
  });

  it('ends where the same page comes for ever', async () => {
    const told = { code: 'not_supported' };
    await expect(allUploads(storeTo(await serve(uploads(yes, upload('a')))), 'bucket')).rejects.toMatchObject(told);
    const list = '<ListAllMyBucketsResult><Buckets/><ContinuationToken>on</ContinuationToken></ListAllMyBucketsResult>';
    await expect(backendTo(await serve(answering(list)), { transport }).buckets?.list(noContext)).rejects.toMatchObject(told);
    const old = '<Upload><Key>k</Key><UploadId>id</UploadId><Initiated>2026-02-03T04:05:06.000Z</Initiated></Upload>';
    const byUrl: Answer = (request, response) => {
      const { url = '' } = request;
      const answer = url.includes('uploadId=') ? parts(yes, part) : url.includes('uploads') ? uploads(no, old) : objects(no);
      return answer(request, response);
    };
    const ofParts = backendTo(await serve(byUrl), { transport });
    await expect(ofParts.maintenance?.sweep({ olderThan: 0, bucket: 'bucket' }, noContext)).rejects.toMatchObject(told);
  });
});
