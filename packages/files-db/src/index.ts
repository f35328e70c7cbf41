export { connectDatabase } from './database/database.ts';
export type { Database, DatabaseConnection, DatabaseOptions, DrizzleDatabase } from './database/database.ts';
export { onDatabase } from './database/error.ts';
export type { FileAccess } from './file-access.ts';
export { fileStatuses } from './file-record.ts';
export type { FileRecord, FileStatus } from './file-record.ts';
export type {
  FileChanges,
  FileHead,
  FilePage,
  FileServiceOptions,
  FileSweepReport,
  LateFields,
  ListFilesRequest,
  OpenedFile,
  PresignedFileDownload,
  PresignedFileUpload,
  PresignedUploadRequest,
  SweepRequest,
  UploadFileRequest,
} from './file-requests.ts';
export { FileService } from './file-service.ts';
export { migrateDatabase, pendingMigrations } from './database/migrate.ts';
export type { RelocateOptions, Relocation, StrayFile } from './relocate-file.ts';
export { files, tenantBuckets, tenants, tenantSlugs, tenantUsage } from './database/schema.ts';
export type { NewTenant, Tenant, TenantChanges, TenantPage, TenantUsage } from './tenants/tenant.ts';
export { TenantRepository } from './tenants/repository.ts';
export type { TenantRepositoryOptions } from './tenants/repository.ts';
export { TenantService } from './tenants/service.ts';
export type { NewBucket, ProvisionOptions, TenantServiceOptions } from './tenants/service.ts';
