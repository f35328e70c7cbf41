import type { IncomingMessage } from 'node:http';

import { destroyOnAbort } from '@coffer/storage-core';

/** More than a thousand of the longest keys. */
const longestDocument = 16 * 2 ** 20;

/** The text of an answer. Rejects when it ends early, and when it is longer than any document of S3. */
export async function readDocument(answer: IncomingMessage, signal: AbortSignal | undefined): Promise<string> {
  destroyOnAbort(answer, signal);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    if ((size += chunk.length) > longestDocument) throw new Error('The answer is longer than any document of S3.');
  }
  return chunks.length === 1 ? chunks[0]!.toString() : Buffer.concat(chunks).toString();
}
