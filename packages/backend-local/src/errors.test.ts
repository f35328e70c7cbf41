import { rm, mkdtemp } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { expect, it } from 'vitest';

import { isBusy, isFull, toStorageError } from './errors.ts';

function thrownBy(work: () => void): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

it('an SQLite error is recognized by its code, or by its message where the runtime has no code', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-errors-'));
  const [holder, other] = [1, 2].map(() => new DatabaseSync(join(folder, 'index'), { timeout: 0 })) as [DatabaseSync, DatabaseSync];
  holder.exec('CREATE TABLE filled (bytes)');
  holder.exec('BEGIN EXCLUSIVE');
  const busy = thrownBy(() => other.exec('BEGIN EXCLUSIVE'));
  holder.exec('COMMIT');
  holder.exec('PRAGMA max_page_count = 3');
  const full = thrownBy(() => holder.exec('INSERT INTO filled VALUES (zeroblob(100000))'));
  for (const error of [busy, Object.assign(new Error(busy.message), { code: 'ERR_SQLITE_ERROR' })]) {
    expect([isBusy(error), isFull(error), toStorageError(error).code]).toEqual([true, false, 'storage_unavailable']);
  }
  for (const error of [full, Object.assign(new Error(full.message), { code: 'ERR_SQLITE_ERROR' })]) {
    expect([isBusy(error), isFull(error), toStorageError(error).code]).toEqual([false, true, 'storage_unavailable']);
  }
  holder.close();
  other.close();
  await rm(folder, { recursive: true });
});

it('a quota that is used up is a full disk, though Node has no name for it', () => {
  const errno = -constants.errno.EDQUOT;
  const error = Object.assign(new Error(`Unknown system error ${errno}, write`), {
    errno,
    code: `Unknown system error ${errno}`,
    syscall: 'write',
  });
  expect(isFull(error)).toBe(true);
  expect(toStorageError(error)).toMatchObject({ code: 'storage_unavailable', message: 'The disk is full.', retryable: false });
});

it('an index whose lock others took again and again is unavailable', () => {
  for (const told of [{ errcode: 15 }, {}]) {
    const error = Object.assign(new Error('locking protocol'), { code: 'ERR_SQLITE_ERROR', ...told });
    expect(toStorageError(error)).toMatchObject({ code: 'storage_unavailable', retryable: true });
  }
});

it.each(['EIO', 'ENXIO', 'ENODEV', 'ENOTCONN', 'ESTALE', 'Unknown system error -117'])('%s is an error of the disk', (code) => {
  const error = Object.assign(new Error(code), { code, syscall: 'open' });
  expect(toStorageError(error)).toMatchObject({ code: 'storage_unavailable', message: 'The disk reported an error.' });
});

it.each([{ code: 'ENOMEM' }, { code: 'ERR_SQLITE_ERROR', errcode: 7 }, { code: 'ERR_SQLITE_ERROR' }])(
  'a machine without memory left is unavailable for the moment (%j)',
  (told) => {
    const error = Object.assign(new Error('out of memory'), told);
    expect(toStorageError(error)).toMatchObject({ code: 'storage_unavailable', retryable: true });
  },
);

it('a thread that the system does not start leaves the storage unavailable for now', () => {
  const error = Object.assign(new Error('Worker initialization failure: EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' });
  expect(toStorageError(error)).toMatchObject({ code: 'storage_unavailable', retryable: true });
});
