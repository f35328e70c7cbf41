import { createHash } from 'node:crypto';

import { bucketNameProblem } from '@coffer/storage-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { bucketNameFor, patternProblem, tenantSlugProblem } from './index.ts';

const uuid = '9f1c2b7a-3d4e-4f50-8a6b-7c8d9e0f1a2b';
const bySlug = (slug: string, pattern = '{tenant_slug}-uploads', reserved?: string[]): string =>
  bucketNameFor(pattern, { tenantUuid: uuid, tenantSlug: slug }, reserved);
const hashOf = (value: string): string => createHash('sha256').update(value).digest('hex').slice(0, 16);

describe('clean values stay as they are', () => {
  it.each([
    ['acme', '{tenant_slug}-uploads', 'acme-uploads'],
    ['acme', 'acme-{tenant_slug}', 'acme-acme'],
    ['a', '{tenant_slug}-uploads', 'a-uploads'],
    ['acme-1a2b3c4d', '{tenant_slug}-uploads', 'acme-1a2b3c4d-uploads'],
    ['acme-0123456789abcdef-b', '{tenant_slug}-uploads', 'acme-0123456789abcdef-b-uploads'],
    ['x'.repeat(55), '{tenant_slug}-uploads', `${'x'.repeat(55)}-uploads`],
    ['acme', '{tenant_slug}', 'acme'],
    ['acme', '{tenant_uuid}-uploads', `${uuid}-uploads`],
    ['acme', '{tenant_slug}-{tenant_uuid}', `acme-${uuid}`],
    ['acme', '{tenant_slug}-{tenant_slug}', 'acme-acme'],
  ])('%s in %s is %s', (slug, pattern, name) => {
    expect(bySlug(slug, pattern)).toBe(name);
  });

  it('a field given twice has one reading, whatever the uuid', () => {
    expect(bucketNameFor('{tenant_slug}-{tenant_slug}', { tenantUuid: 'opaque', tenantSlug: 'acme' })).toBe('acme-acme');
  });

  it('a UUID in capitals is the same tenant', () => {
    const pattern = '{tenant_uuid}-uploads';
    expect(bucketNameFor(pattern, { tenantUuid: uuid.toUpperCase(), tenantSlug: 'a' })).toBe(`${uuid}-uploads`);
  });
});

describe('whatever changes gets a hash of the original', () => {
  it.each([
    ['Acme', '{tenant_slug}-uploads', 'acme-#-uploads'],
    ['acme corp', '{tenant_slug}-uploads', 'acme-corp-#-uploads'],
    ['acme_corp', '{tenant_slug}-uploads', 'acme-corp-#-uploads'],
    ['acme.corp', '{tenant_slug}-uploads', 'acme-corp-#-uploads'],
    ['Müller & Söhne', '{tenant_slug}-uploads', 'm-ller-s-hne-#-uploads'],
    ['東京', '{tenant_slug}-uploads', 't-#-uploads'],
    ['Acme', '{tenant_slug}-{tenant_slug}', 'acme-acme-#'],
    ['-acme', '{tenant_slug}-uploads', 'acme-#-uploads'],
    ['acme-', '{tenant_slug}', 'acme-#'],
    ['ab', '{tenant_slug}', 'ab-#'],
    ['192-168-0-1', '{tenant_slug}', '192-168-0-1-#'],
    ['1', '192-168-0-{tenant_slug}', '192-168-0-1-#'],
    ['xn--acme', '{tenant_slug}', 'xn-acme-#'],
    ['sthree-acme', '{tenant_slug}', 't-sthree-acme-#'],
    ['three-acme', 's{tenant_slug}', 'st-three-acme-#'],
    // The S3 backend gives such names to buckets in which it tries a server out, and sweeps delete those that are left.
    ['Coffer-Probe', '{tenant_slug}', 't-coffer-probe-#'],
    ['Probe', 'coffer-{tenant_slug}', 'coffer-t-probe-#'],
    ['acme-s3alias', '{tenant_slug}', 'acme-s3alias-#'],
    ['acme--ol-s3', '{tenant_slug}', 'acme-ol-s3-#'],
    ['acme--ol', '{tenant_slug}-s3', 'acme-ol-#-s3'],
    ['x'.repeat(56), '{tenant_slug}-uploads', `${'x'.repeat(38)}-#-uploads`],
    [`${'x'.repeat(37)}-${'y'.repeat(30)}`, '{tenant_slug}-uploads', `${'x'.repeat(37)}-#-uploads`],
  ])('%s in %s is %s', (slug, pattern, name) => {
    expect(bySlug(slug, pattern)).toBe(name.replace('#', hashOf(slug)));
  });

  it('a clean slug that reads like a hashed one is hashed itself', () => {
    const likeHashed = `acme-${hashOf('Acme')}`;
    expect(bySlug('Acme')).toBe(`${likeHashed}-uploads`);
    expect(bySlug(likeHashed)).toBe(`${likeHashed}-${hashOf(likeHashed)}-uploads`);
  });

  it('a reserved name belongs to no tenant', () => {
    expect(bySlug('staging', '{tenant_slug}-uploads', ['staging-uploads'])).toBe(`staging-${hashOf('staging')}-uploads`);
    expect(bySlug('coffer', '{tenant_slug}-uploads', ['staging-uploads', 'coffer-uploads'])).toBe(`coffer-${hashOf('coffer')}-uploads`);
    expect(bySlug('Acme', '{tenant_slug}', [`acme-${hashOf('Acme')}`])).toBe(`t-acme-${hashOf('Acme')}`);
  });

  it('slug and opaque uuid together have one reading', () => {
    const name = (tenantSlug: string, tenantUuid: string): string =>
      bucketNameFor('{tenant_slug}-{tenant_uuid}', { tenantSlug, tenantUuid });
    expect(name('a-b', 'c')).toBe(`a-b-c-${hashOf('a-b\0c')}`);
    expect(name('a', 'b-c')).toBe(`a-b-c-${hashOf('a\0b-c')}`);
    expect(name('x'.repeat(100), uuid)).toHaveLength(63);
  });

  it.each([
    ['', 'empty'],
    ['a\0b', 'control'],
    ['a\ud800', 'well-formed'],
    [undefined as unknown as string, 'string'],
    [null as unknown as string, 'string'],
  ])('refuses the malformed slug %j', (slug, reason) => {
    expect(() => bySlug(slug)).toThrow(
      expect.objectContaining({ code: 'validation_failed', message: expect.stringContaining(reason) as unknown }),
    );
  });

  it('refuses a wrong pattern', () => {
    expect(() => bySlug('acme', '{slug}')).toThrow(expect.objectContaining({ code: 'storage_not_configured' }));
  });
});

describe('patternProblem', () => {
  it.each(['{tenant_slug}-uploads', '{tenant_uuid}', 'a{tenant_slug}b{tenant_uuid}', `${'x'.repeat(45)}{tenant_slug}`])(
    'takes %s',
    (pattern) => {
      expect(patternProblem(pattern)).toBeUndefined();
    },
  );

  it.each([
    ['{tenant}-uploads', '{tenant} is unknown: allowed are {tenant_slug} and {tenant_uuid}'],
    ['{}-{tenant_slug}', '{} is unknown'],
    ['{constructor}-{tenant_slug}', '{constructor} is unknown'],
    ['{TENANT_SLUG}', '{TENANT_SLUG} is unknown'],
    ['uploads', 'must have a placeholder'],
    ['', 'must have a placeholder'],
    ['{tenant_slug', 'must have a placeholder'],
    ['{tenant_slug}}', 'only lower-case letters'],
    ['Uploads-{tenant_slug}', 'only lower-case letters'],
    ['{tenant_slug}.uploads', 'only lower-case letters'],
    ['{tenant_slug}_uploads', 'only lower-case letters'],
    [`${'x'.repeat(46)}{tenant_slug}`, 'at most 45 characters'],
    ['-{tenant_slug}', 'must start and end with a letter or digit'],
    ['{tenant_slug}-', 'must start and end with a letter or digit'],
    ['xn--{tenant_slug}', 'must not start with "xn--"'],
    ['sthree-{tenant_slug}', 'must not start with "sthree-"'],
    ['{tenant_slug}-s3alias', 'must not end with "-s3alias"'],
    ['{tenant_slug}--ol-s3', 'must not end with "--ol-s3"'],
  ])('says what is wrong with %s', (pattern, reason) => {
    expect(patternProblem(pattern)).toContain(reason);
  });
});

describe('for any tenants', () => {
  // Short and hostile alphabets make near collisions likely; arbitrary Unicode covers the rest.
  const slug = fc
    .oneof(
      fc.string({ unit: fc.constantFrom('a', 'A', '-', '_', '0', 'é'), minLength: 1, maxLength: 6 }),
      fc.string({
        unit: fc.constantFrom('a', '-', 'xn--', 'sthree-', '-s3alias', '--ol-s3', '1-2-3-4', hashOf('A'), '-uploads'),
        minLength: 1,
        maxLength: 6,
      }),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 128 }),
    )
    .filter((value) => tenantSlugProblem(value) === undefined);
  const pattern = fc
    .array(
      fc.constantFrom('{tenant_slug}', '{tenant_uuid}', 'a', '-', 'xn', 's', 'sthree', '1-2-3-', '-uploads', '3alias', '-s3', hashOf('A')),
      { minLength: 1, maxLength: 6 },
    )
    .map((parts) => parts.join(''))
    .filter((text) => patternProblem(text) === undefined);
  const runs = { numRuns: 3000 };

  it('every name is valid, whatever the pattern', () => {
    fc.assert(
      fc.property(pattern, slug, slug, (text, tenantSlug, tenantUuid) => {
        expect(bucketNameProblem(bucketNameFor(text, { tenantSlug, tenantUuid }))).toBeUndefined();
      }),
      runs,
    );
  });

  it('different slugs have different buckets', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('{tenant_slug}-uploads', '{tenant_slug}', 'p{tenant_slug}', `${'x'.repeat(45)}{tenant_slug}`),
        fc.uniqueArray(slug, { minLength: 2, maxLength: 20 }),
        (text, slugs) => {
          const names = slugs.map((tenantSlug) => bySlug(tenantSlug, text, ['a', 'a-uploads']));
          expect(new Set(names).size).toBe(slugs.length);
          // Slugs made from names are the ones whose names could collide with them.
          const again = [...new Set([...slugs, ...names.map((name) => name.replace(/-uploads$/, '').replace(/^[px]+/, '') || 'x')])].filter(
            (value) => tenantSlugProblem(value) === undefined,
          );
          expect(new Set(again.map((tenantSlug) => bySlug(tenantSlug, text))).size).toBe(again.length);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('different pairs have different buckets where the pattern has both', () => {
    const part = fc.oneof(fc.string({ unit: fc.constantFrom('a', '-', 'B'), minLength: 1, maxLength: 5 }), fc.uuid());
    fc.assert(
      fc.property(
        fc.constantFrom('{tenant_slug}-{tenant_uuid}', '{tenant_uuid}{tenant_slug}', '{tenant_slug}a{tenant_uuid}-a'),
        fc.uniqueArray(fc.tuple(part, part), { minLength: 2, maxLength: 20, selector: (pair) => pair.join('\0') }),
        (text, pairs) => {
          const names = pairs.map(([tenantSlug, tenantUuid]) => bucketNameFor(text, { tenantSlug, tenantUuid }));
          expect(new Set(names).size).toBe(pairs.length);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
