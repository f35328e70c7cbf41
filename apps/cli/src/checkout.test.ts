import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { putFiles } from './testing/files.ts';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
// Makes Node report an old version of itself; the Node that it starts reports its real one.
const old = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })";
const program = `exports.main = (args) => {
  const kept = setInterval(() => {}, 1000);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => (console.log(signal), clearInterval(kept), (process.exitCode = 130)));
  console.log(process.versions.node, args.join()); // and is ready for signals
  if (args[0] === 'read') process.stdin.on('data', (data) => console.log(String(data))).on('end', () => process.exit(0));
  else if (args[0] !== 'wait') process.exit(3);
};`;

describe('the command line in a checkout', () => {
  let checkout: string;
  const start = (...args: string[]) => startOn(['--import', `data:text/javascript,${encodeURIComponent(old)}`], args);
  const startOn = (flags: readonly string[], args: readonly string[]) => {
    const child = spawn(process.execPath, [...flags, join(checkout, 'apps/cli/bin/coffer.js'), ...args]);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, output })) };
  };

  beforeEach(async () => {
    checkout = await mkdtemp(join(tmpdir(), 'coffer-checkout-'));
    for (const part of ['apps/cli/bin', 'apps/cli/package.json', 'tooling/bootstrap/follow-parent.cjs'])
      await cp(join(repository, part), join(checkout, part), { recursive: true });
    await putFiles(checkout, { '.node-version': '26.10.0\n', 'apps/cli/dist/main.cjs': program });
  });
  afterEach(() => rm(checkout, { recursive: true, force: true }));

  const fetch = async (): Promise<void> => {
    const bin = join(checkout, `.toolchain/node-26.10.0-${process.platform}-${process.arch}/node_modules/node-of-this-platform/bin`);
    await mkdir(bin, { recursive: true });
    await symlink(process.execPath, join(bin, 'node'));
  };

  it('says how to build it', async () => {
    await rm(join(checkout, 'apps/cli/dist'), { recursive: true });
    expect(await startOn([], ['storage', 'list']).ended).toEqual({
      code: 2,
      output: 'usage: coffer is not built yet; "npm start" in the checkout, or "pnpm build", builds it.\n',
    });
  });

  it('names the Node that it needs', async () => {
    expect(await start('storage', 'list').ended).toEqual({
      code: 2,
      output: 'usage: coffer needs Node.js 22.22.1 or newer; this is 20.20.2.\n',
    });
  });

  it('runs on the Node that npm start has fetched, where another is too old', async () => {
    await fetch();
    expect(await start('storage', 'a b').ended).toEqual({ code: 3, output: `${process.versions.node} storage,a b\n` });
  });

  it('passes its stdin on to that Node', async () => {
    await fetch();
    const reading = start('read');
    reading.child.stdin.end('From a pipe');
    expect(await reading.ended).toEqual({ code: 0, output: `${process.versions.node} read\nFrom a pipe\n` });
  });

  it('passes signals on to that Node, and its exit status back', async () => {
    await fetch();
    const stopped = start('wait');
    await once(stopped.child.stdout, 'data');
    stopped.child.kill('SIGINT');
    expect(await stopped.ended).toEqual({ code: 130, output: `${process.versions.node} wait\nSIGINT\n` });

    const killed = start('wait');
    await once(killed.child.stdout, 'data');
    killed.child.kill('SIGKILL');
    expect(await killed.ended).toMatchObject({ output: `${process.versions.node} wait\nSIGTERM\n` });
  });
});
