import { Readable } from 'node:stream';

import type { S3Client } from '@aws-sdk/client-s3';

import type { Connection } from '../http/connection.ts';
import { isInDoubt, noteDoubt } from '../in-doubt.ts';
import { headerOf, statusOf } from '../provider-error.ts';
import { isTransient } from '../retry.ts';
import type { Settings } from '../settings.ts';
import { isRegion } from '../signing/bucket-endpoints.ts';

/** The region that requests are signed for. AWS has many, and the SDK follows its redirects; other servers have one, and report it. */
export class LearnedRegion {
  current: string;
  readonly #isAws: boolean;

  constructor({ region, isAws }: Pick<Settings, 'region' | 'isAws'>) {
    this.current = region;
    this.#isAws = isAws;
  }

  /** @returns whether the region now differs from `used` */
  learn(used: string, refusal: Error & { readonly Region?: unknown }): boolean {
    const reported = headerOf(refusal, 'x-amz-bucket-region') ?? refusal.Region;
    if (!this.#isAws && typeof reported === 'string' && isRegion(reported)) this.current = reported;
    return this.current !== used;
  }
}

/**
 * Repeats a request if its refusal has taught something: the time, the region, or other keys; once for each. The SDK itself keeps keys that
 * do not expire, and does not notice that a clock is right again.
 */
export function addCorrections(client: S3Client, { clock, credentials }: Connection, region: LearnedRegion): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const corrected: string[] = [];
      for (;;) {
        const used = credentials.known ?? (await credentials.load());
        const { offset } = clock;
        const usedRegion = region.current;
        try {
          return await next(args);
        } catch (error) {
          const status = statusOf(error) ?? 0;
          const isRefusal = (status >= 400 && status <= 403) || status === 301 || status === 307;
          if (!(error instanceof Error) || !isRefusal || (args.input as { Body?: unknown }).Body instanceof Readable) throw error;
          const learned = clock.learn(headerOf(error, 'date'), offset) ? 'clock' : region.learn(usedRegion, error) ? 'region' : undefined;
          const correction = learned ?? ((await credentials.replace(used, error)) ? 'credentials' : undefined);
          if (correction === undefined || corrected.includes(correction)) throw error;
          corrected.push(correction);
        }
      }
    },
    { step: 'initialize', name: 'corrections', priority: 'low' },
  );
}

/** Makes the SDK retry all that the lean client does: it does not recognize every failure of the network, or of another change at the same time. */
export function addTransientErrors(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        if (error instanceof Error && isTransient(error)) Object.assign(error, { $retryable: {} });
        throw error;
      }
    },
    { step: 'finalizeRequest', name: 'transientErrors', priority: 'low' },
  );
}

/** Records in each error whether an earlier attempt may have been carried out, as the lean client does. */
export function trackInDoubt(client: S3Client): void {
  client.middlewareStack.add(
    (next) => {
      let wasInDoubt = false;
      return async (args) => {
        try {
          return await next(args);
        } catch (error) {
          if (wasInDoubt) noteDoubt(error);
          wasInDoubt ||= isInDoubt(error);
          throw error;
        }
      };
    },
    { step: 'finalizeRequest', name: 'inDoubt', priority: 'low' },
  );
}
