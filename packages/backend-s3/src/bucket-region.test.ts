import { noContext } from '@coffer/storage-core';
import { afterEach, expect, it } from 'vitest';

import { reportedRegion } from './bucket-region.ts';
import { openStore } from './open-store.ts';
import type { Store } from './store.ts';
import { transports } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { answering } from './testing/scripted.ts';

const { serve, open, clear } = newStage();
afterEach(clear);

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
