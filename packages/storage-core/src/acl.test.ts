import { describe, expect, it } from 'vitest';

import { requireAbility } from './ability.ts';
import { aclOf, assertCannedAcl, cannedAcls, isCannedAcl, isPublicRead } from './acl.ts';
import { memoryBackend } from './memory-backend.ts';
import { assertStorageClass, storageClasses } from './storage-class.ts';

const owner = { id: 'o', displayName: 'Owner' };

describe('canned ACLs', () => {
  it('always give the owner full control, and let the world read just the public ones', () => {
    for (const canned of cannedAcls) {
      const { grants } = aclOf(canned, owner);
      expect(grants[0]).toEqual({ grantee: { type: 'CanonicalUser', ...owner }, permission: 'FULL_CONTROL' });
      expect(grants.some(({ grantee, permission }) => grantee.uri?.endsWith('/AllUsers') === true && permission === 'READ')).toBe(
        isPublicRead(canned),
      );
    }
    expect(cannedAcls.filter(isPublicRead)).toEqual(['public-read', 'public-read-write']);
    const group = (name: string): object => ({ type: 'Group', uri: `http://acs.amazonaws.com/groups/global/${name}` });
    expect(aclOf('public-read-write', owner).grants.slice(1)).toEqual([
      { grantee: group('AllUsers'), permission: 'READ' },
      { grantee: group('AllUsers'), permission: 'WRITE' },
    ]);
    expect(aclOf('authenticated-read', owner).grants.slice(1)).toEqual([{ grantee: group('AuthenticatedUsers'), permission: 'READ' }]);
  });

  it.each(['', 'PRIVATE', 'public', 'constructor'])('%j is not a canned ACL', (value) => {
    expect(isCannedAcl(value)).toBe(false);
    expect(() => assertCannedAcl(value)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
  });
});

describe('storage classes', () => {
  it('are the names of S3', () => {
    for (const name of storageClasses) expect(() => assertStorageClass(name)).not.toThrow();
    for (const name of ['', 'standard', 'COLD']) {
      expect(() => assertStorageClass(name)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
    }
  });
});

describe('requireAbility', () => {
  it('gives an ability that is there, and says which one is not', () => {
    const backend = memoryBackend();
    expect(requireAbility(backend, 'buckets')).toBe(backend.buckets);
    expect(() => requireAbility(backend, 'presign')).toThrowError(
      expect.objectContaining({ code: 'not_supported', message: 'The memory backend has no presigned URLs.' }),
    );
    const { acl: _acl, ...without } = { name: 'bare', acl: backend.acl } as { name: string; acl?: unknown };
    expect(() => requireAbility(without as typeof backend, 'acl')).toThrowError(expect.objectContaining({ code: 'acl_not_supported' }));
  });
});
