import { assertCannedAcl } from './acl.ts';
import type { PresignDownloadOptions, PresignUploadOptions } from './backend.ts';
import { defined } from './defined.ts';
import { storageError } from './errors.ts';
import { assertContentDisposition } from './content-disposition.ts';
import { assertText, checkedContentType } from './put-options.ts';
import type { PresignDownload, PresignUpload } from './service-options.ts';

// The maximum of SigV4, in seconds: no backend is asked for more.
const maxExpiry = 604_800;

/** @throws invalid_argument */
export function presignUploadOptionsOf(file: PresignUpload, defaultExpiry: number | undefined): PresignUploadOptions {
  const { size, method, acl, storageClass } = file;
  assertMethod(method, ['POST', 'PUT']);
  if (acl !== undefined) assertCannedAcl(acl);
  assertText('storageClass', storageClass);
  const contentType = file.contentType === undefined ? undefined : checkedContentType(file.contentType);
  if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0)) {
    throw storageError('invalid_argument', 'The size of an upload must be a whole number of bytes.');
  }
  return defined({ contentType, size, method, acl, storageClass, expiresIn: expiryOf(file.expiresIn ?? defaultExpiry) });
}

/** @throws invalid_argument */
export function presignDownloadOptionsOf(file: PresignDownload, defaultExpiry: number | undefined): PresignDownloadOptions {
  const { contentDisposition, method } = file;
  assertMethod(method, ['GET', 'HEAD']);
  const contentType = file.contentType === undefined ? undefined : checkedContentType(file.contentType);
  if (contentDisposition !== undefined) assertContentDisposition(contentDisposition);
  return defined({ contentDisposition, contentType, method, expiresIn: expiryOf(file.expiresIn ?? defaultExpiry) });
}

/** A backend would sign another method in its place. */
function assertMethod(method: string | undefined, known: readonly string[]): void {
  if (method !== undefined && !known.includes(method)) throw storageError('invalid_argument', `The method must be ${known.join(' or ')}.`);
}

function expiryOf(seconds = 3600): number {
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw storageError('invalid_argument', 'An expiry must be a whole number of seconds, at least 1.');
  }
  return Math.min(seconds, maxExpiry);
}
