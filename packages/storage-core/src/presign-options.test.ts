import { beforeEach, describe, expect, it } from 'vitest';

import type { PresignDownloadOptions, PresignUploadOptions, StorageBackend } from './backend.ts';
import { wrapBackend } from './layers/wrap-backend.ts';
import { memoryBackend } from './memory-backend.ts';
import { StorageService } from './storage-service.ts';

let backend: StorageBackend;
let service: StorageService;
beforeEach(() => {
  backend = memoryBackend({ buckets: ['main', 'other'] });
  service = new StorageService({ backend, defaultBucket: 'main' });
});

describe('presigned URLs', () => {
  let asked: (PresignUploadOptions | PresignDownloadOptions)[] = [];
  beforeEach(() => {
    asked = [];
    const presign: StorageBackend['presign'] = {
      upload: async (at, options) => {
        asked.push(options);
        return { method: 'PUT', url: `https://store/${at.bucket}/${at.key}`, fields: {}, headers: {}, expiresIn: options.expiresIn };
      },
      download: async (at, options) => {
        asked.push(options);
        return { url: `https://store/${at.bucket}/${at.key}`, expiresIn: options.expiresIn };
      },
    };
    service = new StorageService({ backend: { ...wrapBackend(backend), presign }, defaultBucket: 'main', presignExpires: 900 });
  });

  it('are asked for with what was given, and clamped to a week', async () => {
    const file = { key: 'k', contentType: 'text/plain', size: 5, method: 'POST', acl: 'private', storageClass: 'STANDARD' } as const;
    expect(await service.getPresignedUploadUrl(file)).toMatchObject({ url: 'https://store/main/k', expiresIn: 900 });
    expect(await service.getPresignedUploadUrl({ key: 'k', bucket: 'other', expiresIn: 10_000_000 })).toMatchObject({
      url: 'https://store/other/k',
      expiresIn: 604_800,
    });
    expect(
      await service.getPresignedDownloadUrl({ key: 'k', expiresIn: 1, contentDisposition: 'attachment', contentType: 'a/b' }),
    ).toMatchObject({ expiresIn: 1 });
    expect(await service.getPresignedUploadUrl({ key: 'k', size: 0 })).toMatchObject({ expiresIn: 900 });
    expect(await service.getPresignedDownloadUrl({ key: 'k' })).toMatchObject({ expiresIn: 900 });
    expect(asked).toEqual([
      { contentType: 'text/plain', size: 5, method: 'POST', acl: 'private', storageClass: 'STANDARD', expiresIn: 900 },
      { expiresIn: 604_800 },
      { expiresIn: 1, contentDisposition: 'attachment', contentType: 'a/b' },
      { size: 0, expiresIn: 900 },
      { expiresIn: 900 },
    ]);
  });

  it('are signed for a type without tabs, as uploads are', async () => {
    await service.getPresignedUploadUrl({ key: 'k', contentType: 'text/plain;\tcharset=utf-8' });
    expect(asked).toMatchObject([{ contentType: 'text/plain; charset=utf-8' }]);
  });

  it('are refused for what nobody could upload or send', async () => {
    for (const bad of [
      { expiresIn: 0 },
      { expiresIn: 1.5 },
      { expiresIn: Number.NaN },
      { size: -1 },
      { size: 0.5 },
      { contentType: 'x' },
      { acl: 'x' as 'private' },
      { method: 'DELETE' as 'PUT' },
      { storageClass: 5 as never },
      { contentType: null as never },
    ]) {
      await expect(service.getPresignedUploadUrl({ key: 'k', ...bad })).rejects.toMatchObject({ code: 'invalid_argument' });
    }
    for (const bad of [
      { expiresIn: -1 },
      { contentType: 'x' },
      { contentDisposition: 'a\r\nb: c' },
      { contentDisposition: 'é' },
      { contentDisposition: null as never },
      { method: 'PUT' as 'GET' },
    ]) {
      await expect(service.getPresignedDownloadUrl({ key: 'k', ...bad })).rejects.toMatchObject({ code: 'invalid_argument' });
    }
    await expect(service.getPresignedUploadUrl({ key: '..' })).rejects.toMatchObject({ code: 'invalid_key' });
    expect(asked).toEqual([]);
  });
});
