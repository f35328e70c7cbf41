import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';

import { noContext } from '@coffer/storage-core';
import type { ListOptions, ListPage } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { localBackend } from './backend.ts';
import type { LocalBackend } from './backend.ts';
import { listPage, objectsFrom } from './listing.ts';
import { scratch } from './testing/storage.ts';
import { countPerTurn } from './testing/turns.ts';

const many = 200_000;
const keyOf = (index: number): string => `many/${String(index).padStart(7, '0')}`;

let backend: LocalBackend;
let db: DatabaseSync;
let remove: () => Promise<void>;

beforeAll(async () => {
  const { path, remove: removeScratch } = await scratch();
  remove = removeScratch;
  backend = localBackend({ root: path });
  await backend.buckets!.create('bucket', {}, noContext);
  db = new DatabaseSync(join(path, 'index.db'), { timeout: 5000 });
  db.exec('BEGIN');
  const insert = db.prepare("INSERT INTO objects VALUES (1, ?, ?, 1, x'00', x'00', 0, 'a/b', 'STANDARD', 'private', NULL)");
  const blob = Buffer.alloc(16);
  for (let index = 0; index < many; index++) {
    blob.writeUInt32BE(index, 0);
    insert.run(Buffer.from(keyOf(index)), blob);
  }
  db.exec('COMMIT');
});

afterAll(async () => {
  db.close();
  await backend.close();
  await remove();
});

const list = (options: ListOptions): Promise<ListPage> => backend.list('bucket', options, noContext);

describe('a listing of very many objects', () => {
  it('is a range scan of the primary key', () => {
    const plan = db.prepare(`EXPLAIN QUERY PLAN ${objectsFrom}`).all(1, Buffer.from('a'), Buffer.from('b')) as {
      readonly detail: string;
    }[];
    expect(plan.map(({ detail }) => detail)).toEqual(['SEARCH objects USING PRIMARY KEY (bucket=? AND key>? AND key<?)']);
  });

  it('gives every key once, in order, page by page', async () => {
    let token: string | undefined;
    let seen = 0;
    do {
      const page: ListPage = await list({ prefix: 'many/', ...(token !== undefined && { continuationToken: token }) });
      expect(page.objects.length).toBeLessThanOrEqual(1000);
      for (const { key } of page.objects) if (key !== keyOf(seen++)) expect.fail(`${key} after ${keyOf(seen - 2)}`);
      token = page.nextContinuationToken;
    } while (token !== undefined);
    expect(seen).toBe(many);
  });

  it('lets other work go on between two pages', async () => {
    const { count, most } = countPerTurn();
    let token: string | undefined;
    for (let pages = 0; pages < 20; pages++) {
      ({ nextContinuationToken: token } = await list(token === undefined ? {} : { continuationToken: token }));
      count();
    }
    expect(most()).toBe(1);
  });

  it('reads no more rows than it shows, however many a common prefix rolls up', () => {
    const statement = db.prepare(objectsFrom);
    let rows = 0;
    const scan = function* (from: Uint8Array, below: Uint8Array): Generator<Record<string, unknown>> {
      for (const row of statement.iterate(1, from, below)) {
        rows++;
        yield row;
      }
    };
    expect(listPage(scan, { delimiter: '/' })).toEqual({ objects: [], commonPrefixes: ['many/'], isTruncated: false });
    expect(rows).toBe(1);
    rows = 0;
    const page = listPage(scan, { prefix: 'many/', delimiter: '5', maxKeys: 10 });
    expect(page.isTruncated).toBe(true);
    expect(rows).toBe(11);
  });

  it('continues at its place after objects around it were deleted', async () => {
    const first = await list({ prefix: 'many/00010', maxKeys: 5 });
    expect(first.objects.map(({ key }) => key)).toEqual([0, 1, 2, 3, 4].map((index) => keyOf(1000 + index)));
    for (const index of [1003, 1004, 1005]) await backend.delete({ bucket: 'bucket', key: keyOf(index) }, noContext);
    const second = await list({ prefix: 'many/00010', maxKeys: 3, continuationToken: first.nextContinuationToken! });
    expect(second.objects.map(({ key }) => key)).toEqual([6, 7, 8].map((index) => keyOf(1000 + index)));

    const rolled = await list({ prefix: 'many/', delimiter: '0', maxKeys: 1 });
    expect(rolled.commonPrefixes).toEqual(['many/0']);
    expect(rolled.isTruncated).toBe(false);
  });
});

describe('a continuation token', () => {
  it('of a common prefix survives the delete of all that it rolled up', async () => {
    const put = (key: string): Promise<unknown> =>
      backend.put({ bucket: 'bucket', key }, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'a/b' }, noContext);
    for (const key of ['t/a/1', 't/a/2', 't/b/1', 't/c']) await put(key);
    const first = await list({ prefix: 't/', delimiter: '/', maxKeys: 1 });
    expect(first.commonPrefixes).toEqual(['t/a/']);
    for (const key of ['t/a/1', 't/a/2']) await backend.delete({ bucket: 'bucket', key }, noContext);
    await put('t/a/3'); // below a prefix that was already listed
    const rest = await list({ prefix: 't/', delimiter: '/', continuationToken: first.nextContinuationToken! });
    expect([rest.commonPrefixes, rest.objects.map(({ key }) => key)]).toEqual([['t/b/'], ['t/c']]);
  });

  it.each([
    ['nothing', ''],
    ['no base64url', '???'],
    ['another kind', Buffer.from('xmany/1').toString('base64url')],
    ['no key', Buffer.from('k').toString('base64url')],
    ['bytes that are no key', Buffer.from([0x6b, 0xff, 0xfe]).toString('base64url')],
    ['padding', `${Buffer.from('kmany/1').toString('base64url')}==`],
    ['a key of another listing', Buffer.from('kother/1').toString('base64url')],
  ])('is refused when it holds %s', async (_what, continuationToken) => {
    await expect(list({ prefix: 'many/', continuationToken })).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

it.each([0, 1001, 1.5, Number.NaN])('a page of %s keys is refused', async (maxKeys) => {
  await expect(list({ maxKeys })).rejects.toMatchObject({ code: 'invalid_argument' });
});

it('a prefix may end with the highest byte of UTF-8', async () => {
  const key = `\u{10ffff}\u{10ffff}`;
  await backend.put({ bucket: 'bucket', key }, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'a/b' }, noContext);
  expect((await list({ prefix: '\u{10ffff}' })).objects.map((object) => object.key)).toEqual([key]);
});
