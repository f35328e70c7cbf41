import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

import { testDatabase } from '@coffer/fixtures';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type * as driver from './driver.ts';

describe('the driver in the published package', () => {
  let folder: string;
  let database: Awaited<ReturnType<typeof testDatabase>>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-driver-'));
    database = await testDatabase();
    await promisify(execFile)(process.execPath, [join(import.meta.dirname, '../../scripts/bundle-driver.ts'), folder]);
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await database.drop();
  });

  // In the folder there is no postgres.js that could be imported instead.
  it('is all of postgres.js, with the patch', async () => {
    const postgres = await load('database/driver.js');
    const sql = postgres(database.url, { max: 1 });

    const first = sql`select pg_sleep(0.1), 'first' as answer`.execute();
    const impossible = sql`select ${undefined as unknown as string}`.execute();
    const second = sql`select 'second' as answer`.execute();
    await expect(impossible).rejects.toMatchObject({ code: 'UNDEFINED_VALUE' });
    expect([(await first)[0]?.['answer'], (await second)[0]?.['answer']]).toEqual(['first', 'second']); // misplaced without the patch
    await sql.end();
  });

  it('names its errors as postgres.js does in a bundle of an application, which renames the classes', async () => {
    await build({
      entryPoints: [join(folder, 'database/driver.js')],
      outfile: join(folder, 'application.js'),
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'node',
    });
    const postgres = await load('application.js');
    const sql = postgres(database.url, { max: 1 });

    const error: unknown = await sql`select 1 / 0`.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'PostgresError', code: '22012' });
    expect(error).toBeInstanceOf(sql.PostgresError); // README.md
    await sql.end();
  });

  async function load(path: string): Promise<typeof driver.postgres> {
    const { postgres } = (await import(pathToFileURL(join(folder, path)).href)) as typeof driver;
    return postgres;
  }
});
