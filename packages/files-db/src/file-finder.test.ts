import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { accessParameters } from './file-access.ts';
import type { FileAccess } from './file-access.ts';
import { FileFinder } from './file-finder.ts';
import { findFile } from './file-statements.ts';
import { acme, admin, globex, openRig, upload, userOf } from './testing/support.ts';
import type { Rig } from './testing/support.ts';

const nobodys = '01900000-0000-7000-8000-000000000000';

describe('files that are sought together', () => {
  let rig: Rig;
  let ids: readonly string[];
  const accesses: readonly FileAccess[] = [
    admin,
    { ...admin, tenant: globex.tenantUuid },
    { subject: 'robot', role: 'service', tenant: acme.tenantUuid },
    userOf(acme, 'alice'),
    userOf(acme, 'bob'),
    userOf(globex, 'alice'),
    userOf(undefined, 'alice'),
    userOf(acme, `' or "true" {subject} \\`),
  ];

  beforeAll(async () => {
    rig = await openRig();
    for (const tenant of [acme, globex]) await rig.tenants.create(tenant);
    const files = await Promise.all([
      upload(rig, 'own', { tenantContext: acme, ownerId: 'alice', metadata: { a: ['ü', null] } }),
      upload(rig, 'public', { tenantContext: acme, ownerId: 'alice', isPublic: true, filename: 'ä "b".txt' }),
      upload(rig, 'other', { tenantContext: globex, ownerId: 'alice' }),
      upload(rig, 'none', { ownerId: 'alice' }),
      upload(rig, 'gone', { tenantContext: acme, ownerId: 'alice' }),
    ]);
    ids = [...files.map(({ id }) => id), nobodys];
    await rig.files.delete(ids[4]!, admin);
  });
  afterAll(() => rig.close());

  const sought = () => accesses.flatMap((access) => ids.map((id) => ({ id, ...accessParameters(access) })));

  it('are the same that each request finds alone, whoever asks', async () => {
    const finder = new FileFinder(rig.database.sql);
    const alone = [];
    for (const each of sought()) alone.push((await findFile(rig.database.sql, each))[0]);
    expect(alone.filter((row) => row !== undefined).length).toBeGreaterThan(accesses.length);
    const together = await Promise.all(sought().map((each) => finder.find(each)));
    expect(together.map((row) => row && { ...row, place: undefined })).toEqual(alone.map((row) => row && { ...row, place: undefined }));
    const twice = { id: ids[0]!, ...accessParameters(admin) };
    expect((await Promise.all([twice, twice].map((each) => finder.find(each)))).map((row) => row?.id)).toEqual([ids[0], ids[0]]);
  });

  it('are found by one statement for many of them', async () => {
    const counted = { statements: 0 };
    const sql = new Proxy(rig.database.sql, {
      apply: (target, self, given) => (counted.statements++, Reflect.apply(target, self, given)),
    });
    const finder = new FileFinder(sql);
    const all = Array.from({ length: 150 }, () => ({ id: ids[0]!, ...accessParameters(admin) }));
    expect((await Promise.all(all.map((each) => finder.find(each)))).every((row) => row?.id === ids[0])).toBe(true);
    expect(counted.statements).toBe(3);
  });

  it('do not fail because another one does', async () => {
    const finder = new FileFinder(rig.database.sql);
    const access = accessParameters(admin);
    const [good, bad, other] = await Promise.allSettled([
      finder.find({ id: ids[0]!, ...access }),
      finder.find({ id: ids[1]!, ...access, subject: '\0' }),
      finder.find({ id: ids[2]!, ...access }),
    ]);
    expect([good, bad.status, other]).toMatchObject([{ value: { id: ids[0] } }, 'rejected', { value: { id: ids[2] } }]);
  });
});
