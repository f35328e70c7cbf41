import { memoryBackend, StorageService } from '@coffer/storage-core';
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import type { Options, Sql } from 'postgres';
import { describe, expect, it } from 'vitest';

import { FileService } from '../file-service.ts';

const storage = new StorageService({ backend: memoryBackend(), defaultBucket: 'my-files' });

// No client connects before its first statement.
const serviceOn = (options: Options<Record<string, never>>): FileService =>
  new FileService({ db: drizzle(postgres('postgres://nobody@127.0.0.1:1/none', options)), storage });

describe('the client of a file service', () => {
  it.each([
    ['renames columns', { transform: postgres.camel }],
    ['renames columns one way', { transform: { column: { from: postgres.toPascal } } }],
    ['changes values', { transform: { value: (value: unknown) => value ?? '' } }],
    ['changes rows', { transform: { row: () => ({}) } }],
  ])('is refused where it %s', (_what, options) => {
    expect(() => serviceOn(options)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it.each([
    [{}],
    [{ transform: { undefined: null } }],
    [{ prepare: false, max: 1 }],
    [{ transform: { column: { to: postgres.fromCamel } } }],
  ])('may be any other: %j', (options) => {
    expect(() => serviceOn(options)).not.toThrow();
  });

  it.each([
    ['of another driver', 'invalid_argument', { $client: { options: {} } }],
    ['that is missing, as of a transaction', 'storage_not_configured', { execute() {} }],
  ])('is told from one %s', (_which, code, db) => {
    expect(() => new FileService({ db: db as unknown as { readonly $client: Sql }, storage })).toThrowError(
      expect.objectContaining({ code, message: expect.stringContaining('postgres.js') }),
    );
  });

  it("is all that is required of `db`, whose type differs in drizzle's CommonJS build", () => {
    const db: { readonly $client: Sql } = { $client: postgres('postgres://nobody@127.0.0.1:1/none') };
    expect(() => new FileService({ db, storage })).not.toThrow();
  });
});
