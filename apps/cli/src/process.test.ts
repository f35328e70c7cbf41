import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import { expect, it } from 'vitest';

import { objectsIn, putFiles, putObjects, randomFile } from './testing/files.ts';
import { openUploads } from './testing/open-uploads.ts';
import { describeStores } from './testing/stores.ts';

describeStores('a process', (bench, store) => {
  it('that is stopped while it uploads leaves whole objects, nothing half, and one document', async () => {
    const { folder, bucket, env, storage, start } = bench();
    await putFiles(folder, { 'tree/large': '', ...Object.fromEntries(Array.from({ length: 300 }, (_, id) => [`tree/${id}`, 'small'])) });
    await truncate(join(folder, 'tree/large'), 2 ** 32); // takes longer than it takes to stop it
    const running = start(['upload', 'tree', '-r', '--concurrency', '2', '--json']);
    await once(running.child.stdout!, 'data'); // something is up
    running.child.kill('SIGINT');
    const ended = await running.ended;
    expect(ended).toMatchObject({ code: 130, stderr: 'interrupted: Stopped by SIGINT.\n' });
    expect(ended.json).toMatchObject({ failed: [], error: { code: 'interrupted' } });
    const objects = await objectsIn(storage, bucket);
    for (const { key } of ended.json.uploaded as { key: string }[]) expect(objects).toHaveProperty([key]);
    for (const [key, text] of Object.entries(objects)) expect([key, text]).toEqual([expect.not.stringContaining('large'), 'small']);
    // What it had open at the provider is closed.
    if (store !== 'local') expect(await openUploads(env, bucket)).toEqual([]);
  });

  it('that has moved bytes lets go of its memory last of all, so that V8 compiles to the end and Node does not wait for it for ever', async () => {
    const { folder, bucket, cli, env } = bench();
    const hook = join(folder, 'hook.mjs');
    await writeFile(
      hook,
      `const wait = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
wait(300); // who ends at once does without
const bytes = 64 * 2 ** 20;
const held = () => process.memoryUsage().arrayBuffers;
let before = 0;
process.once('exit', () => (before = held(), void new ArrayBuffer(bytes)));
const end = process.reallyExit;
process.reallyExit = (code) => {
  for (let look = 0; look < 100 && held() >= before + bytes; look++) wait(20); // sweeping takes a moment
  console.error(held() < before + bytes ? 'let go' : 'held');
  end.call(process, code);
};
`,
    );
    const options = { cwd: folder, env: { ...env, NODE_OPTIONS: `--import=${pathToFileURL(hook).href}` } };
    await putFiles(folder, { large: '' });
    await truncate(join(folder, 'large'), 40 * 2 ** 20);
    expect(await cli.run(['storage', 'upload', 'large', '--bucket', bucket, '--quiet'], options)).toMatchObject({
      code: 0,
      stderr: 'let go\n',
    });
  });

  it('whose reader goes away ends in peace', async () => {
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
      await delay(500); // so that it most likely waits
      child.kill('SIGINT');
      expect(await exit).toEqual([130, null]);
      child.stdout!.resume();
      expect((await ended).stderr).toBe('interrupted: Stopped by SIGINT.\n');
    }
  });

  it('whose reader goes away while many wait for it says nothing of that', async () => {
    const { folder, start } = bench();
    await putFiles(folder, Object.fromEntries(Array.from({ length: 2000 }, (_, id) => [`tree/${'x'.repeat(200)}-${id}`, ''])));
    for (const json of [[], ['--json']]) {
      const { child, ended } = start(['upload', 'tree', '-r', '--dry-run', ...json]);
      child.stdout?.destroy();
      expect(await ended).toMatchObject({ code: 0, stderr: '' });
    }
  });

  it.runIf(existsSync('/dev/full'))('whose results cannot be written does its work, and says so', async () => {
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
    await writeFile(path, randomFile(120_000_000));
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
