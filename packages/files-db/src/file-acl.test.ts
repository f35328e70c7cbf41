import { memoryBackend } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { acme, openRig, presigning, upload, userOf } from './testing/support.ts';
import type { Rig } from './testing/support.ts';
import type { PresignUploadOptions, StorageBackend } from '@coffer/storage-core';
import type { FileRecord } from './index.ts';

describe('the object of a tracked file, where uploads are public by default', () => {
  let rig: Rig;
  let backend: StorageBackend;
  const signed: PresignUploadOptions[] = [];
  beforeEach(async () => {
    const inner = presigning(memoryBackend());
    const presign = inner.presign!;
    backend = {
      ...inner,
      presign: { ...presign, upload: (at, options, ctx) => (signed.push(options), presign.upload(at, options, ctx)) },
    };
    rig = await openRig({ backend, storage: { defaultAcl: 'public-read' } });
  });
  afterEach(() => rig.close());

  const readers = async ({ bucket, storageKey: key }: FileRecord): Promise<readonly string[]> => {
    const { grants } = await rig.storage.getObjectAcl({ bucket, key });
    return grants.map(({ grantee }) => grantee.type);
  };

  it('is private, unless the caller says otherwise', async () => {
    expect(await readers(await upload(rig, 'x'))).toEqual(['CanonicalUser']);
    expect(await readers(await upload(rig, 'x', { isPublic: true, tenantContext: acme }))).toEqual(['CanonicalUser']);
    expect(await readers(await upload(rig, 'x', { acl: 'public-read' }))).toContain('Group');
  });

  it('is private after a presigned upload, whatever arrived', async () => {
    await rig.tenants.create(acme);
    const presigned = await rig.files.createPresignedUpload({
      filename: 'a.txt',
      contentType: 'text/plain',
      sizeBytes: 5,
      ownerId: 'alice',
      tenantContext: acme,
    });
    expect(signed.at(-1)).toMatchObject({ acl: 'private' });
    const at = { bucket: 'acme-uploads', key: presigned.uploadFields['key']! };
    await backend.put(at, { kind: 'buffer', data: Buffer.from('hello') }, { contentType: 'text/plain', acl: 'public-read' }, {});
    expect(await readers(await rig.files.completeUpload(presigned.fileId, userOf(acme, 'alice')))).toEqual(['CanonicalUser']);
  });
});
