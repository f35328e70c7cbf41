import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { startPostgres, testDatabase } from '@coffer/fixtures';
import type { PostgresServer } from '@coffer/fixtures';
import { memoryBackend, readAll, StorageService } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { acme, presigning, streamOf, userOf } from './testing/support.ts';
import { connectDatabase, FileService, migrateDatabase, TenantRepository, TenantService } from './index.ts';
import type { Database } from './index.ts';

// PostgreSQL itself counts: the log of a server of its own holds every statement.
describe('statements that reach the database', () => {
  let server: PostgresServer;
  let database: Database;
  let files: FileService;
  let storage: StorageService;
  let tenants: TenantRepository;
  let tenantService: TenantService;
  let log: string;
  const access = userOf(acme, 'alice');

  beforeAll(async () => {
    server = await startPostgres();
    const { url } = await testDatabase({ on: server });
    const settings = connectDatabase({ url });
    const [row] = await settings.sql<{ data_directory: string }[]>`show data_directory`;
    log = join(dirname(row!.data_directory), 'postgres.log');
    await settings.sql.unsafe(`alter system set log_statement = 'all'`);
    await settings.sql`select pg_reload_conf()`;
    await settings.close();
    database = connectDatabase({ url });
    await migrateDatabase(database);
    tenants = new TenantRepository({
      database,
      bucketNameFor: ({ tenantSlug }) => `${tenantSlug}-uploads`,
      reservedBuckets: [],
      cacheSeconds: 3600,
    });
    storage = new StorageService({
      backend: presigning(memoryBackend()),
      autoProvision: true,
      resolveBucket: async ({ bucket, tenant }) => ({ bucket: bucket ?? (await tenants.bucketFor(tenant!)), because: 'tenant_mapping' }),
    });
    files = new FileService({ database, storage, tenants });
    tenantService = new TenantService({ tenants, storage, database });
    await tenants.create({ ...acme, quotaBytes: 10 ** 9 });
    await upload();
  });
  afterAll(async () => {
    await database.close();
    await server.stop();
  });

  const upload = (): ReturnType<FileService['uploadFile']> =>
    files.uploadFile({
      body: streamOf(['x'.repeat(10_240)]),
      filename: 'a.txt',
      contentType: 'text/plain',
      ownerId: 'alice',
      tenantContext: acme,
      sizeHint: 10_600,
    });

  const provision = (): ReturnType<TenantService['provision']> => {
    const bucketNameFor = (): string => 'acme-uploads';
    const fresh = new TenantRepository({ database, bucketNameFor, reservedBuckets: [] });
    return new TenantService({ tenants: fresh, storage, database }).provision(acme.tenantUuid, acme);
  };

  const read = async (opening: ReturnType<FileService['open']>): Promise<void> => {
    const { result } = await opening;
    if (result.kind === 'object') await readAll(result.body);
  };

  let marks = 0;
  /** What the server logged while `work` ran. */
  async function logged(work: () => Promise<unknown>): Promise<readonly string[]> {
    const [before, after] = [`mark ${++marks}`, `mark ${++marks}`];
    await database.sql.unsafe(`/* ${before} */ select 1`);
    await work();
    await database.sql.unsafe(`/* ${after} */ select 1`);
    const text = (): string => readFileSync(log, 'utf8');
    await expect.poll(text).toContain(after);
    const [, between = ''] = text().split(before);
    return between
      .split(after)[0]!
      .split('\n')
      .filter((line) => /LOG: {2}(?:statement|execute)/.test(line))
      .slice(0, -1);
  }

  const cases: readonly (readonly [string, number, () => Promise<unknown>])[] = [
    ['a tracked upload', 2, upload],
    [
      'a tracked upload of an exact size',
      2,
      () => files.uploadFile({ body: 'x'.repeat(10_240), filename: 'a', ownerId: 'alice', tenantContext: acme }),
    ],
    [
      'a request for a presigned upload',
      1,
      () => files.createPresignedUpload({ filename: 'a', contentType: 'text/plain', sizeBytes: 5, ownerId: 'alice', tenantContext: acme }),
    ],
    [
      'some more of them, which came in the same turn of the event loop',
      1,
      async () => {
        const requests: Promise<unknown>[] = [];
        for (const filename of ['a', 'b', 'c']) {
          const file = { filename, contentType: 'text/plain', sizeBytes: 5, ownerId: 'alice', tenantContext: acme };
          requests.push(files.createPresignedUpload(file));
          await new Promise<void>((resolve) => process.nextTick(resolve));
        }
        await Promise.all(requests);
      },
    ],
    ['a list', 1, () => files.list({ access })],
    ['the next page', 1, async () => files.list({ access, limit: 1, cursor: (await firstPage)! })],
    ['a download', 1, async () => read(files.open(await known, {}, access))],
    ['a public download', 1, async () => read(files.openPublic(await known))],
    ['a look at a record', 1, async () => files.get(await known, access)],
    ['a change', 1, async () => files.update(await known, { filename: 'b' }, access)],
    ['finding the tenant and its bucket', 0, async () => [await tenants.resolve(acme), await tenants.bucketFor(acme)]],
    ['a delete', 2, async () => files.delete((await spare).id, access)],
    ['migrations with nothing to do', 1, () => migrateDatabase(database)],
    ['a change of a quota', 3, () => tenants.update(acme.tenantUuid, { quotaBytes: 10 ** 10 })],
    ['what a tenant uses', 1, () => tenants.usage(acme.tenantUuid)],
    ['provisioning of a tenant that nothing is known of, and that has its bucket', 3, () => provision()],
  ];
  let known: Promise<string>;
  let spare: ReturnType<typeof upload>;
  let firstPage: Promise<string | null>;

  it.each(cases)('%s: %i', async (_name, count, work) => {
    known ??= upload()
      .then(({ id }) => files.update(id, { isPublic: true }, access))
      .then(({ id }) => id);
    spare ??= upload();
    await Promise.all([known, spare]);
    firstPage ??= files.list({ access, limit: 1 }).then(({ nextCursor }) => nextCursor);
    await firstPage;
    const statements = await logged(work);
    expect(statements.filter((line) => /begin|commit/i.test(line.slice(0, 80)))).toEqual([]);
    expect(statements).toHaveLength(count);
  });

  it('are shared by uploads of a tenant that come together', async () => {
    const together = async (): Promise<unknown> => Promise.all(Array.from({ length: 20 }, upload));
    expect((await logged(together)).length).toBeLessThan(20);
  });

  it('are prepared: a repeated statement is executed by its name', async () => {
    const first = await logged(async () => void (await upload()));
    const again = await logged(async () => void (await upload()));
    const names = (lines: readonly string[]): readonly (string | undefined)[] => lines.map((line) => /execute (\w+):/.exec(line)?.[1]);
    expect(names(again).every((name) => name !== undefined && name !== '')).toBe(true);
    expect(first).toHaveLength(2);
  });

  it('are four where a bucket is deleted with its tracked files', async () => {
    await upload();
    const statements = await logged(async () => tenantService.deleteBucket('acme-uploads', { force: true }));
    expect(statements).toHaveLength(4);
  });
});
