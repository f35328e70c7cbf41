import { describe, expect, it } from 'vitest';

import { assertBucketName, bucketNameProblem } from './bucket-name.ts';

describe('bucket names', () => {
  it.each(['abc', 'a-b', '123', 'a1b2c3', 'acme-uploads', 'x'.repeat(63), '0ab', 'xn-a', 'a--b', '1-2-3', '1-2-3-4-5', 'v1-2-3-4'])(
    'takes %s',
    (name) => {
      expect(bucketNameProblem(name)).toBeUndefined();
      expect(() => assertBucketName(name)).not.toThrow();
    },
  );

  it.each([
    undefined as never,
    '',
    'ab',
    'x'.repeat(64),
    'Abc',
    'a_b',
    'a.b',
    'a b',
    'a/b',
    '../etc',
    '..',
    'äbc',
    'abc\n',
    'a\0bc',
    '-abc',
    'abc-',
    '192.168.0.1',
    '192-168-0-1',
    'xn--abc',
    'sthree-abc',
    'abc-s3alias',
    'abc--ol-s3',
  ])('refuses %j', (name) => {
    expect(bucketNameProblem(name)).toMatch(/^A bucket name /);
    expect(() => assertBucketName(name)).toThrowError(
      expect.objectContaining({ code: 'invalid_bucket_name', name: 'InvalidBucketNameError' }),
    );
  });
});
