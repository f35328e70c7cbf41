import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { runtimeProgram, startS3, testDatabase, UnavailableServerError } from '@coffer/fixtures';
import type { OtherRuntime } from '@coffer/fixtures';
import { describe, expect, it } from 'vitest';

const here = fileURLToPath(new URL('.', import.meta.url));
const fromSource = '--conditions=@coffer/source';

const commands = {
  bun: { run: [fromSource], test: ['test', fromSource, '--timeout=60000'], passed: /^ *(\d+) pass$/m },
  deno: {
    run: ['run', '--allow-all', '--no-check', fromSource],
    test: ['test', '--allow-all', '--no-check', fromSource],
    passed: /passed \((\d+) steps\)/,
  },
} as const;

for (const runtime of ['bun', 'deno'] as const) {
  const program = await ifAvailable(runtime);

  describe.skipIf(program === undefined)(`on ${runtime}`, () => {
    const command = commands[runtime];

    it('passes the conformance suite on the local disk and on Ceph RGW', { timeout: 300_000 }, async () => {
      const s3 = await startS3('ceph');
      const { accessKey, secretKey } = await s3.newUser();
      const env = { S3_ENDPOINT: s3.endpoint, S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey };
      const { code, output } = await run(program!, [...command.test, `${here}conformance.ts`], env);

      expect(code, output).toBe(0);
      expect(Number(command.passed.exec(output)?.[1]), output).toBeGreaterThan(300);
    });

    it('copes with failures of servers and of an earlier process', async () => {
      const { code, output } = await run(program!, [...command.test, `${here}faults.ts`], {});

      expect(code, output).toBe(0);
      expect(Number(command.passed.exec(output)?.[1]), output).toBeGreaterThan(5);
    });

    it('runs an application of @coffer/runtime, with the PostgreSQL and the disk that it brings and with others', async () => {
      const database = await testDatabase();
      const folder = await withBackend('@acme/memory');
      try {
        for (const others of [{}, { DATABASE_URL: database.url, STORAGE_BACKEND: '@acme/memory', STORAGE_AUTO_PROVISION: 'true' }]) {
          const env = { COFFER_DATA_DIR: join(folder, 'data'), STORAGE_ENABLE_MULTI_TENANCY: 'true', ...others };
          const { code, output } = await run(program!, [...command.run, `${here}application.ts`], env, folder);

          expect(code, output).toBe(0);
          expect(output.match(/^available Hello \d+$/gm), output).toHaveLength(20);
          expect(output).toMatch(/^closed$/m);
        }
      } finally {
        await database.drop();
        await rm(folder, { recursive: true });
      }
    });
  });
}

/** A folder in which a third-party backend is installed that is exported for `import` only. */
async function withBackend(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-runtimes-'));
  const installed = join(folder, 'node_modules', name);
  await mkdir(installed, { recursive: true });
  await writeFile(join(installed, 'package.json'), JSON.stringify({ name, exports: { import: './index.mjs' } }));
  const core = JSON.stringify(import.meta.resolve('@coffer/storage-core'));
  const code = `import { memoryBackend } from ${core}; export default { name: 'memory', create: () => memoryBackend() };`;
  await writeFile(join(installed, 'index.mjs'), code);
  return folder;
}

async function ifAvailable(runtime: OtherRuntime): Promise<string | undefined> {
  try {
    return await runtimeProgram(runtime);
  } catch (error) {
    if (!(error instanceof UnavailableServerError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return undefined;
  }
}

async function run(program: string, args: readonly string[], env: Readonly<Record<string, string>>, cwd = here) {
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}
