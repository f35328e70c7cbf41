import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { awsProfile } from './profile.ts';
import { doors, faultBench } from './testing/fault-bench.ts';

describe.each(doors)('a batch of deletions (%s)', (door) => {
  const bench = faultBench(door, () => startS3('ceph'));

  it('leaves alone what the server may take for something else, and says so', async () => {
    const odd = ['a//b', 'folder/'];
    for (const key of ['plain', ...odd])
      await bench.direct.put(bench.at(key), { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
    const profile = { ...awsProfile, refusedKeys: ['empty segments', 'a "/" at the end'] as const };
    const { deleted, errors } = await bench.through({}, { profile }).batchDelete!.deleteMany(bench.bucket, ['plain', ...odd], noContext);
    expect(deleted).toEqual(['plain']);
    expect(errors.map(({ key, code }) => [key, code])).toEqual(odd.map((key) => [key, 'invalid_key']));
    const { objects } = await bench.direct.list(bench.bucket, {}, noContext);
    expect(objects.map(({ key }) => key)).toEqual(odd);
  });
});
