import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { openStore } from './open-store.ts';
import { awsProfile } from './profile.ts';
import { pullObject } from './pull.ts';
import { getObject } from './read.ts';
import type { Store } from './store.ts';
import { newStage } from './testing/lean.ts';
import { refusal } from './testing/scripted.ts';
import type { Answer } from './testing/scripted.ts';

const { serve, open, clear } = newStage();
afterEach(clear);

const at = { bucket: 'bucket', key: 'key' };
const modified = new Date('2026-01-01T00:00:00Z');
/** Bytes; more than all buffers on the way hold. */
const size = 50e6;
/** Ignores ranges and conditions. */
const all: Answer = (_request, response) => {
  response.writeHead(200, { etag: '"tag"', 'last-modified': modified.toUTCString(), 'content-length': size });
  response.end(Buffer.alloc(size));
};

async function storeTo(answer: Answer, transport: 'lean' | 'sdk'): Promise<{ store: Store; open: () => number }> {
  const server = await serve(answer);
  const keys = { accessKey: 'key', secretKey: 'secret' };
  const store = openStore({ endpoint: server.endpoint, ...keys, transport, maxRetries: 0, maxPoolConnections: 2 }, awsProfile);
  open.push(() => store.connection.close());
  return { store, open: () => server.requests.filter(({ socket }) => !socket.destroyed).length };
}

describe.each(['lean', 'sdk'] as const)('the body of an answer that nobody wants (%s)', (transport) => {
  it.each([
    ['has not changed', { ifNoneMatch: ['tag'] }, { kind: 'not_modified' }],
    ['is no newer', { ifModifiedSince: modified }, { kind: 'not_modified' }],
    ['is another one', { ifMatch: ['other'] }, { code: 'precondition_failed' }],
    ['is not the range', { range: { start: 1, end: 2 } }, { code: 'not_supported' }],
  ])('holds neither a connection nor a place when it %s', async (_what, options, expected) => {
    const { store, open: connections } = await storeTo(all, transport);
    for (let turn = 0; turn < 3; turn++) {
      const outcome = getObject(store, at, options, noContext).catch((error: unknown) => error);
      expect(await outcome).toMatchObject(expected);
    }
    await expect.poll(connections).toBe(0);
    (await store.downloads.take(1, { signal: AbortSignal.timeout(500) }))();
  });
});

it.each([
  ['that are refused', refusal(404, 'NoSuchKey')],
  [
    'that are cut off',
    (({ socket }, response) => {
      response.writeHead(200, { etag: '"tag"', 'content-length': 10 }).write('x', () => socket.destroy());
    }) satisfies Answer,
  ],
] as [string, Answer][])('pulls %s leave their places to the others', async (_what, answer) => {
  const { store } = await storeTo(answer, 'lean');
  const most = store.connection.agent.maxSockets;
  for (let turn = 0; turn < 3; turn++) {
    const pulling = pullObject(store, store.transport.pull!, { at, options: {}, sink: () => {} }, noContext);
    await expect(pulling).rejects.toMatchObject({ code: expect.any(String) });
  }
  await expect.poll(() => store.connection.agent.maxSockets).toBe(most);
});
