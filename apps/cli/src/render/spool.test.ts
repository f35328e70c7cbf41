import { existsSync } from 'node:fs';
import type * as promises from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import { afterEach, expect, it, vi } from 'vitest';

import { Spool } from './spool.ts';

let refuse: ((...args: Parameters<typeof promises.open>) => Promise<FileHandle | undefined>) | undefined;
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const open: typeof real.open = async (...args) => (await refuse?.(...args)) ?? real.open(...args);
  return { ...real, open };
});
afterEach(() => (refuse = undefined));

it('gives everything back in order, whether it fits into memory or not, and leaves no file', async () => {
  const paths: string[] = [];
  refuse = async (path) => void paths.push(String(path));
  for (const count of [0, 3, 30_000]) {
    const spool = new Spool<{ readonly id: number; readonly text: string }>();
    for (let id = 0; id < count; id++) spool.add({ id, text: 'some text\nof two lines' });
    let next = 0;
    for await (const { id, text } of spool.drain()) {
      expect(id).toBe(next++);
      expect(text).toContain('\n');
    }
    expect(next).toBe(count);
  }
  expect(paths.map((path) => existsSync(path))).toEqual([false]);
});

it('leaves no file even when its process is killed', async () => {
  const paths: string[] = [];
  refuse = async (path) => void paths.push(String(path));
  const spool = new Spool<string>();
  const text = 'x'.repeat(2 ** 20);
  spool.add(text);
  const values = spool.drain();
  expect(await values.next()).toEqual({ done: false, value: text });
  expect(paths.map((path) => existsSync(path))).toEqual([false]);
  await values.return();
});

it('lets only its user read the file', async () => {
  const modes: unknown[] = [];
  refuse = async (_path, _flags, mode) => void modes.push(mode);
  const spool = new Spool<string>();
  spool.add('x'.repeat(2 ** 20));
  await spool.close();
  expect(modes).toEqual([0o600]);
});

it('returns values with other line breaks unchanged from its file', async () => {
  const spool = new Spool<string>();
  const text = (id: number): string => `${id}\u2028\u2029\u0085\r\n`;
  for (let id = 0; id < 20_000; id++) spool.add(text(id));
  let next = 0;
  for await (const value of spool.drain()) expect(value).toBe(text(next++));
  expect(next).toBe(20_000);
});

it('keeps values in memory when they cannot be written to a file', async () => {
  const { open } = await vi.importActual<typeof promises>('node:fs/promises');
  const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' });
  const refusals: (typeof refuse)[] = [
    async () => {
      throw full;
    },
    // When a disk is full, part of the bytes may have been written.
    async (...args) => {
      const file = await open(...args);
      let left = 2;
      const append = file.appendFile.bind(file);
      const appendFile = async (bytes: Buffer): Promise<void> => {
        if (left-- > 0) return append(bytes);
        await append(bytes.subarray(0, 10));
        throw full;
      };
      return Object.assign(file, { appendFile });
    },
  ];
  for (const refusal of refusals) {
    refuse = refusal;
    const spool = new Spool<number>();
    for (let value = 0; value < 200_000; value++) spool.add(value);
    let next = 0;
    for await (const value of spool.drain()) if (value !== next++) throw new Error(`${value} is not in its place.`);
    expect(next).toBe(200_000);
    await spool.close();
  }
});
