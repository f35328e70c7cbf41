import { noContext } from '@coffer/storage-core';
import { afterEach, expect, it } from 'vitest';

import { regionOfNewBucket, reportedRegion } from './bucket-region.ts';
import { openStore } from './open-store.ts';
import type { Store } from './store.ts';
import { transports } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { answering, ok, refusal } from './testing/scripted.ts';
import type { Answer } from './testing/scripted.ts';

const { serve, open, clear } = newStage();
afterEach(clear);

/** A backend for a server with these answers. */
async function storeTo(...answers: readonly Answer[]): Promise<Store> {
  const server = await serve(...answers);
  const store = openStore({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0 });
  open.push(() => store.connection.close());
  return store;
}

it('a new bucket is in the region that was asked for if the credentials may not look', async () => {
  const store = await storeTo(refusal(403, 'AccessDenied'));
  expect(await regionOfNewBucket(store, 'bucket', 'eu-north-1')).toBe('eu-north-1');
});

it.each([
  ['does not know of regions', refusal(501, 'NotImplemented'), 'us-east-1'],
  ['names none', answering('<LocationConstraint/>'), 'us-east-1'],
  ['uses the old name of the first one in Europe', answering('<LocationConstraint>EU</LocationConstraint>'), 'eu-west-1'],
])('a server that %s has buckets all the same', async (_what, location, region) => {
  expect(await reportedRegion(await storeTo(ok, location), 'bucket', noContext)).toBe(region);
});

it.each(transports)(
  'a server that names no region in HeadBucket is asked for one that way only once by each backend (%s)',
  async (transport) => {
    const server = await serve(
      answering('<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>'),
    );
    const newStore = (): Store => {
      const store = openStore({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport });
      open.push(() => store.connection.close());
      return store;
    };
    const asked = async (store: Store): Promise<unknown> => {
      const before = server.requests.length;
      expect(await reportedRegion(store, 'bucket', noContext)).toBe('eu-west-1');
      return server.requests.slice(before).map(({ method }) => method);
    };
    const [one, other] = [newStore(), newStore()];
    expect(await asked(one)).toEqual(['HEAD', 'GET']);
    expect(await asked(one)).toEqual(['GET']);
    expect(await asked(other)).toEqual(['HEAD', 'GET']);
  },
);
