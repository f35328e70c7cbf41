import { isAwsHost } from './aws-host.ts';
import { assertOptions } from './check-options.ts';
import { largestPut, smallestPart } from './limits.ts';
import type { S3BackendOptions } from './options.ts';
import { placedIn } from './signing/bucket-endpoints.ts';

type Undefaulted = 'endpoint' | 'publicEndpoint' | 'credentials' | 'spoolDirectory';

/** The options of a backend, with their defaults. */
export type Settings = Required<Omit<S3BackendOptions, Undefaulted | 'accessKey' | 'secretKey'>> & {
  readonly [Name in Undefaulted]: S3BackendOptions[Name];
} & { readonly isAws: boolean };

const mib = 2 ** 20;

/** @throws invalid_argument */
export function settingsOf(options: S3BackendOptions): Settings {
  assertOptions(options);
  const { accessKey, secretKey, region = 'us-east-1' } = options;
  const isAws = options.endpoint === undefined || isAwsHost(new URL(options.endpoint).hostname);
  const endpoint = placedIn(region, options.endpoint);
  const credentials =
    options.credentials ??
    (accessKey === undefined || secretKey === undefined ? undefined : { accessKeyId: accessKey, secretAccessKey: secretKey });
  return {
    name: options.name ?? 's3',
    region,
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
    publicEndpoint: placedIn(region, options.publicEndpoint) ?? endpoint,
    spoolDirectory: options.spoolDirectory,
    credentials,
  };
}
