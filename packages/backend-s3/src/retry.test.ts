import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { AnswerError } from './documents/answer-error.ts';
import { DefaultRateLimiter } from './rate-limiter.ts';
import { delayAfter, RetryPolicy } from './retry.ts';

// The delays are real; the spy shows how long they were asked to be.
vi.mock(import('node:timers/promises'), { spy: true });

const answer = (status: number, name = '', headers = {}): Error => new AnswerError(status, headers, `<Code>${name}</Code>`);
const failure = (code: string): Error => Object.assign(new Error(code), { code });
const standard = { maxRetries: 3, retryMode: 'standard', patient: false } as const;

beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(0);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('retries', () => {
  it.each([
    ['500', answer(500, 'InternalError')],
    ['503', answer(503)],
    ['429', answer(429)],
    ['SlowDown', answer(503, 'SlowDown')],
    ['RequestTimeout', answer(400, 'RequestTimeout')],
    ['a cut connection', failure('ECONNRESET')],
    ['a connection that is cut while a request is written', failure('EPIPE')],
    ['a missing server', failure('ECONNREFUSED')],
    ['no file for its socket', failure('EMFILE')],
    ['a timeout', Object.assign(new Error('late'), { name: 'TimeoutError' })],
  ])('follow %s', async (_name, error) => {
    expect(await new RetryPolicy(standard).waitForRetry(error, 1, undefined)).toMatchObject({ amount: expect.any(Number) as number });
  });

  it.each([
    ['404', answer(404, 'NoSuchKey')],
    ['403', answer(403, 'AccessDenied')],
    ['501', answer(501, 'NotImplemented')],
    ['a certificate', failure('CERT_HAS_EXPIRED')],
    ['a mistake of ours', new TypeError('x is undefined')],
  ])('do not follow %s', async (_name, error) => {
    await expect(new RetryPolicy(standard).waitForRetry(error, 1, undefined)).rejects.toBe(error);
  });

  it('end after as many as are allowed', async () => {
    const policy = new RetryPolicy({ ...standard, maxRetries: 1 });
    await policy.waitForRetry(answer(500), 1, undefined);
    await expect(policy.waitForRetry(answer(500), 2, undefined)).rejects.toMatchObject({ $metadata: { httpStatusCode: 500 } });
    await expect(new RetryPolicy({ ...standard, maxRetries: 0 }).waitForRetry(answer(500), 1, undefined)).rejects.toThrow();
  });

  it('become few while everything fails, and many again afterwards', async () => {
    const policy = new RetryPolicy(standard);
    const count = async (): Promise<number> => {
      for (let made = 0; ; made++) {
        const cost = await policy.waitForRetry(answer(500), 1, undefined).catch(() => undefined);
        if (cost === undefined) return made;
      }
    };
    for (let success = 0; success < 20; success++) policy.succeeded(); // which saves nothing up
    expect(await count()).toBe(35); // 500 divided by 14
    expect(await count()).toBe(0);
    policy.succeeded('bucket', { amount: 14, isThrottled: true }); // which had a budget of its own
    expect(await count()).toBe(0);
    for (let success = 0; success < 28; success++) policy.succeeded();
    expect(await count()).toBe(2);
    policy.succeeded('bucket', { amount: 14, isThrottled: false });
    expect(await count()).toBe(1);
  });

  it('become few for a bucket that is throttled, and for no other', async () => {
    const policy = new RetryPolicy(standard);
    const count = async (bucket: string): Promise<number> => {
      const retries = Array.from({ length: 200 }, () => policy.waitForRetry(answer(503, 'SlowDown'), 1, undefined, bucket));
      return (await Promise.allSettled(retries)).filter(({ status }) => status === 'fulfilled').length;
    };
    expect(await count('throttled')).toBe(100); // 500 divided by 5: a server that throttles is there
    expect(await count('throttled')).toBe(0);
    expect(await policy.waitForRetry(answer(500), 1, undefined, 'throttled')).toEqual({ amount: 14, isThrottled: false });
    expect(await count('other')).toBe(100);
    for (let success = 0; success < 9; success++) policy.succeeded('throttled');
    policy.succeeded('throttled', { amount: 14, isThrottled: false }); // which was not taken from its budget
    policy.succeeded('throttled', { amount: 5, isThrottled: true });
    expect(await count('throttled')).toBe(3);
    for (let success = 0; success < 600; success++) policy.succeeded('throttled');
    expect(await count('throttled')).toBe(100);
  });

  it('wait longer each time, longest while a server throttles', () => {
    expect([1, 2, 3, 20].map((attempt) => delayAfter(answer(500), attempt, 1))).toEqual([50, 100, 200, 20_000]);
    expect([1, 2, 3, 20].map((attempt) => delayAfter(answer(429), attempt, 1))).toEqual([1000, 2000, 4000, 20_000]);
    expect(delayAfter(answer(500), 3, 0.5)).toBe(100);
  });

  it('wait as long as a server asks, within reason', () => {
    const after = (headers: Readonly<Record<string, string>>): number => delayAfter(answer(503, '', headers), 1, 1);
    expect(after({ 'retry-after': '2' })).toBe(2000);
    expect(after({ 'retry-after': '3600' })).toBe(5050);
    expect(after({ 'retry-after': new Date(Date.now() + 3_600_000).toUTCString() })).toBe(5050);
    expect(after({ 'x-amz-retry-after': '700' })).toBe(700);
    expect(after({ 'retry-after': 'soon' })).toBe(50);
  });

  it('wait seconds for a server that is expected back', () => {
    expect([1, 2, 3].map((attempt) => delayAfter(failure('ECONNREFUSED'), attempt, 1, true))).toEqual([1000, 2000, 4000]);
    expect(delayAfter(failure('ECONNREFUSED'), 3, 0, true)).toBe(2000);
  });

  describe('in patient mode', () => {
    const gone = failure('ECONNREFUSED');
    const patient = { ...standard, patient: true };
    const pause = async (policy: RetryPolicy, error = gone): Promise<number> => {
      await policy.waitForRetry(error, 1, undefined);
      return vi.mocked(delay).mock.lastCall?.[0] ?? NaN;
    };

    it('wait for a server that answered before', async () => {
      const policy = new RetryPolicy(patient);
      policy.succeeded();
      for (const error of [gone, answer(503)]) expect(await pause(policy, error)).toBe(500);
      await expect(policy.waitForRetry(answer(404), 1, undefined)).rejects.toThrow(); // the server has answered that
      expect(await pause(policy)).toBe(500);
    });

    it('wait no longer than usual for a server that never answered, or that still answers', async () => {
      const policy = new RetryPolicy(patient);
      expect(await pause(policy)).toBe(0);
      policy.succeeded();
      for (const error of [answer(500), answer(503, 'SlowDown')]) expect(await pause(policy, error)).toBe(0);
      const others = new RetryPolicy(standard);
      others.succeeded();
      expect(await pause(others)).toBe(0);
    });

    it('are unlimited for concurrent callers, and limited once one has waited in vain', async () => {
      const policy = new RetryPolicy(patient);
      policy.succeeded();
      await Promise.all(Array.from({ length: 1000 }, () => policy.waitForRetry(gone, 1, undefined)));
      await expect(policy.waitForRetry(gone, 4, undefined)).rejects.toBe(gone);
      expect(await pause(policy)).toBe(0);
      policy.succeeded();
      expect(await pause(policy)).toBe(500);
    });
  });

  it('are given up with their signal', async () => {
    const cancel = new AbortController();
    const again = new RetryPolicy(standard).waitForRetry(answer(503, 'SlowDown', { 'retry-after': '5' }), 1, cancel.signal);
    cancel.abort();
    await expect(again).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('in adaptive mode slow all requests down while a server throttles', async () => {
    vi.useFakeTimers({ toFake: ['Date'] }); // so that the load of this machine is not measured
    const policy = new RetryPolicy({ ...standard, retryMode: 'adaptive' });
    expect(new RetryPolicy(standard).pace(undefined)).toBeUndefined();
    await policy.pace(undefined);
    const cancel = new AbortController();
    const begun = async (error: Error): Promise<number> => {
      for (let request = 0; request < 5; request++) policy.succeeded();
      await policy.waitForRetry(error, 1, undefined);
      let count = 0;
      for (let request = 0; request < 5; request++) {
        policy.pace(cancel.signal)!.then(
          () => count++,
          () => {},
        );
      }
      await delay(100);
      return count;
    };
    expect(await begun(answer(500))).toBe(5);
    expect(await begun(answer(503, 'SlowDown'))).toBeLessThan(5);
    const told = vi.spyOn(DefaultRateLimiter.prototype, 'updateClientSendingRate');
    policy.succeeded();
    expect(told.mock.calls).toEqual([[{}]]); // so that they become faster again
    const waiting = policy.pace(cancel.signal);
    cancel.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });
});
