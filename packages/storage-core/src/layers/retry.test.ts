import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import type { StorageBackend } from '../backend.ts';
import { bodyOf } from '../body/body.ts';
import { noContext } from '../context.ts';
import { storageError } from '../errors.ts';
import { memoryBackend } from '../memory-backend.ts';
import { retry } from './retry.ts';
import { wrapBackend } from './wrap-backend.ts';

const at = { bucket: 'suite', key: 'x' };
const passing = (): Error => storageError('storage_unavailable', 'busy');

/** A store whose first `times` calls fail with `error`; later ones go through. */
function failing(times: number, error: () => Error = passing): { readonly backend: StorageBackend; calls: number } {
  const good = memoryBackend({ buckets: ['suite'] });
  const state = { calls: 0, backend: good };
  const fail = async <T>(run: () => Promise<T>): Promise<T> => {
    state.calls++;
    if (state.calls <= times) throw error();
    return run();
  };
  state.backend = {
    ...wrapBackend(good),
    put: (...args) => fail(() => good.put(...args)),
    list: (...args) => fail(() => good.list(...args)),
  };
  return state;
}

describe('retry', () => {
  it.each([Number.NaN, -1, 0.5, Infinity])('refuses %j retries', (retries) => {
    expect(() => retry({ retries })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('repeats a pull only until it has passed something on', async () => {
    const good = memoryBackend({ buckets: ['suite'] });
    await good.put(at, bodyOf('bytes'), { contentType: 'text/plain' }, noContext);
    let calls = 0;
    const backend = (early: boolean): StorageBackend => ({
      ...wrapBackend(good),
      async pull(from, options, sink, ctx) {
        if (++calls === 1 && early) throw passing();
        const pulled = await good.pull!(from, options, sink, ctx);
        if (calls === 1) throw passing();
        return pulled;
      },
    });
    let read = '';
    const pull = (early: boolean): Promise<unknown> =>
      wrapBackend(backend(early), retry({ retries: 3, baseMs: 1 })).pull!(at, {}, (chunk) => void (read += chunk.toString()), noContext);
    await pull(true);
    expect([calls, read]).toEqual([2, 'bytes']);
    calls = 0;
    await expect(pull(false)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect([calls, read]).toEqual([1, 'bytesbytes']);
  });

  it('repeats what failed for a passing reason, as often as it may', async () => {
    const enough = failing(2);
    await wrapBackend(enough.backend, retry({ retries: 2, baseMs: 1 })).list('suite', {}, noContext);
    expect(enough.calls).toBe(3);
    const tooOften = failing(3);
    await expect(wrapBackend(tooOften.backend, retry({ retries: 2, baseMs: 1 })).list('suite', {}, noContext)).rejects.toMatchObject({
      code: 'storage_unavailable',
    });
    expect(tooOften.calls).toBe(3);
  });

  it.each([
    ['an answer', () => storageError('access_denied', 'no')],
    ['a failure that lasts', () => storageError('storage_unavailable', 'full', { retryable: false })],
    ['a bug', () => new TypeError('bug')],
  ])('does not repeat %s', async (_name, error) => {
    const state = failing(1, error);
    await expect(wrapBackend(state.backend, retry({ retries: 5, baseMs: 1 })).list('suite', {}, noContext)).rejects.toThrow();
    expect(state.calls).toBe(1);
  });

  it('tells that a call whose repetition was refused may have been carried out, and of no other', async () => {
    const refused = (): Error => storageError('access_denied', 'no');
    const upload = async (errors: Error[]): Promise<unknown> => {
      const state = failing(2, () => errors.shift()!);
      return wrapBackend(state.backend, retry({ retries: 1, baseMs: 1 }))
        .put(at, bodyOf('x'), { contentType: 'a/b' }, noContext)
        .catch((error: unknown) => error);
    };
    expect(await upload([passing(), refused()])).toMatchObject({ code: 'access_denied', inDoubt: true });
    expect(await upload([refused()])).not.toHaveProperty('inDoubt');
  });

  it('repeats an upload from memory, and never one from a stream', async () => {
    const buffer = failing(1);
    await wrapBackend(buffer.backend, retry({ retries: 5, baseMs: 1 })).put(at, bodyOf('x'), { contentType: 'a/b' }, noContext);
    expect(buffer.calls).toBe(2);
    const stream = failing(1);
    const body = bodyOf(Readable.from([Buffer.from('x')], { objectMode: false }));
    await expect(
      wrapBackend(stream.backend, retry({ retries: 5, baseMs: 1 })).put(at, body, { contentType: 'a/b' }, noContext),
    ).rejects.toMatchObject({
      code: 'storage_unavailable',
    });
    expect(stream.calls).toBe(1);
  });

  it('stops waiting when the caller does, with the reason of the caller', async () => {
    const state = failing(9, () => storageError('storage_unavailable', 'busy', { retryAfter: 3600 }));
    const cancel = new AbortController();
    const reason = new Error('enough');
    const call = wrapBackend(state.backend, retry({ retries: 5, maxMs: 3_600_000 })).list('suite', {}, { signal: cancel.signal });
    setTimeout(() => cancel.abort(reason), 10);
    await expect(call).rejects.toBe(reason);
    expect(state.calls).toBe(1);
  });

  it('waits no longer than it may, whatever the provider asks for', async () => {
    const state = failing(2, () => storageError('storage_unavailable', 'busy', { retryAfter: 3600 }));
    await wrapBackend(state.backend, retry({ retries: 5, maxMs: 1 })).list('suite', {}, noContext);
    expect(state.calls).toBe(3);
  });
});
