import assert from 'node:assert/strict';

import { requireAbility } from '../ability.ts';
import { cannedAcls } from '../acl.ts';
import type { Acl } from '../acl.ts';
import type { AclOperations } from '../backend.ts';
import { noContext } from '../context.ts';
import { assertRejects, missingBucket, newBucketName } from './harness.ts';
import type { Subject, Suite } from './harness.ts';

const groups: Readonly<Record<string, readonly string[]>> = {
  private: [],
  'public-read': ['AllUsers READ'],
  'public-read-write': ['AllUsers READ', 'AllUsers WRITE'],
  'authenticated-read': ['AuthenticatedUsers READ'],
};

/** What an ACL grants to groups; asserts that the owner keeps full control. */
export function groupGrants(acl: Acl): string[] {
  const { id } = acl.owner;
  assert.ok(
    acl.grants.some(({ grantee, permission }) => grantee.type === 'CanonicalUser' && grantee.id === id && permission === 'FULL_CONTROL'),
    'the owner has full control',
  );
  return acl.grants
    .filter(({ grantee }) => grantee.type === 'Group')
    .map(({ grantee, permission }) => `${grantee.uri?.split('/').at(-1) ?? ''} ${permission}`)
    .sort();
}

function aclsOf({ backend }: Subject): AclOperations {
  return requireAbility(backend, 'acl');
}

export function acl(suite: Suite): void {
  const { options, describe, test } = suite;
  describe('access control lists', () => {
    if (options.abilities.acl) {
      objectAcls(suite);
      if (options.abilities.buckets) bucketAcls(suite);
      return;
    }
    test('refuses an ACL on a write rather than ignoring it', async (t) => {
      await t.put(t.at('from'), 'x');
      await assertRejects(t.put(t.at('to'), 'x', { acl: 'public-read' }), 'acl_not_supported');
      await assertRejects(t.backend.copy(t.at('from'), t.at('to'), { acl: 'public-read' }, noContext), 'acl_not_supported');
      await t.assertAbsent(t.at('to'));
      await t.put(t.at('private'), 'x', { acl: 'private' });
    });
  });
}

function objectAcls({ options, test }: Suite): void {
  const known = cannedAcls.filter((canned) => options.refusedAcls?.includes(canned) !== true);

  test('makes an object private unless told otherwise', async (t) => {
    await t.put(t.at('object'), 'x');
    assert.deepEqual(groupGrants(await aclsOf(t).getObjectAcl(t.at('object'), noContext)), []);
  });

  test('takes every canned ACL with the bytes and later', async (t) => {
    const acls = aclsOf(t);
    for (const canned of known) {
      await t.put(t.at(canned), canned, { acl: canned });
      const written = await acls.getObjectAcl(t.at(canned), noContext);
      await acls.setObjectAcl(t.at(canned), 'private', noContext);
      assert.deepEqual(groupGrants(await acls.getObjectAcl(t.at(canned), noContext)), []);
      const set = await acls.setObjectAcl(t.at(canned), canned, noContext);
      assert.deepEqual(groupGrants(set), groupGrants(written), canned);
      assert.deepEqual(groupGrants(await acls.getObjectAcl(t.at(canned), noContext)), groupGrants(written), canned);
      if (groups[canned] !== undefined) assert.deepEqual(groupGrants(written), groups[canned], canned);
      await t.assertHolds(t.at(canned), canned);
    }
    for (const canned of options.refusedAcls ?? []) {
      await assertRejects(t.put(t.at('refused'), 'x', { acl: canned }), 'invalid_argument');
      await t.assertAbsent(t.at('refused'));
    }
  });

  test('keeps all else of an object when its ACL changes', async (t) => {
    const before = await t.put(t.at('object'), 'x', { contentType: 'text/plain', metadata: { a: 'b' } });
    await aclsOf(t).setObjectAcl(t.at('object'), 'public-read', noContext);
    const after = await t.head(t.at('object'));
    assert.deepEqual([after.etag, after.contentType, { ...after.metadata }], [before.etag, 'text/plain', { a: 'b' }]);
  });

  test('forgets the ACL of an object that is written anew', async (t) => {
    await t.put(t.at('object'), 'x', { acl: 'public-read' });
    await t.put(t.at('object'), 'y');
    assert.deepEqual(groupGrants(await aclsOf(t).getObjectAcl(t.at('object'), noContext)), []);
  });

  test('carries the ACL over to a copy, unless another is asked for', async (t) => {
    const acls = aclsOf(t);
    await t.put(t.at('from'), 'x', { acl: 'public-read' });
    await t.backend.copy(t.at('from'), t.at('same'), {}, noContext);
    assert.deepEqual(groupGrants(await acls.getObjectAcl(t.at('same'), noContext)), groups['public-read']);
    await t.backend.copy(t.at('from'), t.at('other'), { acl: 'authenticated-read' }, noContext);
    assert.deepEqual(groupGrants(await acls.getObjectAcl(t.at('other'), noContext)), groups['authenticated-read']);
    await t.backend.copy(t.at('from'), t.at('private'), { acl: 'private' }, noContext);
    assert.deepEqual(groupGrants(await acls.getObjectAcl(t.at('private'), noContext)), []);
    await t.backend.copy(t.at('from'), t.at('from'), {}, noContext);
    assert.deepEqual(groupGrants(await acls.getObjectAcl(t.at('from'), noContext)), groups['public-read'], 'over itself');
    await t.backend.copy(t.at('from'), t.at('from'), { acl: 'private' }, noContext);
    assert.deepEqual(groupGrants(await acls.getObjectAcl(t.at('from'), noContext)), []);
    await t.assertHolds(t.at('from'), 'x');
  });

  test('rejects the ACL of what is not there', async (t) => {
    await assertRejects(aclsOf(t).getObjectAcl(t.at('none'), noContext), 'file_not_found');
    await assertRejects(aclsOf(t).setObjectAcl(t.at('none'), 'private', noContext), 'file_not_found');
    await assertRejects(aclsOf(t).getObjectAcl({ bucket: missingBucket, key: 'x' }, noContext), 'no_such_bucket');
    await t.assertAbsent(t.at('none'));
  });
}

function bucketAcls({ test }: Suite): void {
  test('keeps the ACL of a bucket', async (t) => {
    const acls = aclsOf(t);
    const buckets = requireAbility(t.backend, 'buckets');
    const [plain, open] = [newBucketName(), newBucketName()];
    await buckets.create(plain, {}, noContext);
    await buckets.create(open, { acl: 'public-read' }, noContext);
    try {
      assert.deepEqual(groupGrants(await acls.getBucketAcl(plain, noContext)), []);
      assert.deepEqual(groupGrants(await acls.getBucketAcl(open, noContext)), groups['public-read']);
      assert.deepEqual(groupGrants(await acls.setBucketAcl(plain, 'authenticated-read', noContext)), groups['authenticated-read']);
      assert.deepEqual(groupGrants(await acls.getBucketAcl(plain, noContext)), groups['authenticated-read']);
      await t.put({ bucket: open, key: 'x' }, 'x');
      assert.deepEqual(groupGrants(await acls.getObjectAcl({ bucket: open, key: 'x' }, noContext)), [], 'objects have their own ACL');
    } finally {
      for (const bucket of [plain, open]) await buckets.delete(bucket, { force: true }, noContext);
    }
  });

  test('rejects the ACL of a bucket that is not there', async (t) => {
    await assertRejects(aclsOf(t).getBucketAcl(missingBucket, noContext), 'no_such_bucket');
    await assertRejects(aclsOf(t).setBucketAcl(missingBucket, 'private', noContext), 'no_such_bucket');
  });
}
