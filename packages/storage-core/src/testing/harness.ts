import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Readable } from 'node:stream';

import type { CannedAcl } from '../acl.ts';
import type { StorageBackend } from '../backend.ts';
import { readAll } from '../body/body.ts';
import { noContext } from '../context.ts';
import { hasCode, isStorageError, storageError } from '../errors.ts';
import type { StorageErrorCode } from '../errors.ts';
import type { Body, GetOptions, ObjectAddress, ObjectInfo, ObjectStream, PutOptions } from '../object.ts';

/** What the suite needs of a test runner; vitest and node:test both provide it. */
export interface TestRunner {
  describe(name: string, define: () => void): unknown;
  it(name: string, run: () => Promise<void>): unknown;
  /** Runs something after all tests: vitest's `afterAll`, node:test's `after`. Default: the last test stops the backend. */
  after?(run: () => Promise<void>): unknown;
}

/** What the backend can do. Declared, not detected, so that losing an ability is a failure. */
export interface Abilities {
  readonly buckets: boolean;
  readonly acl: boolean;
  /** `post: false` for a backend with presigned PUT but no POST policies; `true` for both. */
  readonly presign: boolean | { readonly post: boolean };
  readonly batchDelete: boolean;
  readonly versioning: boolean;
  readonly lifecycle: boolean;
  readonly maintenance: boolean;
  /** Default false. */
  readonly pull?: boolean;
  /** Default false. */
  readonly deleteIfMatch?: boolean;
}

/** A backend with a bucket, for one run of the suite. */
export interface StartedBackend {
  readonly backend: StorageBackend;
  /** An empty bucket that the suite may fill. */
  readonly bucket: string;
  /** A second bucket for copies between buckets, if the backend cannot create buckets. */
  readonly otherBucket?: string;
  /** Releases everything that `start` made. The suite closes the backend itself beforehand. */
  stop(): Promise<void>;
  /** Names what failed writes left at the provider, such as temporary files or open multipart uploads; called after each. */
  readonly leftovers?: () => Promise<readonly string[]>;
}

/** What the suite is told about a backend. */
export interface BackendOptions {
  readonly abilities: Abilities;
  /** Called once, before the first test. */
  start(): Promise<StartedBackend>;
  /** Keys that the provider cannot hold: the backend must then refuse them with invalid_key. Default: none. */
  readonly refusedKeys?: (key: string) => boolean;
  /** Canned ACLs that the provider does not know: the backend must then refuse them with invalid_argument. Default: none. */
  readonly refusedAcls?: readonly CannedAcl[];
  /** Set if the provider omits `x/y` from listings while `x` exists, as MinIO does. Default false. */
  readonly hidesKeysBelowObjects?: boolean;
  /** False if two concurrent copies may both succeed under If-None-Match. Default true. */
  readonly atomicConditionalCopy?: boolean;
  /** Number of objects in the multi-page listing; only more than 1,000 is meaningful. Default 1,100. */
  readonly bigListing?: number;
  /** Number of concurrent writers of one key. Default 64. */
  readonly writers?: number;
  /**
   * How many random sequences of operations are compared with the memory backend, and which; the same seed gives the same ones. Default 30
   * of seed 1.
   */
  readonly sequences?: { readonly runs?: number; readonly seed?: number };
}

/** What tests are defined with. */
export interface Suite {
  readonly options: BackendOptions;
  readonly describe: (name: string, define: () => void) => void;
  /** Every test gets its own key space. */
  readonly test: (name: string, run: (t: Subject) => Promise<void>) => void;
}

/** The backend under test, as one test sees it. */
export class Subject {
  readonly backend: StorageBackend;
  readonly bucket: string;
  /** Begins every key of this test. */
  readonly prefix: string;
  readonly #started: StartedBackend;

  constructor(started: StartedBackend, prefix: string) {
    this.#started = started;
    this.backend = started.backend;
    this.bucket = started.bucket;
    this.prefix = prefix;
  }

  at(name: string): ObjectAddress {
    return { bucket: this.bucket, key: this.prefix + name };
  }

  async put(at: ObjectAddress, data: Uint8Array | string, options: Partial<PutOptions> = {}): Promise<ObjectInfo> {
    return this.putBody(at, { kind: 'buffer', data: Buffer.from(data) }, options);
  }

  async putBody(at: ObjectAddress, body: Body, options: Partial<PutOptions> = {}, signal?: AbortSignal): Promise<ObjectInfo> {
    return this.backend.put(
      at,
      body,
      { contentType: 'application/octet-stream', ...options },
      signal === undefined ? noContext : { signal },
    );
  }

  async open(at: ObjectAddress, options: GetOptions = {}, signal?: AbortSignal): Promise<ObjectStream> {
    const result = await this.backend.get(at, options, signal === undefined ? noContext : { signal });
    assert.equal(result.kind, 'object');
    return result as ObjectStream;
  }

  async read(at: ObjectAddress, options: GetOptions = {}): Promise<Buffer> {
    return readAll((await this.open(at, options)).body);
  }

  async head(at: ObjectAddress): Promise<ObjectInfo> {
    return this.backend.head(at, noContext);
  }

  /** All keys and common prefixes below this test's prefix, across as many pages as needed. */
  async keys(options: { readonly prefix?: string; readonly delimiter?: string; readonly maxKeys?: number } = {}): Promise<string[]> {
    const found: string[] = [];
    let token: string | undefined;
    do {
      const pageOptions = {
        ...options,
        prefix: this.prefix + (options.prefix ?? ''),
        ...(token !== undefined && { continuationToken: token }),
      };
      const page = await this.backend.list(this.bucket, pageOptions, noContext);
      found.push(...page.objects.map((object) => object.key), ...page.commonPrefixes);
      token = page.isTruncated ? page.nextContinuationToken : undefined;
      assert.equal(page.isTruncated, token !== undefined, 'a truncated page has a continuation token');
    } while (token !== undefined);
    return found.map((key) => key.slice(this.prefix.length));
  }

  /** The object does not exist, and there is no trace of it. */
  async assertAbsent(at: ObjectAddress): Promise<void> {
    await assertRejects(this.head(at), 'file_not_found');
    await assertRejects(this.open(at), 'file_not_found');
    const page = await this.backend.list(at.bucket, { prefix: at.key }, noContext);
    assert.deepEqual(
      page.objects.filter((object) => object.key === at.key),
      [],
    );
    await this.assertNoLeftovers();
  }

  async assertHolds(at: ObjectAddress, data: Uint8Array | string): Promise<void> {
    assertSameBytes(await this.read(at), data);
    await this.assertNoLeftovers();
  }

  /** A provider may take a moment to clean up, but it must. */
  async assertNoLeftovers(): Promise<void> {
    const { leftovers } = this.#started;
    if (leftovers === undefined) return;
    let remaining = await leftovers();
    for (let tries = 0; remaining.length > 0 && tries < 40; tries++) {
      await delay(50);
      remaining = await leftovers();
    }
    assert.deepEqual(remaining, [], 'failed writes leave nothing behind');
  }

  /** A second bucket; call `release` when done. */
  async otherBucket(): Promise<{ readonly bucket: string; readonly release: () => Promise<void> }> {
    const { buckets } = this.backend;
    const { otherBucket } = this.#started;
    if (buckets === undefined) {
      assert.ok(otherBucket !== undefined, 'a backend that cannot create buckets is started with an otherBucket');
      return { bucket: otherBucket, release: async () => {} };
    }
    const bucket = newBucketName();
    await buckets.create(bucket, {}, noContext);
    return { bucket, release: () => buckets.delete(bucket, { force: true }, noContext) };
  }
}

export function suiteOf(runner: TestRunner, options: BackendOptions): { readonly suite: Suite; readonly stop: () => Promise<void> } {
  let started: Promise<StartedBackend> | undefined;
  let tests = 0;
  const suite: Suite = {
    options,
    describe: (name, define) => void runner.describe(name, define),
    test: (name, run) => {
      const prefix = `t${++tests}/`;
      runner.it(name, async () => run(new Subject(await (started ??= options.start()), prefix)));
    },
  };
  const stop = async (): Promise<void> => {
    const running = await started;
    await running?.backend.close();
    await running?.stop();
  };
  return { suite, stop };
}

export const missingBucket = 'no-such-bucket-anywhere';

export function newBucketName(): string {
  return `coffer-suite-${randomBytes(6).toString('hex')}`;
}

/** A stream of `chunks`, each in its own turn of the event loop, as from a socket. */
export function streamOf(...chunks: readonly (Uint8Array | string)[]): Readable {
  const source = async function* (): AsyncGenerator<Buffer> {
    for (const chunk of chunks) {
      await new Promise((resolve) => setImmediate(resolve));
      yield Buffer.from(chunk);
    }
  };
  return Readable.from(source(), { objectMode: false });
}

/** A stream of one chunk that ends when `gate` resolves, or fails when it rejects. */
export function streamUntil(gate: Promise<void>, chunk: Uint8Array | string): Readable {
  const source = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from(chunk);
    await gate;
  };
  return Readable.from(source(), { objectMode: false });
}

export function streamBody(stream: Readable, size?: number): Body & { readonly stream: Readable } {
  return size === undefined ? { kind: 'stream', stream } : { kind: 'stream', stream, size };
}

export function assertSameBytes(actual: Uint8Array, expected: Uint8Array | string): void {
  const wanted = Buffer.from(expected);
  assert.equal(actual.byteLength, wanted.byteLength, 'size of the bytes read');
  assert.ok(wanted.equals(actual), 'the bytes read are the bytes written');
}

/** The call rejects with a StorageError of this code, in the code's own class. `of` names the call where there are several. */
export async function assertRejects(call: Promise<unknown>, code: StorageErrorCode, of?: string): Promise<void> {
  const expected = `${of === undefined ? '' : `${of}: `}expected the StorageError ${code}`;
  const isExpected = (error: unknown): boolean => {
    if (!isStorageError(error)) assert.fail(`${expected}, got ${String(error)}`);
    assert.equal(error.code, code, `${expected}, got ${error.code}: ${error.message}`);
    const model = storageError(code, '');
    assert.ok(error instanceof Error);
    assert.equal(error.name, model.name, 'the class of the error');
    assert.equal(error.retryable, model.retryable, 'whether a retry can help');
    assert.notEqual(error.message, '', 'an error says what is wrong');
    return true;
  };
  await assert.rejects(call, isExpected, expected);
}

/** The call rejects with this very error. */
export async function assertRejectsAsIs(call: Promise<unknown>, expected: unknown): Promise<void> {
  const isExpected = (error: unknown): boolean => {
    assert.equal(error, expected, 'the caller gets its own error back');
    return true;
  };
  await assert.rejects(call, isExpected, `expected the caller's own ${String(expected)}`);
}

/** Allows an hour of clock difference; the year 1970 or an invalid date does not pass. */
export function assertAbout(date: Date, time: number): void {
  assert.ok(date instanceof Date, `a time is a Date, not ${String(date)}`);
  assert.ok(Math.abs(date.getTime() - time) < 3_600_000, `${String(date)} is about now`);
}

/** Whether the provider refuses what was asked for because it does not know it. */
export async function isRefused(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return false;
  } catch (error) {
    if (hasCode(error, 'invalid_argument', 'not_supported')) return true;
    throw error;
  }
}
