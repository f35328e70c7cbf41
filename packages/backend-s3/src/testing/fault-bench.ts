import { randomBytes } from 'node:crypto';

import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import type { ObjectAddress, StorageBackend } from '@coffer/storage-core';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';

import { s3Backend } from '../backend.ts';
import { openStore } from '../open-store.ts';
import type { S3BackendOptions } from '../options.ts';
import type { EndpointProfile } from '../profile.ts';
import { proxyTo } from './proxy.ts';
import type { Proxy } from './proxy.ts';
import { accountOn, allUploads } from './server.ts';
import type { TestServer } from './server.ts';

/** The transports that carry the frequent calls; every fault is tested on each. */
export const transports = ['sdk', 'lean'] as const;
export type TransportName = (typeof transports)[number];

/** A bucket on a real server, and a proxy in front of it that fails as it is told. */
export class FaultBench {
  readonly bucket: string = `faults-${randomBytes(6).toString('hex')}`;
  readonly #transport: TransportName;
  readonly #open: StorageBackend[] = [];
  #account: (S3BackendOptions & { readonly endpoint: string }) | undefined;
  #direct: StorageBackend | undefined;
  #proxy: Proxy | undefined;

  constructor(transport: TransportName) {
    this.#transport = transport;
  }

  get account(): S3BackendOptions & { readonly endpoint: string } {
    return this.#account!;
  }
  /** Reaches the server without the proxy. */
  get direct(): StorageBackend {
    return this.#direct!;
  }
  get proxy(): Proxy {
    return this.#proxy!;
  }

  at(key: string): ObjectAddress {
    return { bucket: this.bucket, key };
  }

  /** A backend whose connections go through the proxy and are closed with the test. No retries unless requested. */
  through(extra: S3BackendOptions = {}, { profile }: { readonly profile?: EndpointProfile } = {}): StorageBackend {
    const defaults = { transport: this.#transport, endpoint: this.proxy.endpoint, maxRetries: 0, timeout: 20 };
    const account = 'credentials' in extra ? {} : this.account;
    const backend = s3Backend({ ...account, ...defaults, ...extra }, profile);
    this.#open.push(backend);
    return backend;
  }

  /** The keys of uploads in the bucket that are neither complete nor aborted. */
  async leftovers(): Promise<readonly string[]> {
    const store = openStore(this.account);
    try {
      return (await allUploads(store, this.bucket)).map(({ at }) => at.key);
    } finally {
      store.connection.close();
    }
  }

  async start(server: TestServer): Promise<void> {
    this.#account = await accountOn(server);
    this.#direct = s3Backend(this.account);
    await this.direct.buckets?.create(this.bucket, {}, noContext);
  }

  async startProxy(): Promise<void> {
    this.#proxy = await proxyTo(this.account.endpoint);
  }

  async endTest(): Promise<void> {
    for (const backend of this.#open.splice(0)) await backend.close();
    await this.proxy.close();
  }

  async stop(): Promise<void> {
    await this.direct.buckets?.delete(this.bucket, { force: true }, noContext);
    await this.direct.close();
  }
}

/** Call inside a `describe`: creates a bench for its tests, with a new proxy for each. */
export function faultBench(transport: TransportName, serverOf: () => Promise<TestServer> = () => startS3('ceph')): FaultBench {
  const bench = new FaultBench(transport);
  beforeAll(async () => bench.start(await serverOf()));
  afterAll(() => bench.stop());
  beforeEach(() => bench.startProxy());
  afterEach(() => bench.endTest());
  return bench;
}
