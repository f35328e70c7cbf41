import { Readable } from 'node:stream';

import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { newStage } from './testing/lean.ts';
import type { Answer } from './testing/scripted.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

/** What is left of another answer, as from a proxy that has lost count. */
const leftover: Answer = (request, response) => {
  request.resume();
  response.socket!.end('the rest of an object\r\n\r\n');
};

describe.each(['lean', 'sdk'] as const)('the error about an answer that is none (%s)', (transport) => {
  it.each(['a read', 'a look', 'a write', 'a streamed write'])('does not hold the bytes that came instead, after %s', async (what) => {
    const backend = backendTo(await serve(leftover), { transport, forcePathStyle: true });
    const at = { bucket: 'bucket', key: 'key' };
    const data = Buffer.alloc(300_000);
    const write = { contentType: 'text/plain' };
    const calls: Record<string, () => Promise<unknown>> = {
      'a read': () => backend.get(at, {}, noContext),
      'a look': () => backend.head(at, noContext),
      'a write': () => backend.put(at, { kind: 'buffer', data }, write, noContext),
      'a streamed write': () => backend.put(at, { kind: 'stream', stream: Readable.from([data]), size: data.length }, write, noContext),
    };
    const error = (await calls[what]!().catch((thrown: unknown) => thrown)) as Error & { readonly cause: Error };
    expect(error).toMatchObject({ code: 'storage_unavailable', cause: { code: expect.stringMatching(/^HPE_/) as string } });
    // As a log does: everything that can be enumerated.
    expect(JSON.stringify(error.cause)).not.toContain(JSON.stringify([...Buffer.from('the rest')]).slice(1, -1));
  });
});
