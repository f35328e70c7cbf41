import { once } from 'node:events';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createStorage, parseConfig } from '@coffer/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Cli } from './testing/cli.ts';
import { hasTerminal, screenOf, Terminal } from './testing/terminal.ts';

describe('screenOf', () => {
  it('shows what remains after overwriting and erasing', () => {
    expect(screenOf('1/9\r2/9\u001b[K\r\u001b[Kdone\r\nnext\u001b[31m red\u001b[39m\r\n')).toBe('done\nnext red\n');
    expect(screenOf('question? \u001b[12Gyes\u001b[2K\u001b[Gquestion? Yes')).toBe('question? Yes');
  });
});

describe.skipIf(!hasTerminal)('in a terminal', () => {
  let cli: Cli;
  let folder: string;
  const large = 200 * 2 ** 20;
  beforeAll(async () => {
    cli = await Cli.build();
    folder = await mkdtemp(join(tmpdir(), 'coffer-terminal-'));
    await writeFile(join(folder, 'large.bin'), '');
    await truncate(join(folder, 'large.bin'), large);
    await writeFile(join(folder, 'huge.bin'), '');
    await truncate(join(folder, 'huge.bin'), 20 * large); // uploading it takes longer than stopping
    await writeFile(join(folder, 'small.txt'), 'Hello');
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });
  const coffer = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Terminal =>
    new Terminal([process.execPath, cli.bin, ...args], { cwd: folder, env });
  const bold = '\u001b[1m';
  const green = '\u001b[32m';

  it('draws progress while it works, and leaves only results', async () => {
    const terminal = coffer(['storage', 'upload', 'large.bin']);
    await terminal.until(/\d+(?:\.\d+)? MiB {2}\d/);
    expect(await terminal.end()).toBe(0);
    expect(terminal.written).toMatch(/\r0\/1 objects {2}.*\/s/);
    expect(terminal.screen).toMatch(/^uploaded large\.bin -> coffer-uploads\/large\.bin\nuploaded 1 object \(200 MiB\) in \S+ s\n$/);
  });

  it('shows the size of one large file, and the time left', async () => {
    const upload = coffer(['storage', 'upload', 'large.bin']);
    await upload.until(/\r0\/1 objects {2}\S+ \S+\/200 MiB {2}\S+ \S+\/s {2}ETA \d/);
    expect(await upload.end()).toBe(0);
    const download = coffer(['storage', 'download', 'large.bin', '--output', 'back.bin']);
    await download.until(/\r0\/1 objects {2}\S+ \S+\/200 MiB {2}/); // it may be too fast to show more
    expect(await download.end()).toBe(0);
  });

  it('keeps progress to the width of the terminal', async () => {
    const terminal = new Terminal([process.execPath, cli.bin, 'storage', 'upload', 'large.bin'], { cwd: folder, env: {}, columns: 20 });
    expect(await terminal.end()).toBe(0);
    const drawn = terminal.written
      .split('\r')
      .filter((text) => text.endsWith('\u001b[K'))
      .map((text) => text.length - '\u001b[K'.length);
    expect(drawn.length).toBeGreaterThan(1);
    expect(Math.max(...drawn)).toBeLessThan(20);
  });

  it('draws progress on a terminal of unknown width', async () => {
    const terminal = new Terminal([process.execPath, cli.bin, 'storage', 'upload', 'large.bin'], { cwd: folder, env: {}, columns: 0 });
    await terminal.until(/\r0\/1 objects {2}\S+ MiB/);
    expect(await terminal.end()).toBe(0);
  });

  it('draws nothing on a terminal that cannot erase it', async () => {
    const terminal = coffer(['storage', 'upload', 'large.bin'], { TERM: 'dumb' });
    expect(await terminal.end()).toBe(0);
    expect(terminal.written).toMatch(/^uploaded large\.bin -> coffer-uploads\/large\.bin\r\nuploaded 1 object \(200 MiB\) in \S+ s\r\n$/);
  });

  it('never draws over a JSON document, and failures have lines of their own there', async () => {
    const uploads = coffer(['storage', 'upload', 'small.txt', 'large.bin', 'missing.txt', '--json']);
    await uploads.until(/\r2\/2 objects|\r[12]\/3 objects/);
    expect(await uploads.end()).toBe(1);
    const failure = 'no_such_file: missing.txt: No such file or directory.';
    const lines = uploads.screen.split('\n');
    expect(lines).toContain(failure);
    expect(JSON.parse(lines.filter((line) => line !== failure).join('\n'))).toMatchObject({
      uploaded: [{ key: 'small.txt' }, { key: 'large.bin' }],
      failed: [{ path: 'missing.txt' }],
    });
  });

  it('draws nothing among the lines of an object that is shown', async () => {
    const text = 'A line of text.\n'.repeat(2_000_000);
    await writeFile(join(folder, 'text.txt'), text);
    expect(await coffer(['storage', 'upload', 'text.txt']).end()).toBe(0);
    const terminal = coffer(['storage', 'download', 'text.txt', '--output', '-']);
    expect(await terminal.end()).toBe(0);
    const shown = terminal.written.replaceAll('\r\n', '\n');
    expect(shown.startsWith(text)).toBe(true);
    expect(shown.slice(text.length)).toMatch(/^downloaded coffer-uploads\/text\.txt -> -\ndownloaded 1 object \(30\.5 MiB\) in \S+ s\n$/);
  });

  it('begins a line after an object that ends without one', async () => {
    expect(await coffer(['storage', 'upload', 'small.txt']).end()).toBe(0);
    const terminal = coffer(['storage', 'download', 'small.txt', '--output', '-']);
    expect(await terminal.end()).toBe(0);
    expect(terminal.screen).toMatch(/^Hello\ndownloaded coffer-uploads\/small\.txt -> -\ndownloaded 1 object \(5 B\) in \S+ s\n$/);
  });

  it('ends on Ctrl-C with 130, and leaves nothing half-done', async () => {
    const terminal = coffer(['storage', 'upload', 'small.txt', 'huge.bin', '--prefix', 'cut', '--quiet']);
    await terminal.until(/\r1\/2 objects {2}[1-9]\S* MiB\/\S+ GiB {2}/);
    terminal.type('\u0003');
    expect(await terminal.end()).toBe(130);
    expect(terminal.screen).toMatch(/^(?:\^C)?uploaded 1 object \(5 B\) in \S+ s, then stopped\ninterrupted: Stopped by SIGINT\.\n$/);
    const { storage, close } = await createStorage(parseConfig({}, { serve: false, cwd: folder }));
    const keys: string[] = [];
    for await (const { key } of storage.listFiles({ bucket: 'coffer-uploads', prefix: 'cut' })) keys.push(key);
    expect(keys).toEqual(['cut/small.txt']);
    await close();
  });

  it('shows what it does and for how long when there is nothing to count, and erases that when it is stopped', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const provider = { STORAGE_BACKEND: 'minio', STORAGE_S3_ENDPOINT: `http://127.0.0.1:${port}` };
    const keys = { STORAGE_S3_ACCESS_KEY: 'key', STORAGE_S3_SECRET_KEY: 'secret' };
    const terminal = coffer(['storage', 'buckets', 'delete', 'my-bucket', '--force', '--confirm'], { ...provider, ...keys });
    await terminal.until(/\rdeleting my-bucket {2}[2-9]\.0 s/);
    terminal.type('\u0003');
    expect(await terminal.end()).toBe(130);
    expect(terminal.screen).toMatch(/^(?:\^C)?interrupted: Stopped by SIGINT\.\n$/);
    silent.close();
  });

  it('has colours, unless NO_COLOR is set', async () => {
    const [list, plain, check] = [
      coffer(['storage', 'buckets', 'list']),
      coffer(['storage', 'buckets', 'list'], { NO_COLOR: '1' }),
      coffer(['storage', 'check']),
    ];
    expect(await Promise.all([list.end(), plain.end(), check.end()])).toEqual([0, 0, 0]);
    expect(list.written).toContain(`${bold}NAME `);
    expect(plain.written).not.toContain('\u001b');
    expect(check.written).toContain(`${green}ok `);
    expect(check.screen).toMatch(/^ok +provider +local answered within \d+ ms$/m);
  });

  it('never asks whether another command was meant: a stray Enter would run it', async () => {
    const terminal = coffer(['storage', 'rm', 'a', 'b']);
    expect(await terminal.end()).toBe(2);
    expect(terminal.screen).toMatch(/^usage: "storage rm a" is not a coffer command; did you mean "storage delete"\? .*\n$/);
  });
});
