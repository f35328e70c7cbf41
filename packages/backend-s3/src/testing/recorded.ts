import { Readable } from 'node:stream';

import type { S3Client } from '@aws-sdk/client-s3';
import { readAll } from '@coffer/storage-core';

/** The documents of all further answers to a client of the AWS SDK, oldest first. */
export function recorded(client: S3Client): readonly string[] {
  const documents: string[] = [];
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { body: Readable };
      const raw = await readAll(response.body);
      documents.push(raw.toString());
      response.body = Readable.from([raw]);
      return result;
    },
    { step: 'deserialize', priority: 'low' },
  );
  return documents;
}
