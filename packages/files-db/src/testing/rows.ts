import type { ReservedFile, SettledFile } from '../file-statements.ts';
import { createIdGenerator } from '../ids.ts';
import { acme } from './support.ts';

const newId = createIdGenerator();

/** A file of acme's to reserve. */
export function reserved(more: Partial<ReservedFile> = {}): ReservedFile {
  return {
    id: newId(),
    ownerId: 'alice',
    filename: 'ä "quoted" \\ name.txt',
    contentType: 'text/plain',
    sizeBytes: 7,
    bucket: 'acme-uploads',
    storageKey: 'files/1',
    uploadKey: null,
    isPublic: true,
    sha256: null,
    metadata: '{"a":{"b":[1,"\\"ü"]}}',
    expiresIn: null,
    tenant: acme.tenantUuid,
    asked: 7,
    least: 7,
    onRecord: false,
    ...more,
  };
}

/** The final state of a reserved file. */
export function settled(id: string, more: Partial<SettledFile> = {}): SettledFile {
  return {
    id,
    sizeBytes: 7,
    contentType: 'image/png',
    etag: 'etag',
    sha256: null,
    storageKey: null,
    ownerId: null,
    isPublic: null,
    metadata: null,
    ...more,
  };
}
