import { constants } from 'node:os';

import { expect, it } from 'vitest';

import { problemOf } from './problem.ts';

it('an exceeded disk quota is reported as such, though Node has no name for the error', () => {
  const errno = -constants.errno.EDQUOT;
  const error = Object.assign(new Error('write'), { errno, code: `Unknown system error ${errno}`, syscall: 'write' });
  expect(problemOf(error)).toEqual({ code: 'disk_full', message: 'The disk quota is used up.' });
});

it('a current directory that no longer exists is reported as such', () => {
  const error = Object.assign(new Error('ENOENT: process.cwd failed'), { code: 'ENOENT', errno: -2, syscall: 'uv_cwd' });
  expect(problemOf(error)).toEqual({ code: 'no_such_file', message: 'The current directory no longer exists.' });
});
