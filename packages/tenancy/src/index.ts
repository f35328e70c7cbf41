export { bucketNameFor, patternProblem } from './bucket-name.ts';
export { chooseBucket, reservedBuckets, tenantBucketResolver } from './bucket-policy.ts';
export type { BucketPolicy } from './bucket-policy.ts';
export { assertHeaderNames, decideTenant, roleOf, tenantFromClaims } from './claims.ts';
export type { Claims, Role, TenantDecision } from './claims.ts';
export { namesTenant, tenantSlugProblem, tenantUuidProblem } from './tenant.ts';
export { canonicalTenantUuid } from '@coffer/storage-core';
export type { TenantContext } from '@coffer/storage-core';
