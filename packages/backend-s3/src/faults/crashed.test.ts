import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { startGateway } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { afterAll, describe, expect, it } from 'vitest';

import { s3Backend } from '../backend.ts';
import { awsProfile } from '../profile.ts';
import { eventually } from '../testing/eventually.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';

const gateway = await startGateway();
afterAll(() => gateway.stop());

const mib = 2 ** 20;

/** Uploads 12 MiB of a body that never ends. */
const main = `
  import { Readable } from 'node:stream';
  const [backend, options, at] = JSON.parse(process.argv[1]);
  const { s3Backend } = await import(backend);
  const stream = new Readable({ read() {} });
  stream.push(Buffer.alloc(${12 * mib}));
  setInterval(() => {}, 1000); // it waits, rather than to end by itself
  await s3Backend(options).put(at, { kind: 'stream', stream }, { contentType: 'text/plain' }, {});
`;

describe.each(transports)('when our process is killed in the middle of an upload (%s)', (transport) => {
  const bench = faultBench(transport, async () => gateway);

  it('a sweep removes its remains', async () => {
    const options = { ...bench.account, endpoint: bench.proxy.endpoint, transport };
    const argument = JSON.stringify([new URL('../backend.ts', import.meta.url).href, options, bench.at('crashed')]);
    const child = spawn(process.execPath, ['--conditions=@coffer/source', '--input-type=module', '-e', main, argument], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const exited = once(child, 'exit');
    await eventually(() => bench.proxy.count('PUT', 'partNumber=1&')).toBe(1);
    const swept = async (olderThan: number, dryRun: boolean): Promise<unknown> =>
      bench.direct.maintenance?.sweep({ olderThan, dryRun }, noContext);
    await eventually(() => swept(0, true)).toEqual({ removed: 1, bytes: 8 * mib });
    child.kill('SIGKILL');
    await exited;
    expect(await bench.leftovers()).toEqual(['crashed']);
    await expect(bench.direct.head(bench.at('crashed'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    // It might still be running.
    expect(await swept(3600, false)).toEqual({ removed: 0, bytes: 0 });
    expect(await bench.leftovers()).toEqual(['crashed']);
    expect(await swept(0, false)).toEqual({ removed: 1, bytes: 8 * mib });
    expect(await bench.leftovers()).toEqual([]);
  });

  it('a provisioned bucket has a rule that does so', async () => {
    const backend = s3Backend({ ...bench.account, transport }, awsProfile);
    for (let times = 0; times < 2; times++) await backend.buckets?.provision?.(bench.bucket, { corsOrigins: ['*'] }, noContext);
    expect(await backend.lifecycle?.getLifecycle(bench.bucket, noContext)).toEqual([
      expect.objectContaining({ prefix: '', abortMultipartDays: 1 }),
    ]);
    await backend.close();
  });
});
