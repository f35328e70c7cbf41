import { Readable } from 'node:stream';

import { memoryBackend, StorageService } from '@coffer/storage-core';
import type { OperationEvent } from '@coffer/storage-core';
import { Counter, Registry } from 'prom-client';
import type { Histogram, OpenMetricsContentType } from 'prom-client';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import { prometheusObserver } from './index.ts';
import type { MetricRegister } from './index.ts';

/** The samples of one metric: `{labels in alphabetical order}` to value. */
async function samples(register: MetricRegister, name: string): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const line of (await register.metrics()).split('\n')) {
    const [, metric, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (metric === name)
      found[
        labels
          .split(/,(?=[a-z]+=)/)
          .toSorted()
          .join()
      ] = Number(value);
  }
  return found;
}

const event: OperationEvent = { operation: 'upload', kind: 'object', backend: 'local', outcome: 'success', ms: 1, bytes: 0 };
const acme = { tenant: 'acme' };

let register: Registry;
let storage: StorageService;
beforeEach(async () => {
  register = new Registry();
  storage = new StorageService({ backend: memoryBackend(), defaultBucket: 'uploads', observer: prometheusObserver({ register }) });
  await storage.createBucket({ bucket: 'uploads' });
});

describe('prometheusObserver', () => {
  it('hands durations on when nobody reads the metrics for long', async () => {
    const duration = register.getSingleMetric('storage_operation_duration_seconds') as Histogram<string>;
    const observe = vi.spyOn(duration, 'observe');
    const observer = prometheusObserver({ register });
    for (let index = 0; index < 300; index++) observer.operation?.(event);
    expect(observe.mock.calls.length).toBeGreaterThan(200);
    observe.mockRestore();
    const labels = 'backend="local",operation="upload",status="success",tenant="none"';
    for (let reads = 0; reads < 2; reads++) expect((await samples(register, 'storage_operations_total'))[labels]).toBe(300);
    observer.operation?.({ ...event, outcome: 'error', code: 'file_not_found' });
    expect((await samples(register, 'storage_errors_total'))['backend="local",operation="upload",tenant="none"']).toBe(1);
    const observed = await samples(register, 'storage_operation_duration_seconds_count');
    expect(observed['backend="local",operation="upload",tenant="none"']).toBe(301);
  });

  it('updates a metric that is read on its own, whoever mounted it', async () => {
    const own = new Registry();
    const collect = vi.fn<() => void>();
    const counter = new Counter({
      name: 'storage_upload_bytes_total',
      help: 'Mine.',
      labelNames: ['backend', 'tenant'],
      registers: [own],
      collect,
    });
    for (let mounts = 0; mounts < 2; mounts++)
      prometheusObserver({ register: own }).transfer?.({ direction: 'upload', backend: 'local', bytes: 7 });
    expect((await counter.get()).values).toEqual([{ labels: { backend: 'local', tenant: 'none' }, value: 14 }]);
    expect(collect).toHaveBeenCalledTimes(1);
    for (const name of ['storage_operations_total', 'storage_errors_total', 'storage_operation_duration_seconds']) {
      const fresh = new Registry();
      prometheusObserver({ register: fresh }).operation?.({ ...event, outcome: 'error', code: 'file_not_found' });
      expect((await fresh.getSingleMetric(name)!.get()).values).not.toEqual([]);
    }
  });
});

describe('prometheusObserver on a StorageService', () => {
  it('counts operations, errors and durations with the contract’s names and labels', async () => {
    await storage.uploadFile({ key: 'a.txt', body: 'Hello' }, acme);
    await storage.downloadFile('a.txt', acme);
    await storage.downloadFile('a.txt', acme);
    await expect(storage.downloadFile('b.txt', acme)).rejects.toThrow();
    await storage.getFileInfo('a.txt');
    await storage.listFiles({}, acme);
    await storage.copyFile({ source: 'a.txt', destination: 'c.txt' }, acme);
    await storage.deleteFile('a.txt', acme);

    expect(await samples(register, 'storage_operations_total')).toEqual({
      'backend="memory",operation="create_bucket",status="success",tenant="none"': 1,
      'backend="memory",operation="upload",status="success",tenant="acme"': 1,
      'backend="memory",operation="download",status="success",tenant="acme"': 2,
      'backend="memory",operation="download",status="error",tenant="acme"': 1,
      'backend="memory",operation="head",status="success",tenant="none"': 1,
      'backend="memory",operation="list",status="success",tenant="acme"': 1,
      'backend="memory",operation="copy",status="success",tenant="acme"': 1,
      'backend="memory",operation="delete",status="success",tenant="acme"': 1,
    });
    expect(await samples(register, 'storage_errors_total')).toEqual({ 'backend="memory",operation="download",tenant="acme"': 1 });
    const counts = await samples(register, 'storage_operation_duration_seconds_count');
    expect(counts['backend="memory",operation="download",tenant="acme"']).toBe(3);
    expect(counts['backend="memory",operation="upload",tenant="acme"']).toBe(1);
  });

  it('writes the labels in the order of the contract', async () => {
    await storage.uploadFile({ key: 'a.txt', body: 'Hello' }, acme);
    await expect(storage.downloadFile('b.txt', acme)).rejects.toThrow();
    const text = await register.metrics();
    expect(text).toContain('storage_operations_total{operation="upload",status="success",backend="memory",tenant="acme"} 1');
    expect(text).toContain('storage_operations_total{operation="download",status="error",backend="memory",tenant="acme"} 1');
    expect(text).toContain('storage_errors_total{operation="download",backend="memory",tenant="acme"} 1');
    expect(text).toContain('storage_operation_duration_seconds_count{operation="upload",backend="memory",tenant="acme"} 1');
    expect(text).toContain('storage_upload_bytes_total{backend="memory",tenant="acme"} 5');
    expect(text).toContain('storage_bucket_operations_total{operation="create_bucket",status="success"} 1');
  });

  it('counts bytes of buffers and streams', async () => {
    await storage.uploadFile({ key: 'buffer', body: Buffer.alloc(1000) }, acme);
    await storage.uploadFile({ key: 'stream', body: Readable.from([Buffer.alloc(300), Buffer.alloc(45)]) });
    await storage.downloadFile('buffer', acme);
    await storage.openFile('buffer', { range: { start: 0, end: 9 } }, acme).then(({ body }) => body.toArray());
    expect(await samples(register, 'storage_upload_bytes_total')).toEqual({
      'backend="memory",tenant="acme"': 1000,
      'backend="memory",tenant="none"': 345,
    });
    await storage.downloadFile('stream', { tenant: 'reader' });
    expect(await samples(register, 'storage_download_bytes_total')).toEqual({
      'backend="memory",tenant="acme"': 1010,
      'backend="memory",tenant="reader"': 345,
    });
  });

  it('counts the bytes of an upload that fails half-way', async () => {
    const broken = Readable.from(
      (async function* () {
        yield Buffer.alloc(100);
        throw new Error('The client went away.');
      })(),
    );
    await expect(storage.uploadFile({ key: 'a', body: broken }, acme)).rejects.toThrow();
    expect(await samples(register, 'storage_upload_bytes_total')).toEqual({ 'backend="memory",tenant="acme"': 100 });
    expect(await samples(register, 'storage_errors_total')).toEqual({ 'backend="memory",operation="upload",tenant="acme"': 1 });
  });

  it('counts bucket and ACL operations apart as well', async () => {
    await storage.uploadFile({ key: 'a', body: 'a' });
    await storage.getBucketInfo('uploads');
    await expect(storage.getBucketInfo('nowhere')).rejects.toThrow();
    await storage.listBuckets();
    await storage.setObjectAcl({ key: 'a', acl: 'public-read' });
    await storage.getObjectAcl('a');
    await expect(storage.getObjectAcl('b')).rejects.toThrow();

    expect(await samples(register, 'storage_bucket_operations_total')).toEqual({
      'operation="create_bucket",status="success"': 1,
      'operation="bucket_info",status="success"': 1,
      'operation="bucket_info",status="error"': 1,
      'operation="list_buckets",status="success"': 1,
    });
    expect(await samples(register, 'storage_acl_operations_total')).toEqual({
      'operation="set_object_acl",status="success"': 1,
      'operation="get_object_acl",status="success"': 1,
      'operation="get_object_acl",status="error"': 1,
    });
    const all = await samples(register, 'storage_operations_total');
    expect(all['backend="memory",operation="bucket_info",status="error",tenant="none"']).toBe(1);
    expect(all['backend="memory",operation="set_object_acl",status="success",tenant="none"']).toBe(1);
  });
});

describe('prometheusObserver', () => {
  it('has buckets from 5 ms to 60 s, in seconds', async () => {
    const observer = prometheusObserver({ register: (register = new Registry()) });
    for (const ms of [4, 16, 59_000, 120_000]) observer.operation?.({ ...event, ms });
    const buckets = await samples(register, 'storage_operation_duration_seconds_bucket');
    const upTo = (le: string): number | undefined => buckets[`backend="local",le="${le}",operation="upload",tenant="none"`];
    expect(['0.005', '0.01', '0.025', '30', '60', '+Inf'].map(upTo)).toEqual([1, 1, 2, 2, 3, 4]);
    const { 'backend="local",operation="upload",tenant="none"': sum } = await samples(register, 'storage_operation_duration_seconds_sum');
    expect(sum).toBeCloseTo(179.02);
  });

  it('a reader who stops early is no error', async () => {
    prometheusObserver({ register }).operation?.({ ...event, operation: 'download', code: 'aborted' });
    expect(await samples(register, 'storage_errors_total')).toEqual({});
  });

  it('puts tenants past the limit under other, in operations and bytes alike', async () => {
    const observer = prometheusObserver({ register: (register = new Registry()), tenants: { max: 2 } });
    for (const tenant of ['a', 'b', 'c', 'd', 'a']) {
      observer.transfer?.({ direction: 'upload', backend: 'local', tenant, bytes: 10 });
      observer.operation?.({ ...event, tenant });
    }
    const bytes = await samples(register, 'storage_upload_bytes_total');
    expect(bytes).toEqual({ 'backend="local",tenant="a"': 20, 'backend="local",tenant="b"': 10, 'backend="local",tenant="other"': 20 });
    expect(await samples(register, 'storage_operation_duration_seconds_count')).toMatchObject({
      'backend="local",operation="upload",tenant="other"': 2,
    });
  });

  it('escapes what a slug may hold', async () => {
    prometheusObserver({ register }).operation?.({ ...event, tenant: 'a"b\\c,d="東京' });
    expect(await register.metrics()).toContain('tenant="a\\"b\\\\c,d=\\"東京"');
  });

  it('mounted twice on one register, counts into one set of metrics and tenants', async () => {
    register = new Registry();
    const first = prometheusObserver({ register, tenants: { max: 1 } });
    const second = prometheusObserver({ register });
    first.operation?.({ ...event, tenant: 'a' });
    second.operation?.({ ...event, tenant: 'a' });
    second.operation?.({ ...event, tenant: 'b' });
    expect(await samples(register, 'storage_operations_total')).toEqual({
      'backend="local",operation="upload",status="success",tenant="a"': 2,
      'backend="local",operation="upload",status="success",tenant="other"': 1,
    });
  });

  it('leaves the default register alone, and takes one of the OpenMetrics format', async () => {
    const open = new Registry<OpenMetricsContentType>();
    open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    const observer = prometheusObserver({ register: open });
    observer.operation?.(event);
    await open.metrics();
    prometheusObserver({ register: open }).operation?.(event);
    expect(await samples(open, 'storage_operations_total')).toEqual({
      'backend="local",operation="upload",status="success",tenant="none"': 2,
    });
  });

  it.each([
    [
      'another kind',
      () =>
        new Counter({
          name: 'storage_operation_duration_seconds',
          help: 'x',
          labelNames: ['operation', 'backend', 'tenant'],
          registers: [register],
        }),
    ],
    ['other labels', () => new Counter({ name: 'storage_errors_total', help: 'x', labelNames: ['operation'], registers: [register] })],
  ])('refuses at once a register that holds %s under one of its names', (_name, occupy) => {
    register = new Registry();
    occupy();
    expect(() => prometheusObserver({ register })).toThrow('The register holds another metric named storage_');
  });
});
