import { expect, it } from 'vitest';

import { endpointChecks } from './endpoint-checks.ts';

const profile: Parameters<typeof endpointChecks>[0] = {
  region: 'us-east-1',
  checksSignatures: true,
  acl: false,
  aclDenied: false,
  conditionalPut: true,
  conditionalPutOfVersions: true,
  putMatch: 'quoted',
  conditionalComplete: true,
  maxParts: 10_000,
  conditionalCopy: false,
  copySourceCondition: true,
  conditionalDelete: true,
  verifiedSums: ['md5', 'crc32', 'sha256'],
  postPolicy: true,
  presignedPuts: 'bound',
  formAcl: false,
  emptyForms: true,
  versioning: true,
  lifecycle: true,
  abortRule: true,
  cors: true,
  keepsFullBuckets: true,
  hidesKeysBelowObjects: false,
  keepsUnderscores: true,
  keepsEmptyValues: true,
  storageClasses: true,
  refusedKeys: [],
};

it('tells how conditional copies are made where copies have no conditions, with conditions of writes and without, as on Garage', () => {
  const toldOf = (conditionalPut: boolean): string | undefined =>
    endpointChecks({ ...profile, conditionalPut }).find(({ name }) => name === 'conditional_copy')?.message;
  expect(toldOf(true)).toMatch(/: conditional copies of small objects pass through Coffer$/);
  expect(toldOf(false)).toMatch(/: conditional copies look at the destination first, which leaves a moment between$/);
});

it('tells nothing of conditions in buckets that keep versions where none does, as on MinIO of February 2021 with a single drive', () => {
  const named = endpointChecks({ ...profile, conditionalPut: false, versioning: false }).map(({ name }) => name);
  expect(named).toContain('conditional_put');
  expect(named).not.toContain('conditional_versions');
});

it('does not say that unsigned writes take a presigned URL: some servers accept those that name no access key', () => {
  const told = endpointChecks({ ...profile, checksSignatures: false }).find(({ name }) => name === 'signatures');
  expect(told).toMatchObject({ status: 'lacks', message: expect.stringMatching(/^accepts unsigned writes: whoever reaches it can write/) });
});
