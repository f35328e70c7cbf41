import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

import { describe, expect, it } from 'vitest';

import { storageError } from '../errors.ts';
import { problemHeaders, problemOf, sendProblem, validationFailed } from './problem.ts';

describe('a problem document', () => {
  it('of a request that is not valid names at least one mistake', () => {
    const message = 'The form is cut short.';
    expect(problemOf(storageError('validation_failed', message), 'r1')).toMatchObject({
      status: 400,
      request_id: 'r1',
      errors: [{ field: 'request', message }],
    });
    const errors = [{ field: 'acl', message: 'is unknown' }];
    expect(problemOf(validationFailed(errors)).errors).toEqual(errors);
  });

  it('of anything else has no list of mistakes', () => {
    expect(problemOf(storageError('file_not_found', 'Gone.'))).not.toHaveProperty('errors');
  });

  it('is not sent to a client that has left, and the process goes on', async () => {
    const response = new ServerResponse(new IncomingMessage(new Socket()));
    response.destroy();
    sendProblem(response, new Error('too late'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(response.headersSent).toBe(false);
  });

  it('is kept by no cache, and taken for nothing else by any browser', () => {
    const always = { 'content-type': 'application/problem+json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
    expect(problemHeaders(storageError('file_not_found', 'Gone.'))).toEqual(always);
    expect(problemHeaders(storageError('unauthorized', 'Who?'))).toEqual({ ...always, 'www-authenticate': 'Bearer' });
    expect(problemHeaders(storageError('storage_unavailable', 'Later.', { retryAfter: 9 }))).toEqual({ ...always, 'retry-after': '9' });
  });
});
