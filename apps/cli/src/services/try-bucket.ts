import { randomBytes } from 'node:crypto';

import { storageError } from '@coffer/storage-core';

import type { Session } from './open-session.ts';
import { monotonicMs } from '../clock.ts';

const size = 1024;

/** Writes, reads and deletes an object with a random name. @throws errors of the storage, after deleting the object */
export async function tryBucket({ storage, ctx }: Session, bucket: string): Promise<string> {
  const at = { bucket, key: `.coffer-check/${randomBytes(8).toString('hex')}` };
  const body = randomBytes(size);
  const since = monotonicMs();
  const writeAndRead = async (): Promise<void> => {
    await storage.uploadFile({ ...at, body, contentType: 'application/octet-stream' }, ctx);
    if (!body.equals(await storage.downloadFile(at, ctx))) {
      throw storageError('checksum_mismatch', 'The bytes that were read differ from those that were written.');
    }
  };
  await andCleanUp(writeAndRead(), () => storage.deleteFile(at)); // without `ctx`, so that it runs after Ctrl-C as well
  return `wrote, read and deleted a ${size} B object in ${Math.round(monotonicMs() - since)} ms`;
}

/** The same in a bucket created for it and deleted afterwards. */
export async function tryNewBucket(session: Session): Promise<string> {
  const { storage, ctx } = session;
  const bucket = `coffer-check-${randomBytes(8).toString('hex')}`;
  await storage.createBucket({ bucket }, ctx);
  return andCleanUp(tryBucket(session, bucket), () => storage.deleteBucket(bucket, { force: true }));
}

/** Whoever may not write is told that, and not that the cleaning up was refused as well. */
async function andCleanUp<T>(trial: Promise<T>, cleanUp: () => Promise<unknown>): Promise<T> {
  const [result] = await Promise.allSettled([trial]);
  if (result.status === 'fulfilled') await cleanUp();
  else await cleanUp().catch(() => {});
  return trial;
}
