import { memoryBackend, noContext, StorageService } from '@coffer/storage-core';
import type { ListOptions, ListPage } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import { listObjects, objectsBelow } from './list-objects.ts';
import type { Session } from './open-session.ts';

const keys = Array.from({ length: 3500 }, (_, index) => `k${String(index).padStart(4, '0')}`);

type List = (options: ListOptions, list: (options: ListOptions) => Promise<ListPage>) => Promise<ListPage>;

/** A session on a bucket of these keys, whose listings go through `list`. */
async function sessionWith(list: List): Promise<Session> {
  const memory = memoryBackend();
  const bucket = 'bucket';
  await memory.buckets?.create(bucket, {}, noContext);
  for (const key of keys)
    await memory.put({ bucket, key }, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
  const backend = {
    ...memory,
    list: (name: string, options: ListOptions) => list(options, (passedOn) => memory.list(name, passedOn, noContext)),
  };
  return {
    storage: new StorageService({ backend, defaultBucket: bucket }),
    ctx: noContext,
    bucket: async () => bucket,
  } as unknown as Session;
}

async function keysOf(pages: AsyncIterable<ListPage>): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { objects } of pages) found.push(...objects.map(({ key }) => key));
  return found;
}

it('asks for the next page while the current one still arrives', async () => {
  const tokens: (string | undefined)[] = [];
  let wake: (() => void) | undefined;
  const session = await sessionWith(async (options, list) => {
    tokens.push(options.continuationToken);
    wake?.();
    const { onNextToken, ...others } = options;
    const page = await list(others);
    if (!page.isTruncated) return page;
    const nextIsAsked = new Promise<void>((resolve) => (wake = resolve));
    onNextToken?.(page.nextContinuationToken!);
    await nextIsAsked; // a listing that awaits this page before it asks for the next would hang
    return page;
  });
  expect(await keysOf(listObjects(session, { prefix: '' }))).toEqual(keys);
  expect(new Set(tokens).size).toBe(tokens.length);
});

it('is at most one page ahead of its reader', async () => {
  let requested = 0;
  const session = await sessionWith(async ({ onNextToken, ...options }, list) => {
    requested++;
    const page = await list(options);
    if (page.nextContinuationToken !== undefined) onNextToken?.(page.nextContinuationToken);
    return page;
  });
  let read = 0;
  for await (const _page of listObjects(session, { prefix: '' })) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(requested).toBeLessThanOrEqual(++read + 1);
  }
  expect(requested).toBe(4);
});

it('uses the token of the page when a different one was reported early', async () => {
  const session = await sessionWith(async ({ onNextToken, continuationToken, ...options }, list) => {
    if (continuationToken === 'stale') throw new Error('the listing of an attempt that failed');
    if (options.maxKeys! > 0) onNextToken?.('stale');
    return list({ ...options, ...(continuationToken !== undefined && { continuationToken }) });
  });
  const found: string[] = [];
  for await (const { key } of objectsBelow(session, { bucket: 'bucket' })) found.push(key);
  expect(found).toEqual(keys);
});

it.each([1, 999, 1000, 1001, 2000, 3499, 3500, 4000])('shows %i objects if there are as many', async (limit) => {
  const session = await sessionWith(async ({ onNextToken, ...options }, list) => {
    const page = await list(options);
    if (page.nextContinuationToken !== undefined) onNextToken?.(page.nextContinuationToken);
    return page;
  });
  const pages: ListPage[] = [];
  for await (const page of listObjects(session, { prefix: '', limit })) pages.push(page);
  expect(pages.flatMap(({ objects }) => objects.map(({ key }) => key))).toEqual(keys.slice(0, limit));
  expect(pages.at(-1)?.isTruncated).toBe(limit < keys.length);
});

it('reports no more objects when a server wrongly calls its last page truncated', async () => {
  const session = await sessionWith(async ({ onNextToken: _onNextToken, continuationToken, ...options }, list) => {
    if (continuationToken === 'end') return { objects: [], commonPrefixes: [], isTruncated: false };
    const page = await list({ ...options, ...(continuationToken !== undefined && { continuationToken }) });
    return page.isTruncated ? page : { ...page, isTruncated: true, nextContinuationToken: 'end' };
  });
  for (const [limit, isTruncated] of [
    [3499, true],
    [3500, false],
  ] as const) {
    const pages: ListPage[] = [];
    for await (const page of listObjects(session, { prefix: '', limit })) pages.push(page);
    expect(pages.at(-1)?.isTruncated).toBe(isTruncated);
  }
});

it('yields its last page even if asking for more fails', async () => {
  const session = await sessionWith(async ({ onNextToken: _onNextToken, ...options }, list) => {
    if (options.maxKeys === 1) throw new Error('gone');
    return list(options);
  });
  const pages: ListPage[] = [];
  for await (const page of listObjects(session, { prefix: '', limit: 2000 })) pages.push(page);
  expect(pages.at(-1)).toMatchObject({ isTruncated: true, objects: { length: 1000 } });
});
