export { minioBackend, openS3Backend, probeEndpoint, s3Backend } from './backend.ts';
export type { KeyClass } from './key-classes.ts';
export type { S3BackendOptions } from './options.ts';
export type { BodySum, EndpointProfile } from './profile.ts';
