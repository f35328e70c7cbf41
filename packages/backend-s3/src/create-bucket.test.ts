import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { doors } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { refusal } from './testing/scripted.ts';
import type { Answer } from './testing/scripted.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

describe.each(doors)('a bucket that is ours already when it is to be created (%s)', (transport) => {
  const created = async (...answers: readonly Answer[]): Promise<unknown> => {
    const left = [...answers];
    const server = await serve((request, response) => {
      if (request.method === 'PUT') return left.shift()!(request, response);
      return refusal(404, '')(request, response); // so it was when it was looked for
    });
    return backendTo(server, { transport, maxRetries: 1 }).buckets?.create('bucket', {}, noContext);
  };
  const ours = refusal(409, 'BucketAlreadyOwnedByYou');

  it('exists already', async () => {
    await expect(created(ours)).rejects.toMatchObject({ code: 'bucket_already_exists' });
  });

  it('has been created by the attempt before, whose answer got lost', async () => {
    const lost: Answer = (request) => request.socket.destroy();
    expect(await created(lost, ours)).toMatchObject({ name: 'bucket' });
  });
});
