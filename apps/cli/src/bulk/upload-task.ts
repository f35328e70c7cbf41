import { stat } from 'node:fs/promises';
import { basename } from 'node:path';

import { assertObjectKey, contentTypeOf, defaultContentType, hasCode } from '@coffer/storage-core';
import type { CannedAcl, ObjectInfo } from '@coffer/storage-core';

import type { Session } from '../services/open-session.ts';
import { hasBytesOf } from './checksums.ts';
import { LocalFile, streamAbove } from './local-file.ts';
import type { PlannedUpload } from './plan-uploads.ts';
import { releaseBuffer } from './read-buffers.ts';
import type { Outcome, Running, Task } from './task.ts';
import type { Transfer } from './transfer.ts';

export interface UploadSettings {
  readonly session: Session;
  readonly bucket: string;
  readonly acl?: CannedAcl | undefined;
  readonly storageClass?: string | undefined;
  /** Default: by the extension of the key or the file. */
  readonly contentType?: string | undefined;
  /** Skip files whose object has the same size and bytes, as far as its ETag or checksum tells. */
  readonly update: boolean;
}

export function uploadTask(planned: PlannedUpload, settings: UploadSettings): Task<Transfer> {
  const { path, key } = planned;
  const { bucket } = settings;
  return {
    subject: { path },
    async preview() {
      assertObjectKey(key);
      if (!settings.update) return [{ key, bucket, path, size: (await stat(path)).size }];
      const file = await LocalFile.open(path);
      try {
        return (await isCurrent(file, planned, settings)) ? [] : [{ key, bucket, path, size: file.size }];
      } finally {
        await file.close();
      }
    },
    async run(running) {
      const file = await LocalFile.open(path);
      try {
        if (settings.update && (await isCurrent(file, planned, settings))) return { done: [], skipped: 1 };
        return done(path, await send(file, planned, settings, running));
      } finally {
        await file.close();
      }
    },
  };
}

async function send(file: LocalFile, { path, key }: PlannedUpload, settings: UploadSettings, running: Running): Promise<ObjectInfo> {
  const { session, bucket, acl, storageClass, contentType = typeOf(key, path) } = settings;
  const options = { bucket, key, acl, storageClass, contentType };
  running.sized(file.size);
  if (file.size > streamAbove) {
    const body = file.body((bytes) => running.moved(bytes));
    return session.storage.uploadFile({ ...options, body, size: file.size }, session.ctx);
  }
  const bytes = await file.readAll();
  const info = await session.storage.uploadFile({ ...options, body: bytes }, session.shortCtx);
  releaseBuffer(bytes);
  running.moved(file.size);
  return info;
}

/** The extension of the key decides; without one, the extension of the file does. */
function typeOf(key: string, path: string): string | undefined {
  if (contentTypeOf(key) !== defaultContentType) return undefined;
  return contentTypeOf(basename(path));
}

async function isCurrent(file: LocalFile, { path, key }: PlannedUpload, { session, bucket }: UploadSettings): Promise<boolean> {
  try {
    const info = await session.storage.getFileInfo({ bucket, key }, session.ctx);
    return info.size === file.size && (await hasBytesOf(path, info, session.ctx.signal));
  } catch (error) {
    if (hasCode(error, 'file_not_found')) return false;
    throw error;
  }
}

function done(path: string, { key, bucket, size, etag }: ObjectInfo): Outcome<Transfer> {
  return { done: [{ key, bucket, path, size, etag }] };
}
