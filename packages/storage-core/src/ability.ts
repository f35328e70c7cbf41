import type { StorageBackend } from './backend.ts';
import { storageError } from './errors.ts';

/** An optional member of `StorageBackend` that holds the operations of one ability. */
type Ability = 'acl' | 'batchDelete' | 'buckets' | 'presign' | 'versioning' | 'lifecycle' | 'maintenance';

const names: Readonly<Record<Ability, string>> = {
  acl: 'access control lists',
  batchDelete: 'batch deletes',
  buckets: 'bucket administration',
  presign: 'presigned URLs',
  versioning: 'versioning',
  lifecycle: 'lifecycle rules',
  maintenance: 'sweeps',
};

/** The operations of an ability. @throws not_supported (acl_not_supported for ACLs) when the backend lacks it; never a silent success */
export function requireAbility<A extends Ability>(backend: StorageBackend, ability: A): NonNullable<StorageBackend[A]> {
  const operations = backend[ability];
  if (operations === undefined) {
    const code = ability === 'acl' ? 'acl_not_supported' : 'not_supported';
    throw storageError(code, `The ${backend.name} backend has no ${names[ability]}.`);
  }
  return operations;
}
