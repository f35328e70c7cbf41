import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { constants, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { readAll, SpoolFile } from '@coffer/storage-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { openFilesBelow } from '../testing/open-files.ts';
import { spool } from './spool.ts';

describe('a spool', () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'coffer-spool-'));
  });
  afterEach(() => vi.restoreAllMocks());
  afterAll(() => rm(directory, { recursive: true }));

  // Counted by the system, because a file handle reports that it is closed as soon as a stream begins to close it.
  const openFiles = (): Promise<number> => openFilesBelow(directory);
  const streamOf = (data: Buffer, chunk = 65_536): Readable =>
    Readable.from(
      Array.from({ length: Math.ceil(data.length / chunk) }, (_, i) => data.subarray(i * chunk, (i + 1) * chunk)),
      { objectMode: false },
    );
  const bytesOf = async (body: Buffer | Readable): Promise<Buffer> => (body instanceof Readable ? readAll(body) : body);

  it.each([0, 1, 1_048_576, 1_048_577, 5_000_000])('gives back %i bytes', async (size) => {
    const data = randomBytes(size);
    const spooled = await spool(streamOf(data), directory);
    expect(spooled.size).toBe(size);
    expect(await readdir(directory)).toEqual([]);
    expect(data.equals(await bytesOf(spooled.body))).toBe(true);
    await spooled.release();
    await expect.poll(openFiles).toBe(0);
  });

  it('is freed when nobody reads it, or not to its end', async () => {
    const unread = await spool(streamOf(randomBytes(2_000_000)), directory);
    const begun = await spool(streamOf(randomBytes(2_000_000)), directory);
    (begun.body as Readable).once('data', () => (begun.body as Readable).pause());
    await unread.release();
    await begun.release();
    await expect.poll(openFiles).toBe(0);
  });

  it('leaves nothing of a stream that fails', async () => {
    const failing = Readable.from(
      (async function* () {
        yield randomBytes(2_000_000);
        throw new Error('cut');
      })(),
      { objectMode: false },
    );
    await expect(spool(failing, directory)).rejects.toThrow('cut');
    expect(await readdir(directory)).toEqual([]);
    await expect.poll(openFiles).toBe(0);
  });

  it('ignores that a file fails to close', async () => {
    const close = SpoolFile.prototype.close;
    vi.spyOn(SpoolFile.prototype, 'close').mockImplementation(async function (this: SpoolFile) {
      await close.call(this);
      throw Object.assign(new Error('full'), { code: 'EDQUOT' }); // like network file systems, which write late
    });
    const data = randomBytes(2_000_000);
    const spooled = await spool(streamOf(data), directory);
    expect(data.equals(await bytesOf(spooled.body))).toBe(true);
    await spooled.release();
    vi.spyOn(SpoolFile.prototype, 'append').mockRejectedValue(
      Object.assign(new Error('full'), { errno: -constants.errno.EDQUOT, code: `Unknown system error -${constants.errno.EDQUOT}` }),
    );
    const full = { code: 'storage_unavailable', message: 'The disk of the server is full.' };
    await expect(spool(streamOf(data), directory)).rejects.toMatchObject(full);
    await expect.poll(openFiles).toBe(0);
  });

  it('reports that it cannot write', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    await expect(spool(streamOf(randomBytes(2_000_000)), join(file, 'spool'))).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: false,
    });
    await rm(file);
  });

  // Where Node's own mkdir would retry forever.
  it.runIf(platform() === 'linux')('reports that it cannot create its directory', async () => {
    await expect(spool(streamOf(randomBytes(2_000_000)), '/proc/none/spool')).rejects.toMatchObject({ code: 'storage_unavailable' });
  });

  it('says that the disk is full, and leaves nothing on it', async () => {
    // The process may write no file larger than 2 MiB (4 with some shells), so to it the disk is full there.
    const script = `
      import { Readable } from 'node:stream';
      import { spool } from ${JSON.stringify(fileURLToPath(new URL('./spool.ts', import.meta.url)))};
      process.on('SIGXFSZ', () => {});
      const error = await spool(Readable.from([Buffer.alloc(8_000_000)], { objectMode: false }), ${JSON.stringify(directory)}).catch((error) => error);
      console.log(error.code, error.message);`;
    const { stdout, stderr } = spawnSync(
      'sh',
      ['-c', `ulimit -f 4096 && exec "$0" --conditions=@coffer/source --input-type=module -e "$1"`, process.execPath, script],
      { encoding: 'utf8' },
    );
    expect({ stdout, stderr }).toMatchObject({ stdout: 'storage_unavailable The disk of the server is full.\n' });
    expect(await readdir(directory)).toEqual([]);
  });
});
