import { setImmediate } from 'node:timers/promises';

import type { ListPage } from '@coffer/storage-core';

import { call } from '../call.ts';
import { bucketsFrom, listPageFrom, nextTokenAtBeginning, nextTokenAtEnd } from '../documents/list.ts';
import { queryOf } from '../signing/signature.ts';
import type { Transport } from '../transport.ts';
import type { LeanClient } from './client.ts';

/** The frequent calls about buckets, without the SDK. */
export function leanBuckets(client: LeanClient): Pick<Transport, 'list' | 'headBucket' | 'listBuckets'> {
  return {
    list(bucket, { prefix, delimiter, maxKeys, continuationToken, startAfter, onNextToken }, ctx) {
      const query = queryOf([
        ['continuation-token', continuationToken],
        ['delimiter', delimiter],
        ['encoding-type', 'url'], // XML cannot hold every key
        ['list-type', '2'],
        ['max-keys', maxKeys],
        ['prefix', prefix],
        ['start-after', startAfter],
      ]);
      const { onBeginning, read } =
        onNextToken === undefined ? { onBeginning: undefined, read: listPageFrom } : readReportingToken(onNextToken);
      return client.document('s3:ListBucket', { method: 'GET', at: { bucket }, query, onBeginning }, ctx, read);
    },

    headBucket: (bucket, ctx) =>
      call({ bucket, permission: 's3:ListBucket' }, ctx, async ({ abortSignal }) => {
        const { headers } = await client.answer({ method: 'HEAD', at: { bucket } }, abortSignal);
        return headers['x-amz-bucket-region'];
      }),

    listBuckets({ maxBuckets, prefix, continuationToken }, ctx) {
      const query = queryOf([
        ['continuation-token', continuationToken],
        ['max-buckets', maxBuckets],
        ['prefix', prefix],
      ]);
      return client.document('s3:ListAllMyBuckets', { method: 'GET', at: {}, query }, ctx, bucketsFrom);
    },
  };
}

/** Reads a page, and reports the token of the next one as soon as it has arrived: a thousand objects take a while to arrive and to read. */
function readReportingToken(report: (continuationToken: string) => void): {
  readonly onBeginning: (beginning: Buffer) => void;
  readonly read: (document: string) => Promise<ListPage>;
} {
  let isReported = false;
  const reportOnce = (token: string | undefined): void => {
    if (token === undefined || isReported) return; // an earlier attempt may have reported it
    isReported = true;
    report(token);
  };
  return {
    onBeginning: (beginning) => reportOnce(nextTokenAtBeginning(beginning)),
    async read(document) {
      if (!isReported) reportOnce(nextTokenAtEnd(document));
      if (isReported) await setImmediate(); // requests made meanwhile are sent first
      return listPageFrom(document);
    },
  };
}
