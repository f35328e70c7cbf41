import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { startS3 } from '@coffer/fixtures';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { accountOn, startOn } from './testing/server.ts';
import type { StartedStore } from './testing/server.ts';

const folder = new URL('..', import.meta.url);

/** Runs code in a process of its own. @returns the expensive modules that it loaded in any way */
async function expensiveModulesOf(code: string, env: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  const script = `
    import { registerHooks } from 'node:module';
    const loaded: string[] = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    const { s3Backend } = await import('@coffer/backend-s3');
    ${code}
    // What Node has loaded of its own: fetch, and TLS where nobody speaks it, would cost as much again.
    loaded.push(...(process as unknown as { moduleLoadList: string[] }).moduleLoadList.filter((name) => /undici|_tls_wrap/.test(name)));
    console.log(JSON.stringify(loaded.filter((name) => /@(?:aws-sdk|smithy)[/+]|NativeModule/.test(name))));
  `;
  const args = ['--conditions=@coffer/source', '--input-type=module-typescript', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, env: { ...process.env, ...env } });
  return JSON.parse(stdout) as readonly string[];
}

describe('the AWS SDK', () => {
  let account: Awaited<ReturnType<typeof accountOn>>;
  let started: StartedStore;
  beforeAll(async () => {
    account = await accountOn(await startS3('ceph'));
    started = await startOn(account);
  });
  afterAll(async () => {
    await started.backend.close();
    await started.stop();
  });

  /** Wraps code that uses `backend`. */
  const onServer = (code: string): string => `
    const { noContext } = await import('@coffer/storage-core');
    const { S3_ENDPOINT: endpoint, S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey, S3_BUCKET: bucket = '' } = process.env;
    const backend = s3Backend({ endpoint, accessKey, secretKey } as Parameters<typeof s3Backend>[0]);
    ${code}
    await backend.close();
  `;
  const environment = (): Readonly<Record<string, string>> => {
    const { endpoint, accessKey = '', secretKey = '' } = account;
    return { S3_ENDPOINT: endpoint, S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey, S3_BUCKET: started.bucket };
  };

  it('is not loaded for a backend that is only made', async () => {
    expect(
      await expensiveModulesOf("await s3Backend({ endpoint: 'http://127.0.0.1:9', accessKey: 'who', secretKey: 'secret' }).close();"),
    ).toEqual([]);
  });

  it('is not loaded by frequent calls', async () => {
    const code = `
      const at = { bucket, key: 'some key' };
      const options = { contentType: 'text/plain' };
      await backend.check(noContext);
      await backend.put(at, { kind: 'buffer', data: Buffer.from('x') }, options, noContext);
      const large = { ...at, key: 'large' };
      await backend.put(large, { kind: 'buffer', data: Buffer.alloc(9_000_000) }, options, noContext);
      const result = await backend.get(at, {}, noContext);
      if (result.kind === 'object') for await (const _chunk of result.body);
      await backend.pull?.(large, { range: { start: 5 } }, () => {}, noContext);
      await backend.head(at, noContext);
      await backend.head({ bucket, key: 'none' }, noContext).catch(() => {});
      await backend.list(bucket, {}, noContext);
      await backend.presign?.download(at, { expiresIn: 60 }, noContext);
      await backend.batchDelete?.deleteMany(bucket, ['large'], noContext);
      await backend.copy(at, { ...at, key: 'another' }, {}, noContext);
      await backend.copy(at, at, {}, noContext);
      await backend.delete({ ...at, key: 'another' }, noContext);
      await backend.delete(at, noContext);
    `;
    expect(await expensiveModulesOf(onServer(code), environment())).toEqual([]);
  });

  it('is not loaded by infrequent calls, nor by a probe', async () => {
    const code = `
      const other = 'loading-' + Math.random().toString(36).slice(2);
      await backend.buckets?.create(other, {}, noContext);
      await backend.buckets?.provision?.(other, { corsOrigins: ['*'] }, noContext);
      await backend.buckets?.head(other, noContext);
      await backend.buckets?.list(noContext);
      await backend.versioning?.setVersioning(other, true, noContext);
      await backend.versioning?.getVersioning(other, noContext);
      await backend.lifecycle?.setLifecycle(other, [{ id: 'a', prefix: '', expireDays: 1 }], noContext);
      await backend.lifecycle?.getLifecycle(other, noContext);
      await backend.lifecycle?.deleteLifecycle(other, noContext);
      await backend.put({ bucket: other, key: 'public' }, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain', acl: 'public-read' }, noContext);
      await backend.acl?.setObjectAcl({ bucket: other, key: 'public' }, 'private', noContext);
      await backend.acl?.setBucketAcl(other, 'public-read', noContext);
      await backend.presign?.upload({ bucket: other, key: 'x' }, { expiresIn: 60 }, noContext);
      await backend.maintenance?.sweep({ olderThan: 1e9, dryRun: true }, noContext);
      await backend.buckets?.delete(other, { force: true }, noContext);
    `;
    expect(await expensiveModulesOf(onServer(code), environment())).toEqual([]);
  });

  it('is loaded where it is chosen', async () => {
    const options = "{ endpoint: 'http://127.0.0.1:9', accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport: 'sdk' }";
    const code = `await s3Backend(${options}).buckets?.list({}).catch(() => {});`;
    expect(await expensiveModulesOf(code)).toContainEqual(expect.stringContaining('client-s3'));
  });
});
