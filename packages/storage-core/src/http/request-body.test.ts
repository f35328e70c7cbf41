import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';

import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { assertPlainBody, readBody, requestBody } from './request-body.ts';

/** A request of which `chunks` have arrived; those are all of it if `whole`. */
function request(chunks: readonly string[] = [], { whole = true } = {}): IncomingMessage {
  const incoming = new IncomingMessage(new Socket());
  for (const chunk of chunks) incoming.push(Buffer.from(chunk));
  if (whole) incoming.push(null);
  return incoming;
}

const ways = [
  ['as a stream', (incoming: IncomingMessage, limit: number) => buffer(requestBody(incoming, limit))],
  ['at once', (incoming: IncomingMessage, limit: number) => readBody(incoming, limit)],
] as const;

describe.each(ways)('the body of a request that is read %s', (_how, read) => {
  it('is what came, in one chunk or in several, up to the limit and not a byte more', async () => {
    for (const chunks of [['abcdef'], ['abc', 'def']]) {
      expect((await read(request(chunks), 6)).toString()).toBe('abcdef');
      await expect(read(request(chunks), 5)).rejects.toMatchObject({ code: 'payload_too_large' });
    }
    expect(await read(request(), 0)).toHaveLength(0);
  });

  it('fails when the client goes away before all of it is here, or is gone already', async () => {
    const incoming = request(['abc'], { whole: false });
    const reading = read(incoming, 6);
    incoming.destroy();
    await expect(reading).rejects.toThrow('The client went away before the body was whole.');
    await expect(read(incoming, 6)).rejects.toThrow('The client went away before the body was whole.');
  });

  it('is refused where somebody has read it before, as the parser of a framework does', async () => {
    const incoming = request(['abc']);
    await buffer(incoming);
    const refusal = { code: 'invalid_argument', message: 'The body stream has been read already.' };
    await expect(read(incoming, 6)).rejects.toMatchObject(refusal);
  });

  it('leaves a request that is larger than the limit as it is, so that it can be answered', async () => {
    const incoming = request(['abcdef'], { whole: false });
    await expect(read(incoming, 5)).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(incoming.destroyed).toBe(false);
    expect(incoming.isPaused()).toBe(true);
    expect(incoming.listenerCount('data') + incoming.listenerCount('close')).toBe(0);
  });
});

it('a body that nobody reads yet keeps its failure, and the process goes on', async () => {
  const incoming = request(['abc'], { whole: false });
  const body = requestBody(incoming);
  incoming.destroy();
  await expect.poll(() => body.closed).toBe(true);
  await expect(buffer(body)).rejects.toThrow('The client went away before the body was whole.');
});

it('a body that is read at once is given up in time, and leaves no timer once it is here or refused', async () => {
  onTestFinished(() => void vi.useRealTimers());
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const [late, whole, gone] = [0, 1, 2].map(() => request(['abc'], { whole: false })) as [
    IncomingMessage,
    IncomingMessage,
    IncomingMessage,
  ];
  gone.destroy();
  const [given, arrived, refused] = [late, whole, gone].map((incoming) => readBody(incoming, 6, 1000));
  const outcomes = Promise.allSettled([given, arrived, refused]);
  await turn();
  whole.push(null);
  await turn();
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(1000);
  expect(await outcomes).toMatchObject([
    { status: 'rejected', reason: { code: 'validation_failed' } },
    { status: 'fulfilled' },
    { status: 'rejected', reason: { message: 'The client went away before the body was whole.' } },
  ]);
});

it('a body that is read as a stream comes no faster than its reader takes it', async () => {
  const incoming = request([], { whole: false });
  const body = requestBody(incoming);
  body.read(0);
  for (let chunk = 0; chunk < 100; chunk++) {
    incoming.push(Buffer.alloc(65_536));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(body.readableLength).toBeLessThan(1_000_000);
});

describe('a body that is taken as it is', () => {
  const withHeaders = (headers: Record<string, string>): IncomingMessage => Object.assign(request(), { headers });

  it.each([{}, { 'content-encoding': ' Identity ' }, { 'content-encoding': '' }, { 'transfer-encoding': 'Chunked' }])(
    'may have %j',
    (headers) => {
      expect(() => assertPlainBody(withHeaders(headers as Record<string, string>))).not.toThrow();
    },
  );

  it.each([
    [{ 'content-encoding': 'gzip' }, 'unsupported_media_type'],
    [{ 'transfer-encoding': 'gzip, chunked' }, 'unsupported_media_type'],
    [{ 'content-range': 'bytes 0-1/2' }, 'validation_failed'],
  ])('may not have %j', (headers, code) => {
    expect(() => assertPlainBody(withHeaders(headers as unknown as Record<string, string>))).toThrow(expect.objectContaining({ code }));
  });
});
