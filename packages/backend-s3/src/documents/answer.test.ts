import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { s3Backend } from '../backend.ts';
import { openStore } from '../open-store.ts';
import { sdkTransport } from '../sdk/transport.ts';
import { recorded } from '../testing/recorded.ts';
import { accountOn, ifAvailable, sdkOn } from '../testing/server.ts';
import { aclFrom } from './acl.ts';
import { isErrorDocument } from './answer.ts';
import { bucketsFrom, listPageFrom, nextTokenAtBeginning, nextTokenAtEnd } from './list.ts';
import { completeDocument, completedEtagFrom, copiedFrom, deleteDocument, failuresFrom, uploadIdFrom } from './object.ts';
import { xmlText } from './xml.ts';

const servers = await Promise.all([ifAvailable(startS3('ceph')), ifAvailable(startS3('minio'))]);
const text = { kind: 'buffer', data: Buffer.from('x') } as const;
const described = { contentType: 'text/plain' };

describe.each(servers.filter((server) => typeof server !== 'string'))('answers of $name', (server) => {
  it('are read as the SDK reads them', async () => {
    const options = { ...(await accountOn(server)), transport: 'sdk' as const };
    const [backend, sdk] = [s3Backend(options), sdkOn(options)];
    const documents = recorded(sdk.client);
    const bucket = `documents-${randomBytes(6).toString('hex')}`;
    await backend.buckets?.create(bucket, {}, noContext);
    const transport = sdkTransport(sdk.client, sdk.signing);
    const keys = ['a+b', 'a b ', ' ', '<a>&"\'</a>', '%', 'a%20b', '日本/\u{1f98a}', '\u{10ffff}', 'x/y/z', '\u2028', '\u0085', ']]>'];
    for (const key of keys) await backend.put({ bucket, key }, text, described, noContext);
    const read = async <T>(call: Promise<T>, parse: (document: string) => T): Promise<T> => {
      const told = await call;
      expect(parse(documents.at(-1) ?? '')).toEqual(told);
      return told;
    };

    const page = await read(transport.list(bucket, {}, noContext), listPageFrom);
    expect(nextTokenAtBeginning(Buffer.from(documents.at(-1) ?? ''))).toBeUndefined();
    expect(nextTokenAtEnd(documents.at(-1) ?? '')).toBeUndefined();
    expect(page.objects.map(({ key }) => key).sort()).toEqual(keys.toSorted());
    await read(transport.list(bucket, { delimiter: '/', prefix: 'x/' }, noContext), listPageFrom);
    const first = await read(transport.list(bucket, { delimiter: '/', maxKeys: 3 }, noContext), listPageFrom);
    expect(first.nextContinuationToken).toBeDefined();
    const told = [nextTokenAtBeginning(Buffer.from(documents.at(-1) ?? '')), nextTokenAtEnd(documents.at(-1) ?? '')];
    expect(told).toEqual(server.kind === 'ceph' ? [undefined, first.nextContinuationToken] : [first.nextContinuationToken, undefined]);
    await read(transport.list(bucket, { maxKeys: 4, continuationToken: first.nextContinuationToken! }, noContext), listPageFrom);
    await read(transport.listBuckets({}, noContext), bucketsFrom);
    const at = { bucket, key: 'parts & <more>' };
    const uploadId = await read(transport.createUpload(at, described, noContext), uploadIdFrom);
    const { etag } = await transport.uploadPart({ at, uploadId, number: 1 }, Buffer.from('part'), noContext);
    const written = await transport.completeUpload({ at, uploadId }, [{ number: 1, etag }], {}, noContext);
    expect(completedEtagFrom(documents.at(-1) ?? '')).toBe(written.etag);
    const copied = await transport.copy({ ...at, ifMatch: written.etag }, { bucket, key: 'copy' }, {}, noContext);
    expect(copiedFrom(documents.at(-1) ?? '').etag).toBe(copied.etag);
    const into = { at, uploadId: await transport.createUpload(at, described, noContext), number: 1 };
    await read(transport.copyPart({ ...at, range: 'bytes=0-3' }, into, noContext), copiedFrom);
    await transport.abortUpload(into, noContext);
    await read(transport.getAcl(at, noContext), aclFrom);
    if (!server.name.startsWith('MinIO')) {
      await backend.acl?.setObjectAcl(at, 'public-read', noContext);
      const { grants } = await read(transport.getAcl(at, noContext), aclFrom);
      expect(grants.map(({ grantee, permission }) => [grantee.type, permission])).toContainEqual(['Group', 'READ']);
    }
    await read(
      transport.deleteBatch(
        bucket,
        [...keys, at.key, 'copy'].map((key) => ({ key })),
        noContext,
      ),
      failuresFrom,
    );
    await read(transport.list(bucket, {}, noContext), listPageFrom);

    await backend.buckets?.delete(bucket, { force: true }, noContext);
    sdk.close();
    await backend.close();
  });
});

const key = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
const summary = fc.record({
  key,
  size: fc.maxSafeNat(),
  hash: fc.string({ unit: fc.constantFrom('0', '1', 'a', 'f') }),
  storageClass: fc.constantFrom('STANDARD', 'GLACIER'),
  way: fc.nat(4),
});

/** An object as written by AWS, MinIO, Ceph, or no particular server. */
function objectIn({ size, hash, storageClass, way }: ReturnType<typeof summary.generate>['value'], name: string): string {
  const quote = way === 1 ? '&#34;' : '&quot;';
  const [sized, tagged] = [`<Size>${size}</Size>`, `<ETag>${quote}${hash}${quote}</ETag>`];
  const modified = '<LastModified>2026-02-03T04:05:06.789Z</LastModified>';
  const classed = `<StorageClass>${storageClass}</StorageClass>`;
  const owner = '<Owner><ID>1</ID><DisplayName>a b</DisplayName></Owner>';
  const checksum = '<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>';
  const inner = [
    modified + tagged + checksum + sized + owner + classed,
    modified + tagged + sized + classed,
    `${modified}${tagged}${sized}${classed}${owner}<Type>Normal</Type>`,
    `${sized}${tagged}\n${modified}<Owner><ID>1</ID></Owner>${classed}`,
    `${modified}${tagged}${sized}`,
  ];
  return `<Contents><Key>${name}</Key>${inner[way]}</Contents>`;
}

describe('any list', () => {
  it('is read as the SDK reads it', async () => {
    let document = '';
    const server = createServer((request, response) => {
      request.resume();
      response.end(document);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const store = openStore({ endpoint, accessKey: 'who', secretKey: 'secret', transport: 'sdk' });
    const generated = fc.record({ isEncoded: fc.boolean(), objects: fc.array(summary), prefixes: fc.array(key), next: fc.option(key) });
    await fc.assert(
      fc.asyncProperty(generated, async ({ isEncoded, objects, prefixes, next }) => {
        const written = (name: string): string => xmlText(isEncoded ? encodeURIComponent(name).replaceAll('%20', '+') : name);
        document = `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
          ${isEncoded ? '<EncodingType>url</EncodingType>' : ''}<IsTruncated>${next === null ? 'false' : 'true'}</IsTruncated>
          ${next === null ? '' : `<NextContinuationToken>${xmlText(next)}</NextContinuationToken>`}
          ${objects.map((object) => objectIn(object, written(object.key))).join('')}
          ${prefixes.map((prefix) => `<CommonPrefixes><Prefix>${written(prefix)}</Prefix></CommonPrefixes>`).join('\n')}</ListBucketResult>`;
        expect(listPageFrom(document)).toEqual(await store.transport.list('bucket', {}, noContext));
      }),
    );
    store.connection.close();
    server.close();
  });
});

it('a list with text between its objects is malformed, however they are written', () => {
  const objects = [1, 3].map((way) => objectIn({ key: 'k', size: 1, hash: 'a', storageClass: 'STANDARD', way }, 'k'));
  for (const object of objects) {
    expect(listPageFrom(`<ListBucketResult>\n${object}\n${object}</ListBucketResult>`).objects).toHaveLength(2);
    for (const text of [`x${object}`, `${object}x${object}`, `${object}x`])
      expect(() => listPageFrom(`<ListBucketResult>${text}</ListBucketResult>`)).toThrow('text beside its elements');
  }
});

describe('requests', () => {
  it('hold every key and ETag', () => {
    fc.assert(
      fc.property(fc.array(key), (keys) => {
        const sent = deleteDocument(keys.map((name) => ({ key: name, versionId: name })));
        const asErrors = sent.replaceAll(/<(\/?)Object>/g, '<$1Error>').replaceAll(/(<\/?)Delete(?=[ >])/g, '$1DeleteResult');
        expect(failuresFrom(asErrors.replace('<Quiet>true</Quiet>', '')).map((failure) => failure.key)).toEqual(keys);
      }),
    );
    const deletion = deleteDocument([{ key: 'k', versionId: '<1>' }, { key: 'k' }]);
    expect(deletion).toContain(
      '<Object><Key>k</Key><VersionId>&lt;1&gt;</VersionId></Object><Object><Key>k</Key></Object><Quiet>true</Quiet>',
    );
    const part = '<PartNumber>1</PartNumber><ETag>&quot;a&quot;b&quot;</ETag>';
    expect(completeDocument([{ number: 1, etag: 'a"b' }])).toContain(`<Part>${part}</Part>`);
    expect(completeDocument([{ number: 1, etag: 'a"b', crc32: 'sum=' }])).toContain(
      `<Part>${part}<ChecksumCRC32>sum=</ChecksumCRC32></Part>`,
    );
  });
});

describe('a list that is cut short', () => {
  const listOf = (more: string): string => `<ListBucketResult><IsTruncated>true</IsTruncated>${more}</ListBucketResult>`;

  it('is malformed if it does not say where it continues', () => {
    for (const more of ['', '<NextContinuationToken/>']) expect(() => listPageFrom(listOf(more))).toThrow('not where they begin');
    const page = listPageFrom(listOf('<NextContinuationToken>on</NextContinuationToken>'));
    expect(page).toMatchObject({ isTruncated: true, nextContinuationToken: 'on' });
  });
});

describe('an object in a list', () => {
  const listed = (more: string): object | undefined =>
    listPageFrom(`<ListBucketResult><Contents><Key>k</Key>${more}</Contents></ListBucketResult>`).objects[0];

  it('may have no size, and no class', () => {
    const plain = { key: 'k', size: 0, etag: '', lastModified: new Date(0), storageClass: 'STANDARD' };
    for (const more of ['', '<StorageClass/>']) expect(listed(more)).toEqual(plain);
  });

  it.each(['x', '-1', ''])('is malformed with the size %j', (size) => {
    expect(() => listed(`<Size>${size}</Size>`)).toThrow('a size that is no number');
  });
});

describe('answers about buckets, uploads and copies', () => {
  it('list buckets, and say where the list continues', () => {
    const bucket = '<Bucket><Name>b</Name><CreationDate>2026-02-03T04:05:06.000Z</CreationDate><BucketRegion>r</BucketRegion></Bucket>';
    const list = (more: string): string => `<ListAllMyBucketsResult><Buckets>${bucket}<Bucket/></Buckets>${more}</ListAllMyBucketsResult>`;
    const buckets = [{ name: 'b', createdAt: new Date('2026-02-03T04:05:06Z'), region: 'r' }];
    for (const more of ['', '<ContinuationToken/>']) expect(bucketsFrom(list(more))).toEqual({ buckets });
    expect(bucketsFrom(list('<ContinuationToken>on</ContinuationToken>'))).toEqual({ buckets, continuationToken: 'on' });
  });

  it.each(['InitiateMultipartUploadResult', 'InitiateMultipartUpload'])('contain the id of an upload (%s), or are malformed', (name) => {
    expect(uploadIdFrom(`<${name}><UploadId>id</UploadId></${name}>`)).toBe('id');
    for (const more of ['', '<UploadId/>']) expect(() => uploadIdFrom(`<${name}>${more}</${name}>`)).toThrow('an upload without an id');
  });

  it.each(['CopyObjectResult', 'CopyPartResult'])('contain the ETag and the checksum of a copy (%s), or are malformed', (name) => {
    expect(copiedFrom(`<${name}><ETag>"a"</ETag><ChecksumCRC32>s</ChecksumCRC32></${name}>`)).toEqual({ etag: 'a', crc32: 's' });
    expect(copiedFrom(`<${name}><ETag>"a"</ETag></${name}>`)).toEqual({ etag: 'a' });
    expect(() => copiedFrom(`<${name}/>`)).toThrow('no ETag');
    expect(() => copiedFrom(`<Other${name}><ETag>"a"</ETag></Other${name}>`)).toThrow('where the copy belongs');
  });
});

describe('the token of the next page', () => {
  const next = '<IsTruncated>true</IsTruncated><NextContinuationToken>a &amp; b</NextContinuationToken>';

  it.each([
    [`<?xml version="1.0"?>\n<ListBucketResult xmlns="x"><Name>n</Name>${next}<Contents><Key>k`, 'a & b'],
    [`<ListBucketResult>${next}<CommonPrefixes>`, 'a & b'],
    [`<ListBucketResult>${next}`, undefined],
    [`<ListBucketResult>${next.replace('true', 'false')}<Contents>`, undefined],
    [`<ListBucketResult><Contents><Key>k</Key></Contents>${next}`, undefined],
    [`<ListBucketResult><Name>n${next}<Contents>`, undefined],
    [`<Error>${next}<Contents>`, undefined],
    ['', undefined],
  ])('is read from the beginning of %s: %s', (beginning, token) => {
    expect(nextTokenAtBeginning(Buffer.from(beginning))).toBe(token);
  });

  it.each([
    [`<ListBucketResult><Contents><Key>k</Key></Contents>${next}</ListBucketResult>`, 'a & b'],
    [`<ListBucketResult><Contents/><Contents></Contents><CommonPrefixes></CommonPrefixes>${next}</ListBucketResult>`, 'a & b'],
    [`<ListBucketResult><Contents></Contents>${next}`, undefined],
    [`<ListBucketResult><Contents></Contents><NextContinuationToken/></ListBucketResult>`, undefined],
    [`<ListBucketResult><Contents></Contents></ListBucketResult>`, undefined],
    ['', undefined],
  ])('is read from the end of %s: %s', (document, token) => {
    expect(nextTokenAtEnd(document)).toBe(token);
  });
});

describe('an error in an answer that began with 200', () => {
  it.each([
    ['<Error><Code>InternalError</Code></Error>', true],
    ['\n \n<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>x</Code></Error>', true],
    ['<Errors><Error/></Errors>', false],
    ['<?xml version="1.0"?><CompleteMultipartUploadResult><Error/></CompleteMultipartUploadResult>', false],
    ['', false],
  ])('%s', (document, isError) => expect(isErrorDocument(document)).toBe(isError));
});
