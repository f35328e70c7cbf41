import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Cli } from './testing/cli.ts';
import { objectsIn, putFiles, putObjects } from './testing/files.ts';
import { withHangingProvider } from './testing/hanging-provider.ts';
import { openUploads } from './testing/open-uploads.ts';
import { describeStores, localBench } from './testing/stores.ts';

describeStores('a process', (bench, store) => {
  it('that is stopped while it uploads leaves whole objects, nothing half, and one document', async () => {
    const { folder, bucket, env, storage, start } = bench();
    await putFiles(folder, { 'tree/large': '', ...Object.fromEntries(Array.from({ length: 300 }, (_, id) => [`tree/${id}`, 'small'])) });
    await truncate(join(folder, 'tree/large'), 2 ** 32); // uploading it takes longer than stopping
    const running = start(['upload', 'tree', '-r', '--concurrency', '2', '--json']);
    await once(running.child.stdout!, 'data'); // an upload is complete
    running.child.kill('SIGINT');
    const ended = await running.ended;
    expect(ended).toMatchObject({ code: 130, stderr: 'interrupted: Stopped by SIGINT.\n' });
    expect(ended.json).toMatchObject({ failed: [], error: { code: 'interrupted' } });
    const objects = await objectsIn(storage, bucket);
    for (const { key } of ended.json.uploaded as { key: string }[]) expect(objects).toHaveProperty([key]);
    for (const [key, text] of Object.entries(objects)) expect([key, text]).toEqual([expect.not.stringContaining('large'), 'small']);
    // Its uploads at the provider are aborted.
    if (store !== 'local') expect(await openUploads(env, bucket)).toEqual([]);
  });

  it.for([
    { args: ['upload', 'tree', '-r', '--prefix', 'to'], past: 'uploaded' },
    { args: ['copy', 'from', 'to', '-r'], past: 'copied' },
    { args: ['move', 'from', 'to', '-r'], past: 'moved' },
    { args: ['delete', 'from', '-r', '--confirm'], past: 'deleted' },
  ])('that is stopped reports all that it has $past', async ({ args, past }) => {
    const { folder, storage, bucket, start } = bench();
    const names = Array.from({ length: 600 }, (_, id) => String(id));
    if (past === 'uploaded') await putFiles(folder, Object.fromEntries(names.map((name) => [`tree/${name}`, 'small'])));
    else await putObjects(storage, Object.fromEntries(names.map((name) => [`from/${name}`, 'small'])));
    const running = start([...args, '--concurrency', '20', '--json']);
    await once(running.child.stdout!, 'data'); // an object is complete
    running.child.kill('SIGINT');
    const { json } = await running.ended;
    const keys = Object.keys(await objectsIn(storage, bucket));
    const told: readonly string[] = past === 'deleted' ? json.keys : json[past].map(({ key }: { key: string }) => key);
    const gone = names.map((name) => `from/${name}`).filter((key) => !keys.includes(key));
    expect(told.toSorted()).toEqual((past === 'deleted' ? gone : keys.filter((key) => key.startsWith('to/'))).toSorted());
    if (past === 'moved') expect(gone.toSorted()).toEqual(told.map((key) => key.replace('to/', 'from/')).toSorted());
  });

  it('that is stopped says how much it has done, and that it is not all', async () => {
    const { folder, start } = bench();
    await putFiles(folder, { 'tree/large': '', 'tree/small': 'small' });
    await truncate(join(folder, 'tree/large'), 2 ** 32); // uploading it takes longer than stopping
    const running = start(['upload', 'tree', '-r']);
    await once(running.child.stdout!, 'data'); // an upload is complete
    running.child.kill('SIGINT');
    const { code, stdout } = await running.ended;
    expect(code).toBe(130);
    expect(stdout).toMatch(/^uploaded tree\/small -> \S+\/small\nuploaded 1 object \(5 B\) in \S+ s, then stopped\n$/);
  });

  it('collects garbage last of all, so that V8 compiles to the end and Node does not wait for it for ever', async () => {
    const { folder, bucket, cli, env } = bench();
    const hook = join(folder, 'hook.mjs');
    await writeFile(
      hook,
      `import { GCProfiler } from 'node:v8';

Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300); // who ends at once does without
const profiler = new GCProfiler();
process.once('exit', () => profiler.start());
const end = process.reallyExit;
process.reallyExit = (code) => {
  const kinds = profiler.stop().statistics.map(({ gcType }) => gcType);
  console.error(kinds.includes('MarkSweepCompact') ? 'collected' : 'not collected');
  end.call(process, code);
};
`,
    );
    const options = { cwd: folder, env: { ...env, NODE_OPTIONS: `--import=${pathToFileURL(hook).href}` } };
    expect(await cli.run(['storage', 'list', '--bucket', bucket], options)).toMatchObject({ code: 0, stderr: 'collected\n' });
    expect(await cli.run(['storage', 'buckets', 'info', 'no-such-bucket'], options)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^no_such_bucket: .*\ncollected\n$/),
    });
    const quick = join(folder, 'quick.mjs');
    await writeFile(quick, `performance.now = () => 100;\nglobalThis.moved = Buffer.alloc(32 * 2 ** 20);\n`);
    const nodeOptions = `${options.env.NODE_OPTIONS} --import=${pathToFileURL(quick).href}`;
    expect(
      await cli.run(['storage', 'list', '--bucket', bucket], { cwd: folder, env: { ...env, NODE_OPTIONS: nodeOptions } }),
      'has moved much in little time',
    ).toMatchObject({ code: 0, stderr: 'collected\n' });
    // As where /proc is missing, or no descriptor is left to read it.
    await writeFile(quick, `performance.now = () => 100;\nprocess.memoryUsage = () => {\n  throw new Error('EMFILE');\n};\n`);
    expect(
      await cli.run(['storage', 'list', '--bucket', bucket], { cwd: folder, env: { ...env, NODE_OPTIONS: nodeOptions } }),
      'cannot tell what it has moved',
    ).toMatchObject({ code: 0, stderr: 'collected\n' });
  });

  it('whose reader goes away ends without an error', async () => {
    const { storage, start } = bench();
    await putObjects(
      storage,
      Object.fromEntries(Array.from({ length: 200 }, (_, id) => [`some-long-name-of-an-object/${'x'.repeat(200)}/${id}`, ''])),
    );
    const { child } = start(['list']);
    child.stdout?.destroy();
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
  });

  it('that is stopped does not wait for a reader that does not read', async () => {
    const { folder, start } = bench();
    await putFiles(folder, Object.fromEntries(Array.from({ length: 2000 }, (_, id) => [`tree/${'x'.repeat(200)}-${id}`, ''])));
    for (const json of [[], ['--json']]) {
      const { child, ended } = start(['upload', 'tree', '-r', '--dry-run', ...json]);
      const exit = once(child, 'exit');
      await once(child.stdout!, 'data');
      child.stdout!.pause();
      await delay(500); // so that it most likely waits for its reader
      child.kill('SIGINT');
      expect(await exit).toEqual([130, null]);
      child.stdout!.resume();
      expect((await ended).stderr).toBe('interrupted: Stopped by SIGINT.\n');
    }
  });

  it('whose reader goes away while many tasks wait for it prints nothing about that', async () => {
    const { folder, start } = bench();
    await putFiles(folder, Object.fromEntries(Array.from({ length: 2000 }, (_, id) => [`tree/${'x'.repeat(200)}-${id}`, ''])));
    for (const json of [[], ['--json']]) {
      const { child, ended } = start(['upload', 'tree', '-r', '--dry-run', ...json]);
      child.stdout?.destroy();
      expect(await ended).toMatchObject({ code: 0, stderr: '' });
    }
  });

  it.runIf(existsSync('/dev/full'))('whose results cannot be written does its work, and reports that', async () => {
    const { folder, storage, bucket, cli, env } = bench();
    await putFiles(folder, { 'tree/a': 'a', 'tree/b': 'b' });
    const stdout = openSync('/dev/full', 'w');
    try {
      for (const json of [[], ['--json']]) {
        const { ended } = cli.start(['storage', 'upload', 'tree', '-r', ...json], { cwd: folder, env, stdout });
        expect(await ended).toMatchObject({ code: 1, stderr: 'disk_full: stdout: The disk is full.\n' });
      }
      expect(await objectsIn(storage, bucket)).toEqual({ a: 'a', b: 'b' });
    } finally {
      closeSync(stdout);
    }
  });

  it('fails a file that changes while it is read, and leaves no object of it', async () => {
    const { folder, bucket, storage, start } = bench();
    await mkdir(join(folder, 'tree'));
    const path = join(folder, 'tree/changing');
    await writeFile(path, randomBytes(120_000_000));
    const running = start(['upload', 'tree', '-r', '--json']);
    let isOver = false;
    void running.ended.then(() => (isOver = true));
    for (let second = 1_600_000_000; !isOver; second++) {
      await utimes(path, second, second);
      await delay(1);
    }
    const ended = await running.ended;
    expect(ended.json).toMatchObject({ uploaded: [], failed: [{ path: 'tree/changing', code: 'file_changed' }] });
    expect(ended.code).toBe(1);
    expect(await objectsIn(storage, bucket)).toEqual({});
  });
});

describe('a process whose provider does not answer', () => {
  let bench: Awaited<ReturnType<typeof localBench>>;
  beforeAll(async () => {
    bench = await localBench(await Cli.build());
  });
  afterAll(() => bench.close());

  it.each<[NodeJS.Signals[], ...number[]]>([
    [['SIGINT'], 130],
    [['SIGTERM'], 143],
    [['SIGHUP'], 129],
    [['SIGINT', 'SIGTERM'], 143, 130], // the second ends it at once; the system may deliver them in either order
  ])('ends on %j', async (signals, ...codes) => {
    await withHangingProvider(async (env, connected) => {
      const { child, ended } = bench.start(['copy', 'a', 'b'], env);
      await connected;
      for (const signal of signals) child.kill(signal);
      const { code, stderr } = await ended;
      expect(codes).toContain(code);
      expect(stderr).toBe(signals.length > 1 ? '' : `interrupted: Stopped by ${signals[0]}.\n`);
    });
  });
});
