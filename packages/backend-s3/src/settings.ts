import { assertOptions } from './check-options.ts';
import { largestPut, smallestPart } from './limits.ts';
import type { S3BackendOptions } from './options.ts';

type Undefaulted = 'endpoint' | 'publicEndpoint' | 'credentials' | 'spoolDirectory';

/** The options of a backend, with their defaults. */
export type Settings = Required<Omit<S3BackendOptions, Undefaulted | 'accessKey' | 'secretKey'>> & {
  readonly [Name in Undefaulted]: S3BackendOptions[Name];
} & { readonly isAws: boolean };

const mib = 2 ** 20;

/** @throws invalid_argument */
export function settingsOf(options: S3BackendOptions): Settings {
  assertOptions(options);
  const { endpoint, accessKey, secretKey } = options;
  const isAws = endpoint === undefined || isAwsHost(new URL(endpoint).hostname);
  const credentials =
    options.credentials ??
    (accessKey === undefined || secretKey === undefined ? undefined : { accessKeyId: accessKey, secretAccessKey: secretKey });
  return {
    name: options.name ?? 's3',
    region: options.region ?? 'us-east-1',
    forcePathStyle: options.forcePathStyle ?? !isAws,
    verifySsl: options.verifySsl ?? true,
    maxPoolConnections: options.maxPoolConnections ?? 10,
    maxRetries: options.maxRetries ?? 3,
    retryMode: options.retryMode ?? 'standard',
    patient: options.patient ?? false,
    timeout: options.timeout ?? 60,
    payloadSigning: options.payloadSigning ?? 'when-required',
    transport: options.transport ?? 'lean',
    partSize: Math.min(Math.max(options.partSize ?? 8 * mib, smallestPart), 64 * mib),
    partsAtOnce: options.partsAtOnce ?? 4,
    uploadMemory: options.uploadMemory ?? 64 * mib,
    copyByPartsFrom: Math.min(options.copyByPartsFrom ?? 2 ** 30, largestPut),
    isAws,
    endpoint,
    publicEndpoint: options.publicEndpoint ?? endpoint,
    spoolDirectory: options.spoolDirectory,
    credentials,
  };
}

function isAwsHost(host: string): boolean {
  return /(?:^|\.)(?:amazonaws\.com(?:\.cn)?|api\.aws)$/.test(host);
}
