import { assertCannedAcl } from './acl.ts';
import { contentTypeOf, isContentType, withoutTabs } from './content-type.ts';
import { defined } from './defined.ts';
import { isStorageError, storageError } from './errors.ts';
import type { PutOptions } from './object.ts';
import type { StorageServiceOptions, UploadFile } from './service-options.ts';

const maxMetadataBytes = 2048;

type Defaults = Pick<StorageServiceOptions, 'defaultAcl' | 'defaultStorageClass'>;

/** What an upload asks of the backend, including the service's defaults. @throws invalid_argument */
export function putOptionsOf(file: UploadFile, defaults: Defaults): PutOptions {
  const { metadata, ifNoneMatch, ifMatch, sha256, md5 } = file;
  const acl = file.acl ?? defaults.defaultAcl;
  const storageClass = file.storageClass ?? defaults.defaultStorageClass;
  assertText('storageClass', storageClass);
  assertText('ifMatch', ifMatch);
  const contentType = checkedContentType(file.contentType ?? contentTypeOf(file.key));
  if (acl !== undefined) assertCannedAcl(acl);
  if (metadata !== undefined) assertMetadata(metadata);
  assertNoneMatch(ifNoneMatch);
  assertChecksum('sha256', sha256, 64);
  assertChecksum('md5', md5, 32);
  return defined({ contentType, metadata, acl, storageClass, ifNoneMatch, ifMatch, sha256, md5 });
}

/** The error of a write, extended to name a default that the provider may have refused, since the caller did not name it. */
export function nameDefaults(error: unknown, written: Pick<PutOptions, 'acl' | 'storageClass'>, defaults: Defaults): unknown {
  if (!isStorageError(error)) return error;
  const { code, cause } = error;
  const { acl, storageClass } = written;
  const withNote = (what: string): Error => storageError(code, `${error.message} ${what}`, { cause });
  if (code === 'acl_not_supported' && acl !== undefined && acl === defaults.defaultAcl) {
    return withNote(`"${acl}" is the default ACL (STORAGE_DEFAULT_ACL).`);
  }
  const isOfProvider = code === 'invalid_argument' && cause !== undefined;
  if (isOfProvider && storageClass !== undefined && storageClass === defaults.defaultStorageClass) {
    return withNote(`"${storageClass}" is the default storage class (STORAGE_DEFAULT_STORAGE_CLASS).`);
  }
  return error;
}

/** @returns the type as it is sent @throws invalid_argument when a Content-Type header cannot hold `value` */
export function checkedContentType(value: string): string {
  if (!isContentType(value)) throw storageError('invalid_argument', `"${String(value)}" is not a media type.`);
  return withoutTabs(value);
}

/** Some servers take whatever else arrives as text, others do not. @throws invalid_argument */
export function assertText(name: string, value: string | undefined): void {
  if (value !== undefined && typeof value !== 'string') throw storageError('invalid_argument', `${name} must be a string.`);
}

/** Servers treat an ETag here as they like: most of them write. @throws invalid_argument */
export function assertNoneMatch(ifNoneMatch: string | undefined): void {
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') {
    throw storageError('invalid_argument', 'The only ifNoneMatch of a write is "*": write only if there is no such object.');
  }
}

// Accepts what every provider returns unchanged: metadata travels in HTTP headers, whose names have no case and whose values are trimmed.
function assertMetadata(metadata: Readonly<Record<string, string>>): void {
  // The members of other iterables, such as a Map, are not properties of the object itself.
  if (typeof metadata !== 'object' || metadata === null || Symbol.iterator in metadata)
    throw storageError('invalid_argument', 'Metadata must be a plain object; convert a Map or Headers with Object.fromEntries().');
  const entries = Object.entries(metadata);
  // A promise, say, has none: what it was to bring would be lost.
  if (entries.length === 0 && !isPlain(metadata)) throw storageError('invalid_argument', 'Metadata must be a plain object.');
  let size = 0;
  for (const [name, value] of entries) {
    if (!/^[a-z0-9._-]+$/.test(name)) {
      throw storageError('invalid_argument', `Metadata names may contain only a-z, 0-9, "-", "_" and "."; "${name}" is not valid.`);
    }
    if (typeof value !== 'string') throw storageError('invalid_argument', `The metadata "${name}" is not a string.`);
    if (!/^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/.test(value)) {
      throw storageError('invalid_argument', `The metadata "${name}" must be printable ASCII without spaces at either end.`);
    }
    size += name.length + value.length;
  }
  if (size > maxMetadataBytes) throw storageError('invalid_argument', `Metadata must have at most ${maxMetadataBytes} bytes in total.`);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null; // of any realm
}

function assertChecksum(name: string, value: string | undefined, length: number): void {
  if (value !== undefined && !(typeof value === 'string' && value.length === length && /^[0-9a-f]+$/.test(value))) {
    throw storageError('invalid_argument', `A ${name} must be given as ${length} lower-case hex digits.`);
  }
}
