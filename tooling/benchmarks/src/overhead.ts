import { prometheusObserver } from '@coffer/metrics';
import { memoryBackend, noContext, StorageService } from '@coffer/storage-core';
import type { Observer } from '@coffer/storage-core';
import { Registry } from 'prom-client';

import type { Bench } from './harness/bench.ts';
import { median, printTable, rotated } from './harness/figures.ts';

const bucket = 'bench';
const at = { bucket, key: 'folder/object.bin' };
const calls = 50_000;

type Call = () => Promise<unknown>;
type Name = 'bare backend' | 'service' | 'service + idle observer' | 'service + metrics';
const names: readonly Name[] = ['bare backend', 'service', 'service + idle observer', 'service + metrics'];

/** The time that StorageService and its observer add to a call, on the memory backend, in this process. */
export async function overhead({ rounds }: Bench): Promise<void> {
  const data = Buffer.alloc(1024, 1);
  const backend = memoryBackend({ buckets: [bucket] });
  await backend.put(at, { kind: 'buffer', data }, { contentType: 'application/octet-stream' }, noContext);
  const service = (observer?: Observer): StorageService =>
    new StorageService({ backend, defaultBucket: bucket, ...(observer && { observer }) });
  const idle = service({ operation: () => {}, transfer: () => {} });
  const counted = service(prometheusObserver({ register: new Registry() }));
  const plain = service();
  const ctx = { tenant: 'bench' };

  const through = (storage: StorageService): Readonly<Record<string, Call>> => ({
    'head (getFileInfo)': () => storage.getFileInfo(at, ctx),
    'put 1 KiB (uploadFile)': () => storage.uploadFile({ ...at, body: data }, ctx),
    'get 1 KiB, read (downloadFile)': () => storage.downloadFile(at, ctx),
  });
  const contenders: Readonly<Record<Name, Readonly<Record<string, Call>>>> = {
    'bare backend': {
      'head (getFileInfo)': () => backend.head(at, ctx),
      'put 1 KiB (uploadFile)': () => backend.put(at, { kind: 'buffer', data }, { contentType: 'application/octet-stream' }, ctx),
      'get 1 KiB, read (downloadFile)': async () => {
        const result = await backend.get(at, {}, ctx);
        if (result.kind === 'object') for await (const chunk of result.body) void chunk;
      },
    },
    service: through(plain),
    'service + idle observer': through(idle),
    'service + metrics': through(counted),
  };

  const taken = new Map<string, number[]>();
  const operations = Object.keys(through(plain));
  for (let round = -1; round < rounds; round += 1) {
    for (const operation of operations) {
      for (const name of rotated(names, round + 1)) {
        const micros = await microsPerCall(contenders[name][operation]!);
        if (round < 0) continue; // the first round only warms up
        const key = `${name} ${operation}`;
        taken.set(key, [...(taken.get(key) ?? []), micros]);
      }
    }
  }
  const of = (name: Name, operation: string): number => median(taken.get(`${name} ${operation}`)!);
  printTable(
    `Microseconds per call on the memory backend, ${calls} calls, ${rounds} rounds, medians; in brackets what is added to the bare backend.`,
    ['operation', ...names],
    operations.map((operation) => [
      operation,
      of('bare backend', operation).toFixed(2),
      ...names
        .slice(1)
        .map((name) => `${of(name, operation).toFixed(2)} (+${(of(name, operation) - of('bare backend', operation)).toFixed(2)})`),
    ]),
  );
}

async function microsPerCall(call: Call): Promise<number> {
  const started = performance.now();
  for (let done = 0; done < calls; done += 1) await call();
  return ((performance.now() - started) * 1000) / calls;
}
