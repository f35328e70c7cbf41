import { randomBytes } from 'node:crypto';

import type { S3Client } from '@aws-sdk/client-s3';
import { noContext } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';

import type { OpenUpload } from '../administration.ts';
import { openS3Backend, probeEndpoint, s3Backend } from '../backend.ts';
import { connect } from '../http/connection.ts';
import { openStore } from '../open-store.ts';
import type { S3BackendOptions } from '../options.ts';
import { openSdk } from '../sdk/client.ts';
import { settingsOf } from '../settings.ts';
import type { PayloadSigning } from '../signing/payload-signing.ts';
import { openUploads } from '../open-uploads.ts';
import type { Store } from '../store.ts';

/** What these tests need of a server of the fixtures. */
export interface TestServer {
  readonly endpoint: string;
  newUser(): Promise<{ readonly accessKey: string; readonly secretKey: string }>;
}

/** Options to reach a server with an account of its own, if the server has several. */
export async function accountOn(server: TestServer): Promise<S3BackendOptions & { readonly endpoint: string }> {
  const { accessKey, secretKey } = await server.newUser();
  return { endpoint: server.endpoint, accessKey, secretKey };
}

/** The AWS SDK's client, for requests that no backend makes. */
export function sdkOn(options: S3BackendOptions): { readonly client: S3Client; readonly signing: PayloadSigning; close(): void } {
  const settings = settingsOf(options);
  const connection = connect(settings);
  const { client } = openSdk(settings, connection);
  return { client, signing: connection.payloadSigning, close: () => connection.close() };
}

/** The abilities that the conformance suite expects on servers; the suite of a server states what that one lacks. */
export const abilitiesOn = (transport: 'lean' | 'sdk') =>
  ({
    buckets: true,
    acl: true,
    presign: true,
    batchDelete: true,
    versioning: true,
    lifecycle: true,
    maintenance: true,
    pull: transport === 'lean',
  }) as const;

export interface StartedStore {
  readonly backend: StorageBackend;
  readonly bucket: string;
  readonly leftovers: () => Promise<readonly string[]>;
  readonly stop: () => Promise<void>;
}

/** A backend with a new bucket. */
export async function startOn(options: S3BackendOptions): Promise<StartedStore> {
  const backend = await openS3Backend(options);
  const bucket = `suite-${randomBytes(6).toString('hex')}`;
  await backend.buckets?.create(bucket, {}, noContext);
  const store = openStore(options);
  return {
    backend,
    bucket,
    leftovers: async () => (await allUploads(store, bucket)).map(({ at, uploadId }) => `${at.key} ${uploadId}`),
    async stop() {
      store.connection.close();
      const other = s3Backend(options, await probeEndpoint(options)); // the suite has closed the first one
      await other.buckets?.delete(bucket, { force: true }, noContext);
      await other.close();
    },
  };
}

/** The open uploads of a bucket, on all pages. */
export async function allUploads(store: Store, bucket: string): Promise<readonly OpenUpload[]> {
  const found: OpenUpload[] = [];
  for await (const page of openUploads(store, bucket, noContext)) found.push(...page);
  return found;
}

/** The server, or the reason why there is none. */
export async function ifAvailable<T extends TestServer>(starting: Promise<T>): Promise<T | string> {
  try {
    return await starting;
  } catch (error) {
    if (error instanceof Error && error.name === 'UnavailableServerError') return error.message;
    throw error;
  }
}
