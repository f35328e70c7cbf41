import { expect, it } from 'vitest';

import type { StorageBackend } from '../backend.ts';
import { noContext } from '../context.ts';
import { memoryBackend } from '../memory-backend.ts';
import type { Around, Call } from './wrap-backend.ts';
import { wrapBackend } from './wrap-backend.ts';

/** A backend with every ability; each call returns the arguments it got and whether `this` was right. */
function echoing(): StorageBackend {
  const group = (...names: readonly string[]): Record<string, unknown> => {
    const operations: Record<string, unknown> = {};
    for (const name of names) {
      operations[name] = async function (this: unknown, ...args: unknown[]) {
        return { name, args, bound: this === operations };
      };
    }
    return operations;
  };
  return {
    name: 'echo',
    ...group('check', 'put', 'get', 'head', 'delete', 'copy', 'list', 'close'),
    batchDelete: group('deleteMany'),
    buckets: group('create', 'head', 'find', 'list', 'delete', 'provision'),
    acl: group('getObjectAcl', 'setObjectAcl', 'getBucketAcl', 'setBucketAcl'),
    presign: group('upload', 'download'),
    versioning: group('getVersioning', 'setVersioning'),
    lifecycle: group('getLifecycle', 'setLifecycle', 'deleteLifecycle'),
    maintenance: group('sweep'),
  } as unknown as StorageBackend;
}

type Echo = (...args: unknown[]) => Promise<{ readonly name: string; readonly args: unknown[]; readonly bound: boolean }>;

it('hands every operation of every ability through, with its arguments and its `this`', async () => {
  const seen: Call[] = [];
  const note: Around = (call, next) => {
    seen.push(call);
    return next();
  };
  const inner = echoing();
  const wrapped = wrapBackend(inner, note) as unknown as Record<string, Record<string, Echo>>;
  const abilities = Object.entries(inner).filter(([, value]) => typeof value === 'object');
  expect(abilities.length).toBe(7);
  for (const [ability, operations] of abilities) {
    for (const name of Object.keys(operations as object)) {
      // The context is the last argument, whatever their number.
      for (const args of [[noContext], ['bucket', noContext], ['bucket', {}, noContext], ['bucket', {}, {}, noContext]]) {
        const { length } = wrapped[ability]![name]!;
        if (args.length !== length) continue;
        expect(await wrapped[ability]![name]!(...args)).toEqual({ name, args, bound: true });
        expect(seen.at(-1)?.ctx).toBe(noContext);
      }
    }
  }
  expect(new Set(seen.map((call) => call.operation)).size).toBe(17);
});

it('leaves out what the inner backend lacks', () => {
  const wrapped = wrapBackend(memoryBackend());
  expect(wrapped).not.toHaveProperty('presign');
  expect(wrapped).not.toHaveProperty('versioning');
  expect(wrapped.buckets).not.toHaveProperty('provision');
});

it('applies layers from the outside in, each of which may call again', async () => {
  const order: string[] = [];
  const layer =
    (name: string): Around =>
    async (_call, next) => {
      order.push(name);
      return next();
    };
  const twice: Around = async (_call, next) => {
    await next();
    return next();
  };
  await wrapBackend(memoryBackend({ buckets: ['suite'] }), layer('outer'), twice, layer('inner')).list('suite', {}, noContext);
  expect(order).toEqual(['outer', 'inner', 'inner']);
});
