import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { loadBackend } from './backends.ts';
import { ConfigError } from './config-error.ts';
import { parseConfig } from './config.ts';
import type { Env } from './env-reader.ts';

describe('loadBackend', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'coffer-backends-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const load = (env: Env): ReturnType<typeof loadBackend> =>
    loadBackend(parseConfig({ COFFER_DATA_DIR: join(dir, 'data'), STORAGE_BUCKET: 'acme', ...env }), {
      publicUrl: 'http://127.0.0.1:1',
      secret: async () => Buffer.from('s'.repeat(32)),
    });

  async function moduleOf(text: string): Promise<string> {
    const path = join(dir, 'backend.mjs');
    await writeFile(path, text);
    return path;
  }

  it('has the local one', async () => {
    const { backend, local } = await load({});
    expect(backend.name).toBe('local');
    expect(local).toBe(backend);
    // Root's PostgreSQL runs as another user, who has to get through.
    expect((await stat(join(dir, 'data'))).mode & 0o777).toBe(process.getuid?.() === 0 ? 0o711 : 0o700);
    await backend.close();
  });

  it.each(['s3', 'minio'])('has %s, set up by the STORAGE_S3_ variables', async (STORAGE_BACKEND) => {
    const { backend } = await load({
      STORAGE_BACKEND,
      STORAGE_S3_ENDPOINT: 'http://127.0.0.1:9',
      STORAGE_S3_PUBLIC_ENDPOINT: 'https://files.example.com/',
      STORAGE_S3_ACCESS_KEY: 'who',
      STORAGE_S3_SECRET_KEY: 'secret',
      STORAGE_MAX_RETRIES: '0',
    });
    try {
      expect(backend.name).toBe(STORAGE_BACKEND);
      await expect(backend.check({})).rejects.toMatchObject({ code: 'storage_unavailable' });
      const link = await backend.presign?.download({ bucket: 'acme', key: 'a/b' }, { expiresIn: 60 }, {});
      expect(link?.url).toMatch(/^https:\/\/files\.example\.com\/acme\/a\/b\?.*Credential=who%2F/);
    } finally {
      await backend.close();
    }
  });

  it('loads a third-party one and hands it the configuration', async () => {
    const STORAGE_BACKEND = await moduleOf(`
      const work = async () => { throw new Error('unused'); };
      export default { name: 'acme', create: (options) => ({ name: 'acme', options,
        check: work, put: work, get: work, head: work, delete: work, copy: work, list: work, close: async () => {} }) };`);
    const { backend, local } = await load({ STORAGE_BACKEND, STORAGE_ACME_POOL: 'hot', STORAGE_S3_REGION: 'eu-1' });
    expect(local).toBeUndefined();
    expect(backend).toMatchObject({
      name: 'acme',
      options: {
        dataDir: join(dir, 'data'),
        publicUrl: 'http://127.0.0.1:1',
        storage: { region: 'eu-1', extra: { STORAGE_ACME_POOL: 'hot' } },
      },
    });
  });

  it('finds a package of the working directory that only has an "import" export, or was compiled to CommonJS, and says when what it needs is absent', async () => {
    const backend = `const work = async () => {};
      export default { name: 'esm', create: () => Object.fromEntries(
        ['check', 'put', 'get', 'head', 'delete', 'copy', 'list', 'close'].map((name) => [name, work]).concat([['name', 'esm']])) };`;
    for (const [name, text] of [
      ['esm', backend],
      ['half', `import '@acme/never-installed';\n${backend}`],
    ] as const) {
      const folder = join(dir, 'node_modules/@acme', name);
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'package.json'), JSON.stringify({ name: `@acme/${name}`, exports: { import: './backend.mjs' } }));
      await writeFile(join(folder, 'backend.mjs'), text);
    }
    const common = join(dir, 'node_modules/@acme/common');
    await mkdir(common, { recursive: true });
    await writeFile(join(common, 'package.json'), JSON.stringify({ name: '@acme/common', main: './backend.js' }));
    const compiled = backend.replace('export default', `Object.defineProperty(exports, '__esModule', { value: true }); exports.default =`);
    await writeFile(join(common, 'backend.js'), compiled);
    const source = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
    const script = `
      import { loadBackend } from ${source('./backends.ts')};
      import { parseConfig } from ${source('./config.ts')};
      for (const STORAGE_BACKEND of ['@acme/esm', '@acme/common', '@acme/half', '@acme/never-installed'])
        await loadBackend(parseConfig({ STORAGE_BACKEND }), { publicUrl: 'http://127.0.0.1:1' })
          .then(({ backend }) => backend.name, (error) => error.message)
          .then(console.log);`;
    // In a separate process: the test runner resolves modules itself, and the working directory belongs to the whole process.
    const args = ['--conditions=@coffer/source', '--input-type=module', '--eval', script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: dir });
    const lines = stdout
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('The configuration'));
    expect(lines.slice(0, 2)).toEqual(['esm', 'esm']);
    expect(stdout).toMatch(/does not load: .*@acme\/never-installed/);
    expect(stdout.match(/names neither a backend/g)).toHaveLength(1);
  });

  it('tells apart a module that is not installed, one that is broken, and one that is not a backend', async () => {
    const failure = async (STORAGE_BACKEND: string): Promise<string> => {
      const error: unknown = await load({ STORAGE_BACKEND }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ConfigError);
      return (error as ConfigError).mistakes.map(({ variable, message }) => `${variable}: ${message}`).join('\n');
    };
    expect(await failure('@acme/never-installed')).toMatch(/^STORAGE_BACKEND: names neither a backend .* nor a module that is installed/);
    expect(await failure('constructor')).toMatch(/nor a module that is installed/);
    expect(await failure(join(dir, 'absent.mjs'))).toMatch(/nor a module that is installed|does not load/);
    expect(await failure(await moduleOf(`throw new Error('no licence');`))).toMatch(/does not load: no licence/);
    await writeFile(join(dir, 'named.mjs'), 'export const name = 1;');
    expect(await failure(join(dir, 'named.mjs'))).toMatch(/default export .* must be \{ name, create\(options\) \}/);
    await writeFile(join(dir, 'half.mjs'), `export default { name: 'half', create: () => ({ name: 'half', put() {}, close() {} }) };`);
    expect(await failure(join(dir, 'half.mjs'))).toMatch(/is not a backend: it lacks check, get, head, delete, copy, list/);
    await writeFile(join(dir, 'throws.mjs'), `export default { name: 'x', create() { throw new Error('no pool'); } };`);
    expect(await failure(join(dir, 'throws.mjs'))).toMatch(/could not create its backend: no pool/);
  });
});
