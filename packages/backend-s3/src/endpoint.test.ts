import { noContext, storageError } from '@coffer/storage-core';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { Endpoint } from './endpoint.ts';
import { toStorageError } from './errors.ts';
import { awsProfile } from './profile.ts';
import type { EndpointProfile } from './profile.ts';

const denied = storageError('access_denied', 'The storage provider refused; the credentials may lack the permission s3:PutObject.');
const expired = toStorageError(Object.assign(new Error('expired'), { name: 'ExpiredToken' }), { permission: 's3:PutObject' });
const down = storageError('storage_unavailable', 'The storage provider is not available at the moment.');
const gone = storageError('no_such_bucket', 'There is no bucket "theirs".');

/** An endpoint whose probes end like this, one after the other, and the buckets that they were asked to work in. */
function probing(...ends: readonly (EndpointProfile | Error)[]): { readonly endpoint: Endpoint; readonly probed: readonly string[] } {
  const probed: string[] = [];
  const endpoint = new Endpoint(undefined, async (bucket) => {
    const end = ends[Math.min(probed.length, ends.length - 1)]!;
    probed.push(bucket);
    if (end instanceof Error) throw end;
    return end;
  });
  return { endpoint, probed };
}

afterEach(() => void vi.useRealTimers());

describe('an endpoint', () => {
  it('is tried out once', async () => {
    const { endpoint, probed } = probing(awsProfile);
    const profiles = await Promise.all([endpoint.profile('a'), endpoint.profile('b'), endpoint.profile('a')]);
    expect([...profiles, await endpoint.profile('c')]).toEqual(Array(4).fill(awsProfile));
    expect(probed).toEqual(['a']);
  });

  it('is tried out again a minute after the credentials were not allowed to, or in another bucket', async () => {
    vi.useFakeTimers();
    const { endpoint, probed } = probing(denied, denied, awsProfile);
    for (const bucket of ['a', 'b', 'a']) {
      await expect(endpoint.profile(bucket)).rejects.toMatchObject({ code: 'access_denied' });
      expect(await endpoint.profileIfAllowed(bucket, noContext)).toBeUndefined();
    }
    expect(probed).toEqual(['a', 'b']);
    vi.advanceTimersByTime(61_000);
    expect(await endpoint.profile('a')).toBe(awsProfile);
  });

  it.each([
    ['a moment in which it was down', down],
    ['the credentials expired, and may be others by now', expired],
  ])('is tried out again by the next who needs to know after %s', async (_what, failure) => {
    const { endpoint } = probing(failure, awsProfile);
    await expect(endpoint.profile('a')).rejects.toBe(failure);
    expect(await endpoint.profile('a')).toBe(awsProfile);
  });

  it('that is down is so for all who wait, and is no endpoint about which credentials may not learn anything', async () => {
    const { endpoint, probed } = probing(down);
    const outcomes = await Promise.allSettled([endpoint.profileIfAllowed('a', noContext), endpoint.profileIfAllowed('b', noContext)]);
    expect(outcomes).toEqual(Array(2).fill({ status: 'rejected', reason: down }));
    expect(probed).toEqual(['a']);
  });

  it('is tried out in the own bucket where it was impossible in that of somebody else', async () => {
    const { endpoint, probed } = probing(gone, awsProfile);
    const asking = ['theirs', 'own', 'theirs'].map((bucket) => endpoint.profile(bucket));
    const [first, own, last] = await Promise.allSettled(asking);
    for (const theirs of [first, last]) expect(theirs).toEqual({ status: 'rejected', reason: gone });
    expect(own).toEqual({ status: 'fulfilled', value: awsProfile });
    expect(probed).toEqual(['theirs', 'own']);
  });

  it('is not tried out for a caller who has left', async () => {
    const { endpoint, probed } = probing(awsProfile);
    await expect(endpoint.profile('a', { signal: AbortSignal.abort(new Error('left')) })).rejects.toThrow('left');
    expect(probed).toEqual([]);
  });
});
