import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';

import { expect, it } from 'vitest';

import { lingerAtEnd } from './request-body.ts';

it('a connection that was to be lingered over after many requests, and stayed open, closes as any other', () => {
  const socket = new Socket();
  for (let index = 0; index < 20_000; index++) lingerAtEnd(Object.assign(new IncomingMessage(socket), { complete: true }));
  socket.destroySoon();
  expect(socket.destroyed || socket.writableEnded).toBe(true);
});
