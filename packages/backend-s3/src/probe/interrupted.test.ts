import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { describe, expect, it, onTestFinished } from 'vitest';

import { probeEndpoint, s3Backend } from '../backend.ts';
import { transports } from '../testing/fault-bench.ts';
import { behindFront } from '../testing/front.ts';

const ceph = await startS3('ceph');

describe.each(transports)('a probe that is interrupted (%s)', (transport) => {
  it('asks nothing more, and cleans up', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const written: string[] = [];
    const options = await behindFront(ceph, (method, path) => {
      const isObject = /^\/coffer-probe-[^/]+\/[^?]/.test(path);
      if (method !== 'PUT' || !isObject) return undefined;
      written.push(path);
      controller.abort(reason);
      return undefined;
    });
    await expect(probeEndpoint({ ...options, transport }, undefined, { signal: controller.signal })).rejects.toBe(reason);
    expect(written).toHaveLength(3); // those that were under way together
    const backend = s3Backend(options);
    expect(await backend.buckets?.list(noContext)).toEqual([]);
    await backend.close();
  });

  it('rejects nothing that nobody waits for, which would end the process before it has cleaned up', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const options = await behindFront(ceph, (method, path) => {
      if (method === 'POST' && !path.includes('?')) controller.abort(reason); // a form
      return undefined;
    });
    const unawaited: unknown[] = [];
    const note = (error: unknown): void => void unawaited.push(error);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    await expect(probeEndpoint({ ...options, transport }, undefined, { signal: controller.signal })).rejects.toBe(reason);
    expect(unawaited).toEqual([]);
  });
});
