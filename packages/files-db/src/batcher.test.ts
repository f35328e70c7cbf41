import { setImmediate as turn } from 'node:timers/promises';

import { storageError } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import { Batcher } from './batcher.ts';
import type { BatchStatements } from './batcher.ts';

/** Statements that return their parameters, with a record of each call; `one` also records its end. */
function recorded(many?: BatchStatements<number, number>['many']): {
  readonly gathered: Batcher<number, number>;
  readonly made: unknown[];
} {
  const made: unknown[] = [];
  const gathered = new Batcher<number, number>({
    one: async (parameters) => {
      made.push(parameters);
      await turn();
      made.push('done');
      return parameters;
    },
    many: async (parameters) => {
      made.push(parameters);
      return many === undefined ? parameters : many(parameters);
    },
  });
  return { gathered, made };
}

it('runs one statement for all calls that wait, up to 64, and the plain one for a single call', async () => {
  const { gathered, made } = recorded();
  const numbers = Array.from({ length: 65 }, (_, index) => index);
  const all = Promise.all(numbers.map((number) => gathered.add(number)));
  await gathered.flush();
  expect([made, gathered.isWaiting]).toEqual([[numbers.slice(0, 64)], true]);
  await gathered.flush();
  expect([made, gathered.isWaiting]).toEqual([[numbers.slice(0, 64), 64, 'done'], false]);
  expect(await all).toEqual(numbers);
});

const away = storageError('storage_unavailable', 'away', { cause: Object.assign(new Error('gone'), { code: 'CONNECTION_CLOSED' }) });
const deadlock = storageError('storage_unavailable', 'in the way', { cause: Object.assign(new Error('circle'), { code: '40P01' }) });

it.each<[string, BatchStatements<number, number>['many']]>([
  ['cannot be done together', async () => undefined],
  ['were in the way of others', () => Promise.reject(deadlock)],
  ['hold something wrong', () => Promise.reject(storageError('validation_failed', 'wrong'))],
])('makes one after the other where they %s', async (_how, many) => {
  const { gathered, made } = recorded(many);
  const both = Promise.all([gathered.add(1), gathered.add(2)]);
  await gathered.flush();
  expect(await both).toEqual([1, 2]);
  expect(made).toEqual([[1, 2], 1, 'done', 2, 'done']);
});

it('asks an unavailable database once for all calls, and tells each of them', async () => {
  const { gathered, made } = recorded(() => Promise.reject(away));
  const both = Promise.allSettled([gathered.add(1), gathered.add(2)]);
  await gathered.flush();
  expect(await both).toMatchObject([{ reason: away }, { reason: away }]);
  expect(made).toEqual([[1, 2]]);
});
