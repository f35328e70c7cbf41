import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { npmReason } from './provision.mjs';

let dir = '';
let tarball = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'coffer-provision-'));
  mkdirSync(join(dir, 'pack/package'), { recursive: true });
  writeFileSync(join(dir, 'pack/package/package.json'), '{"name":"tool","version":"1.0.0"}');
  writeFileSync(join(dir, 'pack/package/tool'), 'a tool');
  tarball = join(dir, 'tool-1.0.0.tgz');
  expect(spawnSync('tar', ['-czf', tarball, '-C', join(dir, 'pack'), 'package']).status).toBe(0);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Provisions in a process of its own, under the lock, as the bootstrap does; each `finish` adds a line to a log. */
async function provision(name: string, specs: readonly string[], { registry = 'http://127.0.0.1:9', before = '' } = {}) {
  const url = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
  const script = `
    import { appendFileSync } from 'node:fs';
    import { withLock } from ${url('lock.mjs')};
    import { provision } from ${url('provision.mjs')};
    import { Supervisor } from ${url('supervisor.mjs')};
    const dir = ${JSON.stringify(join(dir, name))};
    const finish = async () => appendFileSync(dir + '.log', 'finished\\n');
    const tool = { label: 'Tool 1.0.0', dir, file: 'node_modules/tool/tool', specs: ${JSON.stringify(specs)}, finish };
    ${before}
    await withLock(dir + '.lock', () => provision(tool, { supervisor: new Supervisor(), env: process.env, settings: dir + '.npmrc' })).catch((error) => {
      console.error(error.message, error.advice);
      process.exitCode = 1;
    });`;
  const env = {
    ...process.env,
    npm_config_registry: registry,
    npm_config_fetch_retries: '0',
    npm_config_cache: join(dir, 'cache'),
  };
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (text) => (errors += String(text)));
  const [code] = await once(child, 'close');
  return { code: Number(code), errors };
}

describe('provisioning a tool', () => {
  it('fetches it once however many processes ask for it at once, and leaves nothing aside', async () => {
    const runs = await Promise.all([1, 2, 3].map(() => provision('at-once', [tarball])));
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(runs.filter(({ errors }) => errors.includes('fetching'))).toHaveLength(1);
    expect(readFileSync(join(dir, 'at-once.log'), 'utf8')).toBe('finished\n');
    expect(readFileSync(join(dir, 'at-once/node_modules/tool/tool'), 'utf8')).toBe('a tool');
    expect(readdirSync(dir).filter((name) => name.startsWith('at-once'))).toEqual(['at-once', 'at-once.log']);
  });

  it('replaces what a killed run left behind', async () => {
    mkdirSync(join(dir, 'again.part-1'), { recursive: true });
    mkdirSync(join(dir, 'again/node_modules'), { recursive: true });
    expect(await provision('again', [tarball])).toMatchObject({ code: 0 });
    expect(existsSync(join(dir, 'again/node_modules/tool/tool'))).toBe(true);
    expect(existsSync(join(dir, 'again.part-1'))).toBe(false);
  });

  it('replaces one whose bytes a power loss took', async () => {
    mkdirSync(join(dir, 'torn/node_modules/tool'), { recursive: true });
    writeFileSync(join(dir, 'torn/node_modules/tool/tool'), '');
    expect(await provision('torn', [tarball])).toMatchObject({ code: 0 });
    expect(readFileSync(join(dir, 'torn/node_modules/tool/tool'), 'utf8')).toBe('a tool');
  });

  it('has its bytes on the disk before it gets its name', async () => {
    const before = `
      const { default: fs } = await import('node:fs');
      for (const name of ['fsyncSync', 'renameSync']) {
        const call = fs[name];
        fs[name] = (first, ...rest) => {
          console.error(name, String(typeof first === 'number' ? fs.fstatSync(first).size : first.startsWith(dir)));
          call(first, ...rest);
        };
      }
      (await import('node:module')).syncBuiltinESMExports();`;
    const { errors } = await provision('durable', [tarball], { before });
    expect(errors.match(/^(?:fsync|rename)Sync .*$/gm)).toEqual([`fsyncSync ${'a tool'.length}`, 'renameSync true']);
  });

  it.each([
    ['EPERM', 0],
    ['EIO', 1],
  ])('needs no sync where the system has none, but a disk that takes the bytes: %s', async (code, expected) => {
    const before = `
      const fs = (await import('node:fs')).default;
      const { syncBuiltinESMExports } = await import('node:module');
      fs.fsyncSync = () => { throw Object.assign(new Error('${code}: fsync'), { code: '${code}' }); };
      syncBuiltinESMExports();`;
    expect(await provision(`unsynced-${code}`, [tarball], { before })).toMatchObject({ code: expected });
    expect(existsSync(join(dir, `unsynced-${code}`))).toBe(expected === 0);
  });

  it('takes none that npm could not unpack on a full disk, and says so', async () => {
    const npm = join(dir, 'npm-cli.js');
    writeFileSync(
      npm,
      `const { mkdirSync, writeFileSync } = require('node:fs');
      mkdirSync('node_modules/tool', { recursive: true });
      writeFileSync('node_modules/tool/tool', 'half');
      console.error('npm warn tar TAR_ENTRY_ERROR ENOSPC: no space left on device, write');`,
    );
    const before = `process.env.npm_execpath = ${JSON.stringify(npm)};`;
    const { code, errors } = await provision('full', [tarball], { before });
    expect(code).toBe(1);
    expect(errors).toContain('Tool 1.0.0 from the npm registry: ENOSPC: no space left on device, write. Free some disk space\n');
    expect(readdirSync(dir).filter((name) => name.startsWith('full'))).toEqual([]);
  });

  it("gives npm's reason where npm failed, and not that of a file whose folder npm removed while it was still unpacking", async () => {
    const npm = join(dir, 'npm-cli.js');
    writeFileSync(
      npm,
      `console.error("npm warn tar TAR_ENTRY_ERROR ENOENT: no such file or directory, open '/part/node_modules/tool/tool'");
      console.error('npm error code ECONNRESET\\nnpm error network aborted');
      process.exitCode = 1;`,
    );
    const before = `process.env.npm_execpath = ${JSON.stringify(npm)};`;
    const { code, errors } = await provision('cut', [tarball], { before });
    expect(code).toBe(1);
    expect(errors).toContain('Tool 1.0.0 from the npm registry: ECONNRESET, aborted. Check the network or proxy\n');
  });

  it('leaves alone what the npm of a killed run is still writing', async () => {
    mkdirSync(join(dir, 'busy.part-1'), { recursive: true });
    const before = `
      const { default: fs } = await import('node:fs');
      const { rmSync } = fs;
      fs.rmSync = (path, options) => {
        if (path.endsWith('.part-1')) throw Object.assign(new Error('ENOTEMPTY: directory not empty'), { code: 'ENOTEMPTY' });
        rmSync(path, options);
      };
      (await import('node:module')).syncBuiltinESMExports();`;
    expect(await provision('busy', [tarball], { before })).toMatchObject({ code: 0 });
    expect(existsSync(join(dir, 'busy/node_modules/tool/tool'))).toBe(true);
  });

  it('sends the registry the token in the .npmrc of the checkout, and keeps no copy', async () => {
    const shown: (string | undefined)[] = [];
    const registry = createServer((request, response) => {
      const { port } = registry.address() as AddressInfo;
      shown.push(request.headers.authorization);
      if (request.url?.endsWith('.tgz')) return response.end(readFileSync(tarball));
      const dist = { tarball: `http://127.0.0.1:${port}/tool-1.0.0.tgz` };
      return response.end(JSON.stringify({ name: 'tool', versions: { '1.0.0': { name: 'tool', version: '1.0.0', dist } } }));
    });
    await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
    const { port } = registry.address() as AddressInfo;
    writeFileSync(join(dir, 'private.npmrc'), `//127.0.0.1:${port}/:_authToken=secret\n`);
    expect(await provision('private', ['tool@1.0.0'], { registry: `http://127.0.0.1:${port}/` })).toMatchObject({ code: 0 });
    registry.close();
    expect(new Set(shown)).toEqual(new Set(['Bearer secret']));
    expect(existsSync(join(dir, 'private/node_modules/tool/tool'))).toBe(true);
    expect(existsSync(join(dir, 'private/.npmrc'))).toBe(false);
  });

  it('says in one sentence that the registry cannot be reached', async () => {
    const { code, errors } = await provision('unreachable', ['tool@1.0.0', tarball]);
    expect(code).toBe(1);
    expect(errors).toContain('Coffer could not download Tool 1.0.0 from the npm registry: connect ECONNREFUSED 127.0.0.1:9.');
    expect(existsSync(join(dir, 'unreachable'))).toBe(false);
  });
});

describe("npm's reason", () => {
  it('is found in what npm prints', () => {
    expect(
      npmReason(
        'npm error code ECONNREFUSED\nnpm error syscall connect\nnpm error errno -111\nnpm error FetchError: request to http://h/x failed, reason: connect ECONNREFUSED h',
      ),
    ).toBe('connect ECONNREFUSED h');
    expect(npmReason('npm error code ENOSPC\nnpm error nospc ENOSPC: no space left on device, write')).toBe(
      'ENOSPC: no space left on device, write',
    );
    expect(
      npmReason('npm error code ETARGET\nnpm error notarget No matching version found for x@9.\nnpm error notarget In most cases'),
    ).toBe('ETARGET, No matching version found for x@9');
    expect(npmReason('sh: npm: not found\n')).toBe('sh: npm: not found');
    expect(npmReason('')).toBe('npm gave no reason');
  });
});
