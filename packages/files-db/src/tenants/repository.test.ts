import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase, TenantRepository } from '../index.ts';
import { codeOf, defaultBucket, openRig, sharedBucket, upload } from '../testing/support.ts';
import type { Rig } from '../testing/support.ts';

describe.each(['embedded', 'debian'] as const)('TenantRepository on PostgreSQL (%s)', (server) => {
  let rig: Rig;
  let count = 0;
  beforeAll(async () => {
    rig = await openRig({ server });
  });
  afterAll(() => rig.close());

  const pair = (name = `t${++count}`): { tenantUuid: string; tenantSlug: string } => ({ tenantUuid: `uuid-${name}`, tenantSlug: name });

  it('registers a claimed tenant on first use, and knows it again', async () => {
    const claimed = pair();
    const first = await rig.tenants.resolve(claimed);
    expect(first).toMatchObject({ ...claimed, buckets: [], quotaBytes: null });
    expect(first.createdAt).toBeInstanceOf(Date);
    expect(await rig.tenants.resolve(claimed)).toEqual(first);
    expect(await rig.tenants.find(claimed.tenantUuid)).toEqual(first);
    expect(await rig.tenants.find(claimed.tenantSlug)).toEqual(first);
  });

  it('registers one tenant when many claim it at once, in several processes', async () => {
    const claimed = pair();
    const databases = [1, 2, 3].map(() => connectDatabase({ url: rig.url, max: 4 }));
    const repositories = databases.map(
      (database) => new TenantRepository({ database, bucketNameFor: () => 'unused-bucket', reservedBuckets: [], cacheSeconds: 0 }),
    );
    const results = await Promise.all(repositories.flatMap((repository) => Array.from({ length: 8 }, () => repository.resolve(claimed))));
    expect(new Set(results.map((tenant) => tenant.tenantUuid))).toEqual(new Set([claimed.tenantUuid]));
    expect(await rig.query(`select 1 from tenants where tenant_uuid = '${claimed.tenantUuid}'`)).toHaveLength(1);
    await Promise.all(databases.map((database) => database.close()));
  });

  it('gives a slug to one of two tenants that claim it at once', async () => {
    const slug = pair().tenantSlug;
    const claims = ['a', 'b', 'c', 'd'].map((tenantUuid) => rig.tenants.resolve({ tenantUuid: `${slug}-${tenantUuid}`, tenantSlug: slug }));
    const results = await Promise.allSettled(claims);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'tenant_mismatch' });
  });

  it('refuses a token that pairs what does not belong together', async () => {
    const [a, b] = [pair(), pair()];
    await rig.tenants.resolve(a);
    await rig.tenants.resolve(b);
    expect(await codeOf(rig.tenants.resolve({ ...a, tenantSlug: b.tenantSlug }))).toBe('tenant_mismatch');
    expect(await codeOf(rig.tenants.resolve({ ...a, tenantSlug: 'never-seen' }))).toBe('tenant_mismatch');
    expect(await codeOf(rig.tenants.resolve({ tenantUuid: 'new-uuid', tenantSlug: a.tenantSlug }))).toBe('tenant_mismatch');
    expect(await codeOf(rig.tenants.find('new-uuid'))).toBe('tenant_not_found');
    expect(await codeOf(rig.tenants.find('never-seen'))).toBe('tenant_not_found');
  });

  it('notes which buckets it has taken from tenants, and no more of those of long ago', async () => {
    const { tenantUuid } = await rig.tenants.resolve(pair());
    const [former, ...names] = ['a', 'b', 'c'].map((end) => `taken-${count}-${end}`);
    for (const name of [former!, ...names]) await rig.tenants.addBucket(tenantUuid, name);
    await rig.tenants.removeBucket(former!);
    await rig.query(`update freed_buckets set freed_at = now() - interval '2 days'`);
    for (const name of names) await rig.tenants.removeBucket(name);
    const noted = names.map((bucket) => ({ bucket, tenant_uuid: tenantUuid }));
    expect(await rig.query('select bucket, tenant_uuid from freed_buckets order by bucket')).toEqual(noted);
  });

  it('does not wait for a former bucket that was freed in the future: the clock of the database was set back', async () => {
    const [former, next] = [pair(), pair()];
    await Promise.all([former, next].map((tenant) => rig.tenants.resolve(tenant)));
    const bucket = await rig.tenants.bucketFor(former);
    await rig.tenants.removeBucket(bucket);
    await rig.query(`update freed_buckets set freed_at = now() + interval '1 hour' where bucket = '${bucket}'`);
    expect(await rig.tenants.addBucket(next.tenantUuid, bucket)).toBe(true);
  });

  it('gives a tenant its former bucket again with objects that other processes put there before they knew, but no older ones', async () => {
    const { database } = rig;
    const bucketNameFor = ({ tenantSlug }: { readonly tenantSlug: string }): string => `${tenantSlug}-former`;
    const tenants = new TenantRepository({ database, bucketNameFor, reservedBuckets: [], holdsObjects: async () => true });
    const claimed = pair();
    const bucket = bucketNameFor(claimed);
    await tenants.resolve(claimed);
    expect(await codeOf(tenants.bucketFor(claimed))).toBe('tenant_conflict');
    await tenants.addBucket(claimed.tenantUuid, bucket);
    await tenants.removeBucket(bucket);
    expect(await tenants.bucketFor(claimed)).toBe(bucket);
    await tenants.removeBucket(bucket);
    await rig.query(`update freed_buckets set freed_at = now() - interval '1 minute' where bucket = '${bucket}'`);
    expect(await codeOf(tenants.bucketFor(claimed))).toBe('tenant_conflict');
  });

  it('keeps bucket and former slugs with a tenant that is renamed', async () => {
    const claimed = pair();
    const bucket = await rig.tenants.bucketFor(claimed);
    expect(bucket).toBe(`${claimed.tenantSlug}-uploads`);
    const renamed = await rig.tenants.update(claimed.tenantSlug, { tenantSlug: `${claimed.tenantSlug}-new` });
    expect(renamed).toMatchObject({ tenantUuid: claimed.tenantUuid, tenantSlug: `${claimed.tenantSlug}-new`, buckets: [bucket] });
    // A token may carry either slug, the header only the current one.
    expect(await rig.tenants.resolve(claimed)).toEqual(renamed);
    expect(await rig.tenants.resolve({ ...claimed, tenantSlug: renamed.tenantSlug })).toEqual(renamed);
    expect(await rig.tenants.bucketFor(claimed)).toBe(bucket);
    expect(await codeOf(rig.tenants.find(claimed.tenantSlug))).toBe('tenant_not_found');
    expect(await codeOf(rig.tenants.resolve({ tenantUuid: 'other', tenantSlug: claimed.tenantSlug }))).toBe('tenant_mismatch');
    expect(await codeOf(rig.tenants.create({ tenantUuid: 'other', tenantSlug: claimed.tenantSlug }))).toBe('tenant_conflict');
    const other = pair();
    await rig.tenants.resolve(other);
    expect(await codeOf(rig.tenants.update(other.tenantUuid, { tenantSlug: claimed.tenantSlug }))).toBe('tenant_conflict');
    expect(await codeOf(rig.tenants.update(other.tenantUuid, { tenantSlug: renamed.tenantSlug }))).toBe('tenant_conflict');
    // Back to a slug of its own.
    expect(await rig.tenants.update(claimed.tenantUuid, { tenantSlug: claimed.tenantSlug })).toMatchObject(claimed);
  });

  it('lets one of two tenants take a new slug that both want', async () => {
    const [a, b] = [pair(), pair()];
    await Promise.all([a, b].map((tenant) => rig.tenants.resolve(tenant)));
    const wanted = { tenantSlug: pair().tenantSlug };
    const codes = await Promise.all([a, b].map(({ tenantUuid }) => codeOf(rig.tenants.update(tenantUuid, wanted))));
    expect(codes.toSorted()).toEqual(['resolved', 'tenant_conflict']);
  });

  it('reports a tenant that it has created as such, whatever others do to it at once', async () => {
    const made = pair();
    await rig.query(`create function rename() returns trigger language plpgsql as $$ begin
      update tenants set tenant_slug = tenant_slug || '-renamed' where tenant_uuid = new.tenant_uuid; return null; end $$`);
    await rig.query('create trigger renaming after insert on tenant_usage for each row execute function rename()');
    try {
      expect(await rig.tenants.create(made)).toMatchObject({ created: true, tenant: { tenantSlug: `${made.tenantSlug}-renamed` } });
      expect(await codeOf(rig.tenants.create(made))).toBe('tenant_conflict');
    } finally {
      await rig.query('drop function rename cascade');
    }
  });

  it('creates a tenant once, and tells a conflict from a repetition', async () => {
    const a = pair();
    const created = await rig.tenants.create({ ...a, quotaBytes: 1000 });
    expect(created).toMatchObject({ created: true, tenant: { ...a, quotaBytes: 1000 } });
    expect(await rig.tenants.create(a)).toEqual({ created: false, tenant: created.tenant });
    expect(await codeOf(rig.tenants.create({ ...a, tenantSlug: 'another' }))).toBe('tenant_conflict');
    expect(await codeOf(rig.tenants.create({ ...a, tenantUuid: 'another' }))).toBe('tenant_conflict');
    const many = pair();
    const results = await Promise.all(Array.from({ length: 10 }, () => rig.tenants.create(many)));
    expect(results.filter((result) => result.created)).toHaveLength(1);
  });

  it('knows a tenant by either spelling of a real UUID', async () => {
    const upper = 'AAAAAAAA-1111-4111-8111-111111111111';
    const lower = upper.toLowerCase();
    const tenantSlug = pair().tenantSlug;
    expect((await rig.tenants.create({ tenantUuid: upper, tenantSlug })).tenant.tenantUuid).toBe(lower);
    expect(await rig.tenants.create({ tenantUuid: lower, tenantSlug })).toMatchObject({ created: false });
    for (const tenantUuid of [upper, lower]) {
      expect(await rig.tenants.resolve({ tenantUuid, tenantSlug })).toMatchObject({ tenantUuid: lower });
      expect(await rig.tenants.find(tenantUuid)).toMatchObject({ tenantUuid: lower });
      expect(await rig.tenants.usage(tenantUuid)).toMatchObject({ quotaBytes: tenantUuid === upper ? null : 1000 });
      expect(await rig.tenants.update(tenantUuid, { quotaBytes: 1000 })).toMatchObject({ tenantUuid: lower });
      expect(await rig.tenants.bucketFor({ tenantUuid, tenantSlug })).toBe(`${tenantSlug}-uploads`);
      const file = await upload(rig, 'x', { tenantContext: { tenantUuid, tenantSlug } });
      expect(file).toMatchObject({ tenantUuid: lower });
      expect(await rig.files.get(file.id, { subject: 'alice', role: 'user', tenant: upper })).toEqual(file);
    }
    const slug = pair('BBBBBBBB-1111-4111-8111-111111111111');
    await rig.tenants.create(slug);
    expect(await rig.tenants.find(slug.tenantSlug)).toMatchObject(slug); // a slug stays as it is written
  });

  describe("gives nobody another tenant's uuid as a slug, or slug as a uuid", () => {
    const refused = async (tenant: { tenantUuid: string; tenantSlug: string }): Promise<void> => {
      expect(await codeOf(rig.tenants.create(tenant))).toBe('tenant_conflict');
      expect(await codeOf(rig.tenants.resolve(tenant))).toBe('tenant_mismatch');
      expect(await codeOf(upload(rig, 'x', { tenantContext: tenant }))).toBe('tenant_mismatch');
      expect(
        await rig.query(`select 1 from tenants where tenant_uuid = '${tenant.tenantUuid}' and tenant_slug = '${tenant.tenantSlug}'`),
      ).toEqual([]);
    };

    it('present and former ones, and those of deleted tenants', async () => {
      const [a, b, gone] = [pair(), pair(), pair()];
      for (const tenant of [a, b, gone]) await rig.tenants.create(tenant);
      const { tenantSlug: present } = await rig.tenants.update(a.tenantUuid, { tenantSlug: `${a.tenantSlug}-present` });
      await rig.tenantService.delete(gone.tenantUuid);
      for (const slug of [present, a.tenantSlug, gone.tenantSlug]) await refused({ ...pair(), tenantUuid: slug });
      for (const uuid of [a.tenantUuid, gone.tenantUuid]) {
        await refused({ ...pair(), tenantSlug: uuid });
        expect(await codeOf(rig.tenants.update(b.tenantUuid, { tenantSlug: uuid }))).toBe('tenant_conflict');
      }
      expect(await rig.tenants.find(present)).toMatchObject({ tenantUuid: a.tenantUuid });
      expect(await rig.tenants.find(b.tenantSlug)).toMatchObject(b);
    });

    it('in another spelling of a real UUID', async () => {
      const upper = 'CCCCCCCC-1111-4111-8111-111111111111';
      await rig.tenants.create({ ...pair(), tenantUuid: upper.toLowerCase() });
      await refused({ ...pair(), tenantSlug: upper });
      const slug = 'DDDDDDDD-1111-4111-8111-11111111111d';
      const other = pair();
      await rig.tenants.create(other);
      await rig.tenants.update(other.tenantUuid, { tenantSlug: slug });
      await refused({ ...pair(), tenantUuid: slug.toLowerCase() });
      for (const spelling of [slug.toLowerCase(), `d${slug.slice(1)}`]) await refused({ ...pair(), tenantSlug: spelling });
      expect(await rig.tenants.find(slug)).toMatchObject({ ...other, tenantSlug: slug });
    });

    it('but allows a tenant its own uuid as its slug', async () => {
      const { tenantSlug: same } = pair();
      await rig.tenants.create({ tenantUuid: same, tenantSlug: same });
      expect(await rig.tenants.resolve({ tenantUuid: same, tenantSlug: same })).toMatchObject({ tenantUuid: same });
      const a = pair();
      await rig.tenants.create(a);
      expect(await rig.tenants.update(a.tenantUuid, { tenantSlug: a.tenantUuid })).toMatchObject({ tenantSlug: a.tenantUuid });
    });

    it('to one of several that come at once', async () => {
      for (let round = 0; round < 10; round++) {
        const [name, renamed] = [pair().tenantSlug, pair()];
        await rig.tenants.create(renamed);
        const codes = await Promise.all([
          codeOf(rig.tenants.resolve({ tenantUuid: name, tenantSlug: `${name}-a` })),
          codeOf(rig.tenants.create({ tenantUuid: `${name}-b`, tenantSlug: name })),
          codeOf(rig.tenants.update(renamed.tenantUuid, { tenantSlug: name })),
          codeOf(rig.tenants.create({ tenantUuid: `${name}-a`, tenantSlug: `${name}-b` })),
        ]);
        expect(codes.slice(0, 3).filter((code) => code === 'resolved')).toHaveLength(1);
        expect(
          await rig.query(
            'select s.slug from tenant_slugs s join tenants t on t.tenant_uuid = s.slug where s.tenant_uuid <> t.tenant_uuid',
          ),
        ).toEqual([]);
      }
    });
  });

  it('sets and clears a quota', async () => {
    const a = pair();
    await rig.tenants.create(a);
    expect(await rig.tenants.update(a.tenantUuid, { quotaBytes: 5 })).toMatchObject({ quotaBytes: 5 });
    expect(await rig.tenants.usage(a.tenantSlug)).toEqual({ bytes: 0, files: 0, quotaBytes: 5 });
    expect(await rig.tenants.update(a.tenantUuid, {})).toMatchObject({ quotaBytes: 5 });
    expect(await rig.tenants.update(a.tenantUuid, { quotaBytes: null })).toMatchObject({ quotaBytes: null });
    for (const quotaBytes of [-1, 1.5, Number.NaN, 2 ** 60]) {
      expect(await codeOf(rig.tenants.update(a.tenantUuid, { quotaBytes }))).toBe('validation_failed');
    }
    expect(await codeOf(rig.tenants.update('unknown', { quotaBytes: 5 }))).toBe('tenant_not_found');
    expect(await codeOf(rig.tenants.usage('unknown'))).toBe('tenant_not_found');
  });

  it('pages through all tenants while others are added', async () => {
    const names = Array.from({ length: 7 }, (_, index) => pair(`page-${index}`));
    await Promise.all(names.map((tenant) => rig.tenants.create(tenant)));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await rig.tenants.list({ limit: 3, cursor });
      seen.push(...page.tenants.map((tenant) => tenant.tenantUuid));
      cursor = page.nextCursor ?? undefined;
      await rig.tenants.create(pair(`aaa-${seen.length}`)); // sorts before what has been read
    } while (cursor !== undefined);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(names.map((tenant) => tenant.tenantUuid)));
    for (const page of [{ limit: 0 }, { limit: 1001 }, { limit: 1.5 }, { cursor: '' }, { cursor: '%%%' }, { cursor: 'AA' }]) {
      expect(await codeOf(rig.tenants.list(page))).toBe('validation_failed');
    }
  });

  it('refuses names that PostgreSQL or a log could not hold', async () => {
    for (const bad of ['', 'a\u0000b', 'a\nb', '\ud800', 'x'.repeat(129), ' a', 'a ', '\u00a0a', 'a\u2028b']) {
      expect(await codeOf(rig.tenants.resolve({ tenantUuid: bad, tenantSlug: 'fine' }))).toBe('validation_failed');
      expect(await codeOf(rig.tenants.create({ tenantUuid: 'fine', tenantSlug: bad }))).toBe('validation_failed');
      expect(await codeOf(rig.tenants.find(bad))).toBe('tenant_not_found');
    }
    const longest = pair('🐘'.repeat(123));
    expect(await rig.tenants.resolve(longest)).toMatchObject(longest);
    const quoted = { tenantUuid: `'; drop table tenants; --`, tenantSlug: '{"}\\🗄️' };
    expect(await rig.tenants.resolve(quoted)).toMatchObject(quoted);
  });

  it('gives no two tenants one bucket, and none a reserved one', async () => {
    const [a, b] = [pair(), pair()];
    await rig.tenants.resolve(a);
    await rig.tenants.resolve(b);
    expect(await codeOf(rig.tenants.addBucket(a.tenantUuid, defaultBucket))).toBe('tenant_conflict');
    expect(await codeOf(rig.tenants.addBucket(a.tenantUuid, sharedBucket))).toBe('tenant_conflict');
    expect(await codeOf(rig.tenants.addBucket(a.tenantUuid, 'Not A Bucket'))).toBe('invalid_bucket_name');
    expect(await rig.tenants.addBucket(a.tenantUuid, `${b.tenantSlug}-uploads`)).toBe(true);
    expect(await rig.tenants.addBucket(a.tenantUuid, `${b.tenantSlug}-uploads`)).toBe(false);
    expect(await codeOf(rig.tenants.addBucket(b.tenantUuid, `${b.tenantSlug}-uploads`))).toBe('tenant_conflict');
    expect(await codeOf(rig.tenants.bucketFor(b))).toBe('tenant_conflict'); // its name by the pattern is taken
    const reserved = new TenantRepository({ database: rig.database, bucketNameFor: () => sharedBucket, reservedBuckets: [sharedBucket] });
    expect(await codeOf(reserved.bucketFor(b))).toBe('tenant_conflict');
    expect(await codeOf(rig.tenants.addBucket('unknown', 'some-bucket'))).toBe('tenant_not_found');
  });

  it('gives no tenant a bucket that holds objects and belongs to nobody, unless it may be adopted', async () => {
    const holds = new Set<string>();
    const tenants = new TenantRepository({
      database: rig.database,
      bucketNameFor: ({ tenantSlug }) => `${tenantSlug}-uploads`,
      reservedBuckets: [],
      holdsObjects: async (bucket) => holds.has(bucket),
    });
    const [a, b, c] = [pair(), pair(), pair()];
    holds.add(`${a.tenantSlug}-uploads`);
    expect(await codeOf(tenants.bucketFor(a))).toBe('tenant_conflict');
    expect((await tenants.find(a.tenantUuid)).buckets).toEqual([]);
    expect(await tenants.bucketFor(a, { adopt: true })).toBe(`${a.tenantSlug}-uploads`);
    expect(await tenants.bucketFor(a)).toBe(`${a.tenantSlug}-uploads`);
    expect(await tenants.bucketFor(b)).toBe(`${b.tenantSlug}-uploads`);
    // The tenant itself stored what it holds, by another, faster request.
    const racing = new TenantRepository({
      database: rig.database,
      bucketNameFor: ({ tenantSlug }) => `${tenantSlug}-uploads`,
      reservedBuckets: [],
      holdsObjects: async () => {
        await tenants.bucketFor(c);
        return true;
      },
    });
    expect(await racing.bucketFor(c)).toBe(`${c.tenantSlug}-uploads`);
  });

  it('gives a tenant whose bucket belongs to nobody the one that another process has just assigned', async () => {
    const repository = new TenantRepository({
      database: rig.database,
      bucketNameFor: () => 'old-data',
      reservedBuckets: [],
      holdsObjects: async () => true,
      cacheSeconds: 60,
    });
    const tenant = pair();
    expect(await codeOf(repository.bucketFor(tenant))).toBe('tenant_conflict'); // now it remembers a tenant without a bucket
    await rig.tenants.addBucket(tenant.tenantUuid, 'new-data');
    expect(await repository.bucketFor(tenant)).toBe('new-data');
  });

  it('keeps the first bucket primary, until it is taken away', async () => {
    const a = pair();
    await rig.tenants.resolve(a);
    const names = [`${a.tenantSlug}-z`, `${a.tenantSlug}-a`, `${a.tenantSlug}-m`].map((name) => `bucket-${name}`);
    for (const name of names) await rig.tenants.addBucket(a.tenantUuid, name);
    expect((await rig.tenants.find(a.tenantUuid)).buckets).toEqual(names);
    expect(await rig.tenants.bucketFor(a)).toBe(names[0]);
    expect(await rig.tenants.ownersOf([...names, 'nobodys'])).toEqual(new Map(names.map((name) => [name, a.tenantUuid])));
    expect(await rig.tenants.ownersOf([])).toEqual(new Map());
    const nobodys = Array.from({ length: 70_000 }, (_, index) => `nobodys-${index}`); // more than a statement has parameters
    expect((await rig.tenants.ownersOf([...nobodys, ...names])).size).toBe(names.length);
    expect(await rig.tenants.ours([...names, 'nobodys', sharedBucket])).toEqual([...names, sharedBucket]);
    expect(await rig.tenants.ours([])).toEqual([]);
    await rig.tenants.removeBucket(names[0]!);
    expect(await rig.tenants.bucketFor(a)).toBe(names[1]);
    expect(await rig.tenants.ownerOf(names[0]!)).toBeUndefined();
  });

  it('gives a tenant one bucket when many uploads begin at once', async () => {
    const a = pair();
    const buckets = await Promise.all(Array.from({ length: 20 }, () => rig.tenants.bucketFor(a)));
    expect(new Set(buckets)).toEqual(new Set([`${a.tenantSlug}-uploads`]));
    expect(await rig.query(`select 1 from tenant_buckets where tenant_uuid = '${a.tenantUuid}'`)).toHaveLength(1);
  });

  it('tells which tenants use most', async () => {
    const a = pair();
    await rig.tenants.create(a);
    await rig.query(`update tenant_usage set used_bytes = 1e12 where tenant_uuid = '${a.tenantUuid}'`);
    expect((await rig.tenants.usageSnapshot(1))[0]).toEqual({ tenant: a.tenantSlug, bytes: 1e12 });
  });
});

it.each(['embedded', 'debian'] as const)('a usage snapshot sums up to what all tenants use (%s)', async (server) => {
  const rig = await openRig({ server });
  const bytes = { a: 50, b: 40, c: 30, other: 20, e: 9_007_199_254_740_000 };
  for (const [name, used] of Object.entries(bytes)) {
    await rig.tenants.create({ tenantUuid: `uuid-${name}`, tenantSlug: name });
    await rig.query(`update tenant_usage set used_bytes = ${used} where tenant_uuid = 'uuid-${name}'`);
  }
  expect(await rig.tenants.usageSnapshot(3)).toEqual([
    { tenant: 'e', bytes: bytes.e },
    { tenant: 'a', bytes: 50 },
    { tenant: 'b', bytes: 40 },
    { tenant: undefined, bytes: 50 },
  ]);
  expect((await rig.tenants.usageSnapshot(4)).at(-1)).toEqual({ tenant: undefined, bytes: 20 });
  await rig.query(`update tenant_usage set used_bytes = 60 where tenant_uuid = 'uuid-other'`);
  expect(await rig.tenants.usageSnapshot(2)).toEqual([
    { tenant: 'e', bytes: bytes.e },
    { tenant: 'other', bytes: 60 },
    { tenant: undefined, bytes: 120 },
  ]);
  expect(await rig.tenants.usageSnapshot(5)).toHaveLength(5);
  await rig.close();
});

describe('TenantRepository', () => {
  it('asks the database once for what many ask at once, and again after its own changes', async () => {
    const rig = await openRig({ cacheSeconds: 60 });
    const claimed = { tenantUuid: 'u', tenantSlug: 'slug' };
    await rig.tenants.bucketFor(claimed);
    await rig.tenants.bucketFor(claimed);
    let statements = 0;
    rig.database.sql.options.debug = () => statements++;
    await Promise.all(Array.from({ length: 50 }, () => rig.tenants.bucketFor(claimed)));
    await Promise.all(Array.from({ length: 50 }, () => rig.tenants.find('u')));
    expect(statements).toBe(1); // `find` has not been asked for this id before
    await rig.tenants.update('u', { tenantSlug: 'renamed', quotaBytes: 7 });
    expect(await rig.tenants.find('u')).toMatchObject({ tenantSlug: 'renamed', quotaBytes: 7 });
    expect(await rig.tenants.resolve(claimed)).toMatchObject({ tenantSlug: 'renamed' });
    await rig.close();
  });

  it('sees what another process changed once its memory has run out', async () => {
    const rig = await openRig({ cacheSeconds: 0.05 });
    const claimed = { tenantUuid: 'u', tenantSlug: 'slug' };
    await rig.tenants.resolve(claimed);
    await rig.query(`update tenant_usage set quota_bytes = 9`);
    await expect.poll(async () => (await rig.tenants.resolve(claimed)).quotaBytes).toBe(9);
    await rig.close();
  });

  it('says that the database is away, and works again when it is back', async () => {
    const rig = await openRig({ cacheSeconds: 0 });
    const claimed = { tenantUuid: 'u', tenantSlug: 'slug' };
    await rig.tenants.resolve(claimed);
    const admin = connectDatabase({ url: new URL('/postgres', rig.url).href });
    const name = new URL(rig.url).pathname.slice(1);
    await admin.sql.unsafe(`alter database ${name} allow_connections false`);
    await admin.sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
    expect(await codeOf(rig.tenants.resolve(claimed))).toBe('storage_unavailable');
    expect(await codeOf(rig.database.check())).toBe('storage_unavailable');
    await admin.sql.unsafe(`alter database ${name} allow_connections true`);
    await expect.poll(() => codeOf(rig.tenants.resolve(claimed))).toBe('resolved');
    await admin.close();
    await rig.close();
  });
});
