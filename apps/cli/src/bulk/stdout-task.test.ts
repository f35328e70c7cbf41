import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import { noContext, storageError } from '@coffer/storage-core';
import type { ObjectInfo, StorageService } from '@coffer/storage-core';
import { beforeEach, expect, it } from 'vitest';

import type { Session } from '../services/open-session.ts';
import { EtagTrust } from './verification.ts';
import { runTasks } from './run-tasks.ts';
import { stdoutTask } from './stdout-task.ts';
import type { Failure, Follower } from './task.ts';
import type { Transfer } from './transfer.ts';

const content = Buffer.from('0123456789');
const whole = { key: 'k', bucket: 'b', size: content.length, etag: createHash('md5').update(content).digest('hex') } as ObjectInfo;

let written = '';
beforeEach(() => void (written = ''));
const write = async (chunk: Uint8Array): Promise<boolean> => {
  written += Buffer.from(chunk).toString();
  return true;
};

/** Some bytes, then a lost connection. */
function cut(bytes: string): Readable {
  return Readable.from(
    (function* () {
      if (bytes !== '') yield Buffer.from(bytes);
      throw storageError('storage_unavailable', 'gone');
    })(),
    { objectMode: false },
  );
}

async function run(
  openFile: StorageService['openFile'],
): Promise<{ readonly done: readonly Transfer[]; readonly failures: readonly Failure[] }> {
  const session = { storage: { openFile }, ctx: noContext } as unknown as Session;
  const done: Transfer[] = [];
  const failures: Failure[] = [];
  const follower: Follower<Transfer> = {
    planned: () => {},
    allPlanned: () => {},
    sized: () => {},
    moved: () => {},
    finished: (_task, outcome) => void done.push(...outcome.done),
    failed: (failure) => void failures.push(failure),
  };
  const plan = async function* () {
    yield stdoutTask('k', 'b', { session, write, etagTrust: new EtagTrust(() => {}) });
  };
  await runTasks(plan(), { concurrency: 1, retries: 3, signal: new AbortController().signal, follower });
  return { done, failures };
}

it('continues after the bytes already written when the connection is lost', async () => {
  const requests: unknown[] = [];
  const { done, failures } = await run(async (_at, options) => {
    requests.push(options);
    const start = (options?.range as { readonly start: number } | undefined)?.start ?? 0;
    const rest = content.subarray(start).toString();
    return { kind: 'object', info: whole, body: requests.length < 3 ? cut(rest.slice(0, 3)) : Readable.from([Buffer.from(rest)]) };
  });
  expect(failures).toEqual([]);
  expect(written).toBe('0123456789');
  expect(requests).toEqual([{}, { range: { start: 3 }, ifMatch: [whole.etag] }, { range: { start: 6 }, ifMatch: [whole.etag] }]);
  expect(done).toEqual([{ key: 'k', bucket: 'b', path: '-', size: 10, etag: whole.etag }]);
});

it('never continues with another object', async () => {
  const { failures } = await run(async (_at, options) => {
    if (options?.ifMatch !== undefined) throw storageError('precondition_failed', 'It is another one.');
    return { kind: 'object', info: whole, body: cut('0123') };
  });
  expect(written).toBe('0123');
  expect(failures).toMatchObject([{ subject: { key: 'k' }, problem: { code: 'object_changed' } }]);
});

it('fails when the bytes written do not match the ETag', async () => {
  let opened = 0;
  const { done, failures } = await run(async () => {
    opened++;
    return { kind: 'object', info: whole, body: Readable.from([opened === 1 ? Buffer.from('012345678X') : content]) };
  });
  expect(done).toEqual([]);
  expect(failures).toMatchObject([{ problem: { code: 'checksum_mismatch' } }]);
});

it('downloads again when the bytes do not match the ETag, and once more when that fails', async () => {
  const other = { ...whole, etag: createHash('md5').update('sealed').digest('hex') };
  const sizes: (number | undefined)[] = [];
  const { done, failures } = await run(async (_at, options) => {
    sizes.push((options?.range as { readonly start: number } | undefined)?.start);
    return { kind: 'object', info: other, body: sizes.length === 2 ? cut('01234') : Readable.from([content]) };
  });
  expect(written).toBe('0123456789');
  expect(sizes).toEqual([undefined, undefined, undefined]);
  expect([done.length, failures]).toEqual([1, []]);
});
