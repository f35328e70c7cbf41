import type { StorageBackend } from '@coffer/storage-core';

import { s3Backend } from '../backend.ts';
import { connect } from '../http/connection.ts';
import { leanDriver } from '../lean/driver.ts';
import type { S3BackendOptions } from '../options.ts';
import { awsProfile } from '../profile.ts';
import type { EndpointProfile } from '../profile.ts';
import { settingsOf } from '../settings.ts';
import type { Transport } from '../transport.ts';
import { scripted } from './scripted.ts';
import type { Answer, Scripted } from './scripted.ts';

/** Scripted servers, and lean transports or whole backends that talk to them. */
export interface Stage {
  serve(...answers: readonly Answer[]): Promise<Scripted>;
  transportTo(server: Scripted, options?: S3BackendOptions): Transport;
  /** No retries unless requested. */
  backendTo(server: Scripted, options?: S3BackendOptions, profile?: EndpointProfile): StorageBackend;
  /** Anything else to be closed at the end. */
  readonly open: (() => unknown)[];
  clear(): Promise<void>;
}

const defaults = { accessKey: 'who', secretKey: 'secret', timeout: 20 };

export function newStage(): Stage {
  const open: (() => unknown)[] = [];
  return {
    open,
    async serve(...answers) {
      const server = await scripted(...answers);
      open.push(() => server.close());
      return server;
    },
    transportTo({ endpoint }, options = {}) {
      const settings = settingsOf({ endpoint, ...defaults, ...options });
      const connection = connect(settings);
      open.push(() => connection.close());
      return leanDriver(settings, connection).transport;
    },
    backendTo({ endpoint }, options = {}, profile = awsProfile) {
      const backend = s3Backend({ endpoint, ...defaults, maxRetries: 0, ...options }, profile);
      open.push(() => backend.close());
      return backend;
    },
    async clear() {
      for (const close of open.splice(0)) await close();
    },
  };
}
