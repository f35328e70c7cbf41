import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext, readAll } from '@coffer/storage-core';
import type { GetOptions, ObjectStream, StorageBackend } from '@coffer/storage-core';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

import { openStore } from '../open-store.ts';
import { awsProfile } from '../profile.ts';
import { answerOf, refusalOf } from '../testing/answers.ts';
import { eventually } from '../testing/eventually.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';
import type { SeenRequest } from '../testing/proxy.ts';
import { putObject } from '../upload/put.ts';

const options = { contentType: 'text/plain' };
const small = Buffer.from('small');
const large = randomBytes(12 * 2 ** 20);
const unavailable = { code: 'storage_unavailable', retryable: true };

describe.each(transports)('when a connection is cut (%s)', (transport) => {
  const bench = faultBench(transport);
  const put = (backend: StorageBackend): Promise<unknown> =>
    backend.put(bench.at('put'), { kind: 'buffer', data: small }, options, noContext);
  const calls = (backend: StorageBackend): Promise<unknown>[] => [
    put(backend),
    backend.get(bench.at('small'), {}, noContext).then((result) => readAll((result as ObjectStream).body)),
    backend.head(bench.at('small'), noContext),
  ];
  const counts = (): number[] => [bench.proxy.count('PUT'), bench.proxy.count('GET'), bench.proxy.count('HEAD')];

  beforeAll(async () => {
    await bench.direct.put(bench.at('small'), { kind: 'buffer', data: small }, options, noContext);
    await bench.direct.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext);
  });

  describe.each(['end', 'reset'] as const)('by %s', (cut) => {
    it('before the answer, the call is repeated, and fails as a failure of the provider', async () => {
      Object.assign(bench.proxy.faults, { cut, answer: () => 'cut' });
      for (const result of await Promise.allSettled(calls(bench.through({ maxRetries: 2 })))) {
        expect(result).toMatchObject({ status: 'rejected', reason: unavailable });
      }
      expect(counts()).toEqual([3, 3, 3]);
    });

    it('in the head of the answer, as well', async () => {
      Object.assign(bench.proxy.faults, { cut, cutAfter: 40 });
      for (const result of await Promise.allSettled(calls(bench.through({ maxRetries: 1 })))) {
        expect(result).toMatchObject({ status: 'rejected', reason: unavailable });
      }
      expect(counts()).toEqual([2, 2, 2]);
    });

    it('while an object is copied through here, as well', async () => {
      const medium = { kind: 'buffer', data: large.subarray(0, 4_000_000) } as const;
      const { etag } = await bench.direct.put(bench.at('medium'), medium, options, noContext);
      const backend = bench.through({ maxRetries: 0 }, { profile: { ...awsProfile, acl: false, copySourceCondition: false } });
      Object.assign(bench.proxy.faults, { cut, cutBodyAfter: 2_000_000 });
      await expect(backend.copy(bench.at('medium'), bench.at('copy'), { ifMatch: etag }, noContext)).rejects.toMatchObject(unavailable);
    });

    it('in the document of a refusal, as well', async () => {
      const answer = { ...refusalOf(503, 'SlowDown', 'PUT', { 'content-length': '1000' }), thenCut: true };
      Object.assign(bench.proxy.faults, { cut, answer: () => answer });
      const backend = bench.through({ maxRetries: 1 });
      await expect(put(backend)).rejects.toMatchObject({ code: 'storage_unavailable' });
      expect(bench.proxy.count('PUT')).toBe(2);
    });

    it('in the body of the answer to a write, the write may succeed or fail', async () => {
      const answer = { ...answerOf(200, { etag: '"e"', 'content-length': '1000' }, 'x'), thenCut: true };
      Object.assign(bench.proxy.faults, { cut, answer: () => answer });
      const backend = bench.through({ maxRetries: 1 });
      const outcome = await put(backend).catch((error: unknown) => error);
      expect(['e', undefined]).toContain((outcome as { readonly etag?: string }).etag);
      expect([undefined, 'storage_unavailable']).toContain((outcome as { readonly code?: string }).code);
      bench.proxy.faults.answer = () => undefined;
      expect((await backend.head(bench.at('small'), noContext)).size).toBe(small.length);
    });

    it('once, nobody notices', async () => {
      Object.assign(bench.proxy.faults, { cut, answer: () => (bench.proxy.requests.length <= 3 ? 'cut' : undefined) });
      await Promise.all(calls(bench.through({ maxRetries: 3 })));
    });

    it.each<[number, GetOptions]>([
      [0, {}],
      [1, {}],
      [1_000_000, {}],
      [large.length - 1, {}],
      [999, { range: { start: 5, end: 1004 } }],
    ])('%i bytes into the body, the reader gets an error and never a short object', async (cutBodyAfter, get) => {
      Object.assign(bench.proxy.faults, { cut, cutBodyAfter });
      const backend = bench.through({ maxPoolConnections: 1 });
      const read = async (): Promise<Buffer> => readAll(((await backend.get(bench.at('large'), get, noContext)) as ObjectStream).body);
      await expect(read()).rejects.toMatchObject(unavailable);
      bench.proxy.faults.cutBodyAfter = Infinity;
      expect((await read()).length).toBe(get.range === undefined ? large.length : 1000);
    });

    it('while nothing is asked, the next call connects anew, without a retry', async () => {
      const backend = bench.through({ maxPoolConnections: 2 });
      await Promise.all(calls(backend));
      bench.proxy.faults.cut = cut;
      bench.proxy.cutAll();
      await eventually(() => bench.proxy.connections()).toBe(0);
      await delay(50); // until the client has noticed
      await Promise.all(calls(backend));
    });

    it('instead of the answer to the completion of a multipart upload, the object exists and the call succeeds', async () => {
      const backend = bench.through({ maxRetries: 1 });
      const isCompletion = ({ method, target }: SeenRequest): boolean => method === 'POST' && target.includes('uploadId');
      bench.proxy.faults.cut = cut;
      bench.proxy.faults.answer = (request) => {
        bench.proxy.faults.cutAfter = isCompletion(request) && bench.proxy.count('POST', 'uploadId') === 1 ? 0 : Infinity;
        return undefined;
      };
      const { etag } = await backend.put(bench.at('complete'), { kind: 'buffer', data: large }, options, noContext);
      expect(bench.proxy.count('POST', 'uploadId')).toBe(2);
      expect(await bench.direct.head(bench.at('complete'), noContext)).toMatchObject({ etag, size: large.length });
    });

    it.each([
      ['a small object', small],
      ['an object of parts', large],
    ])(
      'instead of the answer to a write, and a refusal after it, the object may be there, which the refusal says: %s',
      async (_what, data) => {
        const at = bench.at(`refused later, ${cut}, ${data.length}`);
        bench.proxy.faults.cut = cut;
        let asked = 0;
        bench.proxy.faults.answer = ({ method, target }) => {
          const isWrite = method === 'PUT' && !target.includes('partNumber=');
          if (!isWrite && !(method === 'POST' && target.includes('uploadId='))) return undefined;
          bench.proxy.faults.cutAfter = ++asked === 1 ? 0 : Infinity;
          return asked === 1 ? undefined : refusalOf(403, 'AccessDenied', method);
        };
        const writing = bench.through({ maxRetries: 1 }).put(at, { kind: 'buffer', data }, options, noContext);
        await expect(writing).rejects.toMatchObject({ code: 'access_denied', retryable: false, inDoubt: true });
        await eventually(() => bench.direct.head(at, noContext)).toMatchObject({ size: data.length });
        const again: unknown = await bench
          .through({ maxRetries: 1 })
          .put(at, { kind: 'buffer', data }, options, noContext)
          .catch((error: unknown) => error);
        expect(again).toMatchObject({ code: 'access_denied' });
        expect(again).not.toHaveProperty('inDoubt');
      },
    );

    it('instead of the only answer to such a completion, the upload is not aborted: Ceph may still be at it, and would drop the bytes of the object', async () => {
      const at = bench.at(`completed unheard, ${cut}`);
      bench.proxy.faults.cut = cut;
      bench.proxy.faults.answer = ({ method, target }) => {
        bench.proxy.faults.cutAfter = method === 'POST' && target.includes('uploadId') ? 0 : Infinity;
        return undefined;
      };
      const writing = bench.through().put(at, { kind: 'buffer', data: large }, options, noContext);
      await expect(writing).rejects.toMatchObject(unavailable);
      expect(bench.proxy.count('DELETE')).toBe(0);
      await eventually(() => bench.leftovers()).toEqual([]);
      const { body } = (await bench.direct.get(at, {}, noContext)) as ObjectStream;
      expect((await readAll(body)).equals(large)).toBe(true);
    });

    it('instead of its answer, it is not aborted either if the server cannot be reached after that', async () => {
      const at = bench.at(`completed at last, ${cut}`);
      bench.proxy.faults.cut = cut;
      bench.proxy.faults.answer = ({ method, target }) => {
        if (method !== 'POST' || !target.includes('uploadId')) return undefined;
        void bench.proxy.down();
        return 'cut';
      };
      const store = openStore({ ...bench.account, transport, endpoint: bench.proxy.endpoint, maxRetries: 1 });
      onTestFinished(() => store.connection.close());
      const aborting = vi.spyOn(store.transport, 'abortUpload').mockResolvedValue();
      const writing = putObject(store, at, { kind: 'buffer', data: large }, options, noContext);
      await expect(writing).rejects.toMatchObject({ ...unavailable, cause: { code: 'ECONNREFUSED' } });
      expect(aborting).not.toHaveBeenCalled();
      await bench.direct.maintenance?.sweep({ olderThan: -60, bucket: bench.bucket }, noContext);
    });

    it('in the middle of an upload, it fails and leaves nothing', async () => {
      const backend = bench.through();
      Object.assign(bench.proxy.faults, { cut, cutUploadAfter: 3_000_000 });
      const stream = Readable.from([large], { objectMode: false });
      await expect(backend.put(bench.at('cut'), { kind: 'stream', stream }, options, noContext)).rejects.toMatchObject(unavailable);
      expect(stream.destroyed).toBe(true);
      await expect(
        backend.put(bench.at('cut'), { kind: 'buffer', data: large.subarray(0, 5_000_000) }, options, noContext),
      ).rejects.toMatchObject(unavailable);
      await expect(bench.direct.head(bench.at('cut'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
      await eventually(() => bench.leftovers()).toEqual([]);
    });
  });

  it('after a refusal that came before the body was sent, the refusal is what counts', async () => {
    bench.proxy.faults.answer = ({ method }) => refusalOf(400, 'EntityTooLarge', method, { connection: 'close' });
    const upload = bench.through().put(bench.at('refused'), { kind: 'buffer', data: large.subarray(0, 8_000_000) }, options, noContext);
    await expect(upload).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  it('with an answer that is no HTTP, the provider has failed', async () => {
    bench.proxy.faults.answer = () => ({ text: 'SSH-2.0-OpenSSH_9.2\r\n' });
    await expect(put(bench.through())).rejects.toMatchObject({ code: 'storage_unavailable' });
  });
});
