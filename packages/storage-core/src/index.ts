export { aclOf, assertCannedAcl, cannedAcls, isCannedAcl, isPublicRead } from './acl.ts';
export type { Acl, AclGrant, AclGrantee, CannedAcl } from './acl.ts';
export type {
  AclOperations,
  BatchDeleteOperations,
  BatchDeleteResult,
  BucketInfo,
  BucketOperations,
  ByteSink,
  LifecycleOperations,
  LifecycleRule,
  MaintenanceOperations,
  NewBucket,
  PresignDownloadOptions,
  PresignedDownload,
  PresignedUpload,
  PresignOperations,
  PresignUploadOptions,
  Pulled,
  PullOptions,
  StorageBackend,
  SweepOptions,
  SweepReport,
  VersioningOperations,
} from './backend.ts';
export { onAbort, untilAborted } from './abort-listeners.ts';
export { InFlight } from './in-flight.ts';
export { lookAndDelete } from './look-and-delete.ts';
export { claimBody } from './body/claim.ts';
export { bodyOf, destroyOnAbort, discard, readAll, sizeMismatch } from './body/body.ts';
export type { BodyInput } from './body/body.ts';
export { assertBucketName, bucketNameProblem } from './bucket-name.ts';
export { defaultBucketResolver } from './bucket-resolver.ts';
export type { BucketChoice, BucketRequest, BucketResolver } from './bucket-resolver.ts';
export { assertByteRange, evaluateConditions, resolveRange } from './conditions.ts';
export { contentTypeOf, contentTypeShape, defaultContentType, isContentType, withoutTabs } from './content-type.ts';
export { assertContext, noContext } from './context.ts';
export type { CallContext, TenantContext } from './context.ts';
export type { Given } from './defined.ts';
export { isDirectory, makeDirectories, syncDirectory } from './directories.ts';
export {
  AccessDeniedError,
  AclNotSupportedError,
  BucketAlreadyExistsError,
  BucketNotEmptyError,
  ChecksumMismatchError,
  ConnectTimeoutError,
  hasCode,
  InvalidArgumentError,
  InvalidBucketNameError,
  InvalidKeyError,
  isStorageError,
  NoSuchBucketError,
  NotSupportedError,
  ObjectArchivedError,
  QuotaExceededError,
  ReadTimeoutError,
  StorageError,
  storageError,
  StorageFileNotFoundError,
  StorageNotConfiguredError,
  StorageUnavailableError,
  TenantContextRequiredError,
  TenantMismatchError,
} from './errors.ts';
export type { FieldError, StorageErrorCode, StorageErrorOptions } from './errors.ts';
export { hasOwnedChunks, releaseChunk, withOwnedChunks } from './body/chunk-memory.ts';
export { fileBody, isDirectSource, readInto } from './body/file-body.ts';
export type { DirectSource, OpenFile } from './body/file-body.ts';
export { takeWholeBody, wholeBody } from './body/whole-body.ts';
export type { HealthReport } from './health.ts';
export { getStorageService, setStorageService } from './instance.ts';
export { assertObjectKey, compareKeys, decodeKey, encodeKey, keyProblem, maxKeyBytes } from './key.ts';
export { observe } from './layers/observe.ts';
export { retry } from './layers/retry.ts';
export type { RetryPolicy } from './layers/retry.ts';
export { wrapBackend } from './layers/wrap-backend.ts';
export type { Around, Call } from './layers/wrap-backend.ts';
export { ObjectListing, pageOf } from './listing.ts';
export { memoryBackend } from './memory-backend.ts';
export type { MemoryBackendOptions } from './memory-backend.ts';
export type {
  Body,
  ByteRange,
  CopiedObject,
  CopyOptions,
  EtagCondition,
  GetOptions,
  GetResult,
  ListOptions,
  ListPage,
  NotModified,
  ObjectAddress,
  ObjectInfo,
  ObjectStream,
  ObjectSummary,
  PutOptions,
  ReadConditions,
  ResolvedRange,
} from './object.ts';
export type { Observer, Operation, OperationEvent, TransferEvent } from './observer.ts';
export type {
  CopyFile,
  DeleteFile,
  FileAddress,
  InBucket,
  PresignDownload,
  PresignUpload,
  StorageServiceOptions,
  UploadFile,
} from './service-options.ts';
export { regionPattern } from './region.ts';
export { SpoolFile } from './body/spool-file.ts';
export { assertStorageClass, storageClasses } from './storage-class.ts';
export type { StorageClass } from './storage-class.ts';
export { StorageService } from './storage-service.ts';
export { canonicalTenantUuid, isRealUuid, tenantNameProblem, tenantNameShape } from './tenant-uuid.ts';
