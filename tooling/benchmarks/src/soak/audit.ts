import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';

import { ListBucketsCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';

import { cofferBin } from '../cli/contenders.ts';
import { listFiles, readFile } from './file-works.ts';
import { readObject } from './object-works.ts';
import { versionNamed } from './scene.ts';
import type { Scene, Tenant } from './scene.ts';
import { Slot } from './slot.ts';
import type { Subject } from './subject.ts';

export interface Goal {
  readonly what: string;
  readonly value: number;
  readonly max: number;
  readonly examples?: readonly string[];
}

export interface AuditInput {
  readonly subject: Subject;
  readonly scene: Scene;
  /** Talks to the store directly. */
  readonly client: S3Client;
  /** Uploads that may have succeeded although the client got no answer. */
  readonly unacknowledged: number;
}

/** Reads everything once more, sweeps leftovers as if a day had passed, and then compares rows with objects. Ends the API. */
export async function audit({ subject, scene, client, unacknowledged }: AuditInput): Promise<readonly Goal[]> {
  const expectNone = (what: string, examples: readonly string[]): Goal => ({ what, value: examples.length, max: 0, examples });
  const wrong: string[] = [];
  const unknown: string[] = [];
  for (const tenant of scene.tenants) {
    const listed = await listFiles(scene, tenant, 1000);
    unknown.push(...listed.filter(({ id }) => !tenant.files.has(id)).map(({ id }) => id));
    const files = listed.map(({ id, filename }) => tenant.files.get(id) ?? new Slot(id, versionNamed(filename)));
    const ids = new Set(listed.map(({ id }) => id));
    for (const slot of tenant.files.values()) if (!ids.has(slot.name) && !slot.mayBe('absent')) wrong.push(`${slot.name} is not listed`);
    for (const slot of files) await readFile(scene, tenant, slot).catch((error: Error) => wrong.push(error.message));
    for (const slot of tenant.objects) await readObject(scene, tenant, slot).catch((error: Error) => wrong.push(error.message));
  }

  const { sql } = subject;
  await sql`update files set sweep_at = sweep_at - interval '1 day', leased_until = leased_until - interval '1 day', expires_at = expires_at - interval '1 day'`;
  await sweep(subject);
  const { objects: leftoverObjects, files: leftoverFiles } = JSON.parse(await sweep(subject, '--dry-run')) as {
    readonly objects: Counts;
    readonly files: Counts;
  };
  const leftovers = Object.entries({ ...leftoverObjects, ...leftoverFiles }).filter(([, count]) => count > 0);

  const { rows, objects, uploads, totals } = await inventory(subject, scene, client);
  const unfinished = rows.filter(({ status }) => status !== 'available');
  const { Buckets: buckets = [] } = await client.send(new ListBucketsCommand());
  await subject.stop();
  const entries = await readdir(subject.environment.COFFER_DATA_DIR, { recursive: true, withFileTypes: true });
  const remainingFiles = entries.filter((entry) => entry.isFile());
  return [
    expectNone('files and objects that are other at the end', wrong),
    { what: 'files whose upload nobody heard the answer of', value: unknown.length, max: unacknowledged, examples: unknown },
    expectNone('left by the sweep', leftovers.map(String)),
    expectNone(
      'rows that are not of a file',
      unfinished.map((row) => JSON.stringify(row)),
    ),
    expectNone('rows without their object', missing(rows, objects)),
    expectNone('objects without their row', missing(objects, rows)),
    expectNone('open multipart uploads', uploads),
    expectNone('tenants whose usage is another than the sum of their files', totals),
    expectNone(
      'buckets of trials',
      buckets
        .filter(({ Name = '' }) => Name.startsWith('coffer-probe'))
        .map(({ Name, CreationDate }) => `${Name} of ${CreationDate?.toISOString()}`),
    ),
    expectNone(
      'files in the data directory',
      remainingFiles.map(({ name }) => name),
    ),
  ];
}

type Counts = Readonly<Record<string, number>>;

async function sweep({ environment }: Subject, ...options: readonly string[]): Promise<string> {
  const args = [cofferBin, 'storage', 'sweep', '--older-than', '0', '--json', ...options];
  const ended = promisify(execFile)(process.execPath, args, { env: { ...process.env, ...environment } });
  return (await ended.catch((error: Error & { readonly stdout: string }) => error)).stdout; // what it could not sweep is found below
}

interface Stored {
  readonly key: string;
  readonly size: number;
  readonly status?: string;
}

function missing(expected: readonly Stored[], actual: readonly Stored[]): readonly string[] {
  const actualNames = new Set(actual.map(({ key, size }) => `${key} ${size}`));
  return expected.map(({ key, size }) => `${key} ${size}`).filter((each) => !actualNames.has(each));
}

/** What the database and the store hold, each queried directly. */
async function inventory(subject: Subject, scene: Scene, client: S3Client) {
  const { sql } = subject;
  const rows = await sql<Stored[]>`select storage_key as key, size_bytes::float8 as size, status from files`;
  const objects: Stored[] = [];
  const uploads: string[] = [];
  const totals: string[] = [];
  for (const tenant of scene.tenants) {
    const bucket = subject.bucketOf(tenant.tenant_slug);
    const isRaw = ({ key }: Stored): boolean => tenant.objects.some((slot) => slot.name === key);
    objects.push(...(await bucket.newObjects()).filter((object) => !isRaw(object)));
    const open = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket.name }));
    uploads.push(...(open.Uploads ?? []).map(({ Key = '' }) => Key));
    totals.push(...(await usageMismatches(sql, scene, tenant)));
  }
  return { rows, objects, uploads, totals };
}

/** Disagreements between the database, the usage and the list of files. */
async function usageMismatches(sql: Subject['sql'], scene: Scene, tenant: Tenant): Promise<readonly string[]> {
  const files = await listFiles(scene, tenant, 1000);
  const sum = files.reduce((total, file) => total + file.size_bytes, 0);
  const usage = JSON.parse((await scene.call('admin', tenant, `admin/tenants/${tenant.tenant_uuid}/usage`, [200])).text) as Counts;
  const [row] = await sql<{ bytes: number; files: number; reserved: number }[]>`
    select used_bytes::float8 as bytes, used_files::float8 as files, reserved_bytes::float8 as reserved
    from tenant_usage where tenant_uuid = ${tenant.tenant_uuid}`;
  const actual = [usage['bytes'], usage['files'], row?.bytes, row?.files, row?.reserved];
  const expected = [sum, files.length, sum, files.length, 0];
  return actual.join() === expected.join() ? [] : [`${tenant.tenant_slug}: ${actual.join(', ')} instead of ${expected.join(', ')}`];
}
