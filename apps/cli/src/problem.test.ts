import { constants } from 'node:os';

import { expect, it } from 'vitest';

import { problemOf } from './problem.ts';

it('a quota that is used up is told as one, though Node has no name for it', () => {
  const errno = -constants.errno.EDQUOT;
  const error = Object.assign(new Error('write'), { errno, code: `Unknown system error ${errno}`, syscall: 'write' });
  expect(problemOf(error)).toEqual({ code: 'disk_full', message: 'The disk quota is used up.' });
});

it('a current directory that is gone is told as that', () => {
  const error = Object.assign(new Error('ENOENT: process.cwd failed'), { code: 'ENOENT', errno: -2, syscall: 'uv_cwd' });
  expect(problemOf(error)).toEqual({ code: 'no_such_file', message: 'The current directory no longer exists.' });
});
