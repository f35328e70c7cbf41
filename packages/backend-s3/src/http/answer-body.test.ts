import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { bodyOf } from './answer-body.ts';
import type { AnswerBody } from './answer-body.ts';

/** A body that is full, with more waiting in the stream it comes from. */
async function fullBody(): Promise<{ readonly body: AnswerBody; readonly stream: Readable; readonly wanted: number[] }> {
  const stream = new Readable({ read() {} });
  const body = bodyOf(stream);
  const wanted: number[] = [];
  body.resumer = { onComplete: () => {}, onDemand: () => void wanted.push(body.received), onSourceFailure: () => false };
  stream.push(Buffer.alloc(70_000, 'a'));
  await turn();
  stream.push(Buffer.alloc(5000, 'b'));
  await turn();
  expect([body.received, stream.readableLength]).toEqual([70_000, 5000]);
  return { body, stream, wanted };
}

it('gets nothing more of a stream that was just about to flow again when it was lent: the rest is asked for from there', async () => {
  const { body } = await fullBody();
  body.read();
  body.releaseSource();
  await turn();
  expect(body.received).toBe(70_000);
  expect(body.destroyed).toBe(false);
});

it('does not end with a stream that it has abandoned', async () => {
  const stream = new Readable({ read() {} });
  const body = bodyOf(stream);
  body.resumer = { onComplete: () => {}, onDemand: () => {}, onSourceFailure: () => false };
  stream.push('some');
  await turn();
  stream.push(null);
  body.releaseSource();
  await turn();
  expect([body.received, body.isComplete]).toEqual([4, false]);
});

it('accepts no new source once it was destroyed', async () => {
  const { body } = await fullBody();
  body.releaseSource();
  body.destroy();
  let isLeft = false;
  body.continueFrom({ flow: () => {}, abandon: () => void (isLeft = true) });
  expect([isLeft, body.hasSource]).toEqual([true, false]);
});
