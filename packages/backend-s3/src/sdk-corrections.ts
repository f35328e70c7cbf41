import { Readable } from 'node:stream';

import type { S3Client } from '@aws-sdk/client-s3';

import type { Connection } from './connection.ts';
import { headerOf, statusOf } from './errors.ts';

/**
 * Makes a request again, once, whose refusal has taught something: another time, or other keys. The SDK itself keeps keys
 * for as long as they do not expire, and takes no notice of a clock that is right again.
 */
export function addCorrections(client: S3Client, { clock, credentials }: Connection): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const used = credentials.known ?? (await credentials.load());
      const { offset } = clock;
      try {
        return await next(args);
      } catch (error) {
        const status = statusOf(error) ?? 0;
        if (!(error instanceof Error) || status < 400 || status > 403 || (args.input as { Body?: unknown }).Body instanceof Readable) {
          throw error;
        }
        const isCorrected = clock.learn(headerOf(error, 'date'), offset) || (await credentials.replace(used, error));
        if (!isCorrected) throw error;
        return next(args);
      }
    },
    { step: 'initialize', name: 'corrections', priority: 'low' },
  );
}
