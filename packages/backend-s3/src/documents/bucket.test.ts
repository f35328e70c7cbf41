import { randomBytes } from 'node:crypto';

import { CreateMultipartUploadCommand, PutBucketLifecycleConfigurationCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import type { LifecycleRule } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import type { ExistingRule } from '../administration.ts';
import { s3Backend } from '../backend.ts';
import { openStore } from '../open-store.ts';
import { sdkAdministration } from '../sdk/administration.ts';
import { recorded } from '../testing/recorded.ts';
import { accountOn, ifAvailable, sdkOn } from '../testing/server.ts';
import { aclDocument, aclFrom } from './acl.ts';
import {
  corsDocument,
  corsFrom,
  locationDocument,
  locationFrom,
  partsFrom,
  rulesDocument,
  rulesFrom,
  taggingDocument,
  tagsFrom,
  uploadsFrom,
  keptVersionsFrom,
  versioningFrom,
  versionsFrom,
} from './bucket.ts';

const servers = await Promise.all([ifAvailable(startS3('ceph')), ifAvailable(startS3('minio'))]);
const text = { kind: 'buffer', data: Buffer.from('x') } as const;
const described = { contentType: 'text/plain' };

describe.each(servers.filter((server) => typeof server !== 'string'))('answers of $name about buckets', (server) => {
  it('are read as the SDK reads them', async () => {
    const account = await accountOn(server);
    const [backend, sdk, store] = [s3Backend(account), sdkOn(account), openStore(account)];
    const documents = recorded(sdk.client);
    const bucket = `documents-${randomBytes(6).toString('hex')}`;
    await backend.buckets?.create(bucket, {}, noContext);
    const administration = sdkAdministration(sdk.client);
    const read = async <T>(call: Promise<T>, parse: (document: string) => T): Promise<T> => {
      const told = await call;
      expect(parse(documents.at(-1) ?? '')).toEqual(told);
      return told;
    };

    await read(administration.getLocation(bucket, noContext), locationFrom);
    expect(await read(administration.hasKeptVersions(bucket, noContext), keptVersionsFrom)).toBe(false);
    for (const isOn of [true, false]) {
      await store.administration.setVersioning(bucket, isOn, noContext);
      expect(await read(administration.getVersioning(bucket, noContext), versioningFrom)).toBe(isOn);
      expect(await read(administration.hasKeptVersions(bucket, noContext), keptVersionsFrom)).toBe(true);
    }
    await store.administration.setVersioning(bucket, true, noContext);
    const keys = ['a+b', ' ', '<a>&"\'</a>', '%', '日本/\u{1f98a}', '\u2028', ']]>', 'x'];
    for (const key of keys) await backend.put({ bucket, key }, text, described, noContext);
    await backend.delete({ bucket, key: 'x' }, noContext);
    const versions = await read(administration.listVersions(bucket, noContext), versionsFrom);
    expect(versions.map(({ key }) => key).toSorted()).toEqual([...keys, 'x'].toSorted());

    const parts = ['p', 'pa', 'par'];
    for (const key of ['open/1', 'open/1', 'open/<2> &']) {
      const { UploadId } = await sdk.client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key }));
      for (const [index, Body] of parts.entries())
        await sdk.client.send(new UploadPartCommand({ Bucket: bucket, Key: key, UploadId, PartNumber: index + 1, Body }));
    }
    const readUploads = (document: string): ReturnType<typeof uploadsFrom> => uploadsFrom(document, bucket);
    const { uploads } = await read(administration.listUploads(bucket, undefined, noContext), readUploads);
    expect(await store.administration.listUploads(bucket, undefined, noContext)).toEqual({ uploads });
    if (server.kind === 'ceph') expect(uploads.map(({ at }) => at.key)).toEqual(['open/1', 'open/1', 'open/<2> &']);
    const [upload] = uploads;
    if (upload !== undefined) {
      expect(await read(administration.listParts(upload, undefined, noContext), partsFrom)).toEqual({
        size: 6,
        latest: expect.any(Date) as Date,
      });
      const second = await read(administration.listParts(upload, '1', noContext), partsFrom);
      expect(second.size).toBe(5);
      expect(second.latest.getTime()).toBeGreaterThan(Date.now() - 3_600_000);
      expect(await store.administration.listParts(upload, '1', noContext)).toEqual(second);
      const none = await read(administration.listParts(upload, '3', noContext), partsFrom);
      expect(none).toEqual({ size: 0, latest: new Date(0) });
    }
    if (server.kind === 'ceph') {
      await store.administration.putBucketAcl(bucket, 'public-read', noContext);
      const { grants } = await read(administration.getBucketAcl(bucket, noContext), aclFrom);
      expect(grants).toHaveLength(2);
      expect(await store.administration.getBucketAcl(bucket, noContext)).toEqual(await administration.getBucketAcl(bucket, noContext));
    }
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    sdk.close();
    store.connection.close();
    await backend.close();
  });

  it('contain rules that Coffer does not know, which are kept when others are added', async () => {
    const account = await accountOn(server);
    const [backend, sdk, store] = [s3Backend(account), sdkOn(account), openStore(account)];
    const documents = recorded(sdk.client);
    const bucket = `rules-${randomBytes(6).toString('hex')}`;
    await backend.buckets?.create(bucket, {}, noContext);
    const twoTags = [
      { Key: 'k', Value: '<v>' },
      { Key: 'l', Value: '' },
    ];
    const Rules = [
      { ID: 'tagged', Status: 'Enabled', Filter: { And: { Prefix: 'a/', Tags: [{ Key: 'k', Value: '<v>' }] } }, Expiration: { Days: 3 } },
      { ID: 'of two tags', Status: 'Enabled', Filter: { And: { Prefix: 'd/', Tags: twoTags } }, Expiration: { Days: 3 } },
      { ID: 'of an older kind', Status: 'Enabled', Prefix: 'c/', Expiration: { Days: 4 } },
      { ID: 'old ones', Status: 'Disabled', Filter: { Prefix: 'b&c/' }, NoncurrentVersionExpiration: { NoncurrentDays: 9 } },
    ] as const;
    const configuration = { Rules: Rules.map((rule) => structuredClone(rule)) as never };
    await sdk.client.send(new PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration: configuration }));
    const administration = sdkAdministration(sdk.client);
    const held = await administration.getRules(bucket, noContext);
    expect(rulesFrom(documents.at(-1) ?? '').map(known)).toEqual(held.map(known));
    const more: LifecycleRule = {
      id: 'new <one>',
      prefix: 'logs/"1"/',
      expireDays: 5,
      ...(server.kind === 'ceph' && { abortMultipartDays: 2, transition: { days: 4, storageClass: 'GLACIER' } }),
    };
    for (const { getRules, putRules } of [administration, store.administration]) {
      await putRules(bucket, [...(await getRules(bucket, noContext)).filter(({ id }) => id !== more.id), more], noContext);
      const now = await administration.getRules(bucket, noContext);
      expect(now.filter(({ id }) => id !== more.id)).toEqual(held);
      expect(now).toContainEqual(expect.objectContaining({ id: 'of two tags', prefix: 'd/' }));
      expect(now.map(known)).toContainEqual({ ...more, isEnabled: true, isNarrower: false });
      // AWS accepts rules with a filter only beside others that have one.
      expect(now.find(({ id }) => id === more.id)).toMatchObject({ raw: { Filter: { Prefix: more.prefix } } });
    }
    await store.administration.deleteRules(bucket, noContext);
    for (const { getRules } of [administration, store.administration])
      await expect(getRules(bucket, noContext)).rejects.toMatchObject({ cause: { name: 'NoSuchLifecycleConfiguration' } });
    await backend.buckets?.delete(bucket, {}, noContext);
    sdk.close();
    store.connection.close();
    await backend.close();
  });
});

function known({ raw: _raw, ...rule }: ExistingRule): Omit<ExistingRule, 'raw'> {
  return rule;
}

describe('versions in a list of Google', () => {
  it('have a generation for their id', () => {
    const versions = ['<Key>a</Key><Generation>1</Generation>', '<Key>a</Key><Generation>2</Generation><IsLatest>true</IsLatest>'];
    const list = versions.map((version) => `<Version>${version}</Version>`).join('');
    expect(versionsFrom(`<ListBucketResult><Name>bucket</Name>${list}</ListBucketResult>`)).toEqual([
      { key: 'a', versionId: '1' },
      { key: 'a', versionId: '2' },
    ]);
  });

  it('are not taken from the list of a server that knows none', () => {
    const list = '<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>';
    expect(() => versionsFrom(list)).toThrow(expect.objectContaining({ name: 'NotImplemented' }) as Error);
  });
});

describe('requests about buckets', () => {
  it('can contain any text', () => {
    expect(locationDocument('<a>&')).toContain('<LocationConstraint>&lt;a&gt;&amp;</LocationConstraint>');
    const cors = { origins: ['https://a.example', '<'], methods: ['PUT'], headers: ['*'], exposed: ['ETag'], maxAge: 5 };
    expect(corsDocument([cors])).toContain('<AllowedOrigin>https://a.example</AllowedOrigin><AllowedOrigin>&lt;</AllowedOrigin>');
    const owner = { id: 'me & you', displayName: 'me & you' };
    const grants = [
      { grantee: { type: 'CanonicalUser' as const, id: '<you>' }, permission: 'READ' as const },
      { grantee: { type: 'Group' as const, uri: 'http://a.example/?all&' }, permission: 'WRITE' as const },
    ];
    const policy = aclDocument({ owner, grants });
    expect(aclFrom(policy)).toEqual({ owner: { ...owner, displayName: owner.id }, grants });
    for (const { grantee } of grants) expect(policy).toContain(`xsi:type="${grantee.type}"`);
    const tags = [
      { name: '<n>', value: ' v & w ' },
      { name: 'empty', value: '' },
    ];
    expect(tagsFrom(taggingDocument(tags))).toEqual(tags);
  });

  it('contain all fields of a CORS rule, including one that was read', () => {
    const rule = {
      id: 'a',
      origins: ['https://a.example', 'b'],
      methods: ['PUT', 'GET'],
      headers: ['*'],
      exposed: ['ETag', 'x'],
      maxAge: 5,
    };
    const document = corsDocument([rule, { ...rule, id: undefined }]);
    const { maxAge, ...told } = rule;
    expect(corsFrom(document)).toMatchObject([told, { ...told, id: undefined }]);
    expect(document).toContain(`<MaxAgeSeconds>${maxAge}</MaxAgeSeconds>`);
    expect(corsDocument(corsFrom(document))).toBe(document);
  });

  it('contain a new rule in the older form only if all existing rules have it', () => {
    const [older, newer] = ['<Prefix>a/</Prefix>', '<Filter><Prefix>b/</Prefix></Filter>'].map(
      (prefix) => `<Rule>${prefix}<Status>Disabled</Status><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule>`,
    ) as [string, string];
    const spelled = (...rules: readonly string[]): string =>
      rulesDocument([...rulesFrom(`<LifecycleConfiguration>${rules.join('')}</LifecycleConfiguration>`), { id: 'new', prefix: 'c/' }]);
    expect(spelled(older, older)).toContain(`${older}${older}<Rule><ID>new</ID><Prefix>c/</Prefix>`);
    for (const rules of [[], [newer], [older, newer]])
      expect(spelled(...rules)).toContain(`${rules.join('')}<Rule><ID>new</ID><Filter><Prefix>c/</Prefix></Filter>`);
  });

  it('hold rules as they were read, and as they were given', () => {
    const rules: readonly LifecycleRule[] = [
      { id: 'a', prefix: '', expireDays: 1, abortMultipartDays: 2 },
      { id: '"', prefix: '&/', transition: { days: 7, storageClass: 'GLACIER' } },
    ];
    const document = rulesDocument(rules);
    const read = rulesFrom(document);
    expect(read.map(known)).toEqual(rules.map((rule) => ({ ...rule, isEnabled: true, isNarrower: false })));
    expect(rulesDocument(read)).toBe(document);
  });
});

describe('an answer about rules', () => {
  it.each(['<Prefix>a/</Prefix>', '<Filter><Prefix>a/</Prefix></Filter>', '<Filter><And><Prefix>a/</Prefix></And></Filter>'])(
    'tells their prefix, wherever it stands: %s',
    (prefix) => {
      const rules = (status: string, more: string): readonly ExistingRule[] =>
        rulesFrom(`<LifecycleConfiguration><Rule><ID>r</ID>${prefix}<Status>${status}</Status>${more}</Rule></LifecycleConfiguration>`);
      expect(rules('Disabled', '').map(known)).toEqual([{ id: 'r', prefix: 'a/', isEnabled: false, isNarrower: false }]);
      const transition = (when: string): string => `<Transition>${when}<StorageClass>GLACIER</StorageClass></Transition>`;
      const expected = { id: 'r', prefix: 'a/', isEnabled: true, isNarrower: false };
      expect(rules('Enabled', transition('<Date>2030-01-01T00:00:00Z</Date>')).map(known)).toEqual([expected]);
      const transitions = [{ ...expected, transition: { days: 0, storageClass: 'GLACIER' } }];
      expect(rules('Enabled', transition('<Days>0</Days>')).map(known)).toEqual(transitions);
    },
  );

  it.each([
    '<Tag><Key>k</Key><Value>v</Value></Tag>',
    '<ObjectSizeGreaterThan>5</ObjectSizeGreaterThan>',
    '<ObjectSizeLessThan>5</ObjectSizeLessThan>',
  ])('tells that they are about some of the objects only: %s', (more) => {
    for (const filter of [more, `<And><Prefix>a/</Prefix>${more}</And>`])
      expect(rulesFrom(`<LifecycleConfiguration><Rule><Filter>${filter}</Filter></Rule></LifecycleConfiguration>`)).toMatchObject([
        { isNarrower: true },
      ]);
  });
});

describe('an answer about uploads', () => {
  it('tells the size of an upload, and when its latest part arrived', () => {
    const part = (more: string): string => `<Part>${more}</Part>`;
    const [earlier, later] = ['2026-02-03T04:05:06.000Z', '2026-02-03T04:05:07.000Z'];
    const parts = [
      `<LastModified>${later}</LastModified><Size> 5368709120 </Size>`,
      `<LastModified>${earlier}</LastModified><Size>2</Size>`,
      '',
    ];
    expect(partsFrom(`<ListPartsResult>${parts.map(part).join('')}</ListPartsResult>`)).toEqual({
      size: 5368709122,
      latest: new Date(later),
    });
    expect(partsFrom('<ListPartsResult/>')).toEqual({ size: 0, latest: new Date(0) });
    const more = `<IsTruncated>true</IsTruncated><NextPartNumberMarker/>${part('<PartNumber>4</PartNumber>')}`;
    expect(partsFrom(`<ListPartsResult>${more}</ListPartsResult>`)).toMatchObject({ next: '4' });
  });

  it('lists only uploads with a key and an id, dated 1970 if it gives no date', () => {
    const uploads = ['<Key>k</Key><UploadId>1</UploadId>', '<Key>k</Key>', '<UploadId>1</UploadId>'];
    const document = `<ListMultipartUploadsResult>${uploads.map((upload) => `<Upload>${upload}</Upload>`).join('')}</ListMultipartUploadsResult>`;
    expect(uploadsFrom(document, 'b')).toEqual({ uploads: [{ at: { bucket: 'b', key: 'k' }, uploadId: '1', initiatedAt: new Date(0) }] });
  });
});

describe('an answer about versions', () => {
  it('decodes keys only if it says that they are encoded', () => {
    const versions = (more: string): string =>
      `<ListVersionsResult>${more}<Version><Key>a+b%20</Key><VersionId/></Version><DeleteMarker><Key>+</Key><VersionId>1</VersionId></DeleteMarker></ListVersionsResult>`;
    expect(versionsFrom(versions(''))).toEqual([{ key: 'a+b%20' }, { key: '+', versionId: '1', isMarker: true }]);
    expect(versionsFrom(versions('<EncodingType>url</EncodingType>'))).toEqual([
      { key: 'a b ' },
      { key: ' ', versionId: '1', isMarker: true },
    ]);
  });
});

describe('answers under another name', () => {
  it.each(['', 'eu-west-1'])('tell the region %j', (place) => {
    expect(locationFrom(`<CreateBucketConfiguration><LocationConstraint>${place}</LocationConstraint></CreateBucketConfiguration>`)).toBe(
      place,
    );
  });

  it('list versions, and the parts of an upload, in elements named after the operation (moto)', () => {
    expect(versioningFrom('<GetBucketVersioningResponse/>')).toBe(false);
    expect(versioningFrom('<GetBucketVersioningResponse><Status>Enabled</Status></GetBucketVersioningResponse>')).toBe(true);
    expect(partsFrom('<ListPartsResponse><Part><Size>3</Size></Part></ListPartsResponse>')).toMatchObject({ size: 3 });
  });
});

describe('malformed answers', () => {
  it.each([
    ['a number', () => partsFrom('<ListPartsResult><Part><Size>many</Size></Part></ListPartsResult>')],
    ['a number alone', () => partsFrom('<ListPartsResult><Part><Size>-1</Size></Part></ListPartsResult>')],
    [
      'a time',
      () =>
        uploadsFrom(
          '<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>1</UploadId><Initiated>then</Initiated></Upload></ListMultipartUploadsResult>',
          'b',
        ),
    ],
    ['another document', () => versioningFrom('<LocationConstraint/>')],
  ])('are refused: %s is expected', (_what, parse) => expect(parse).toThrow('not well-formed'));
});
