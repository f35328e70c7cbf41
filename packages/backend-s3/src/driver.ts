import type { Administration } from './administration.ts';
import type { Presigners } from './presigner.ts';
import type { Transport } from './transport.ts';

/** Carries the calls of a store and signs its URLs, either with requests of our own or through the AWS SDK. */
export interface Driver {
  readonly transport: Transport;
  readonly administration: Administration;
  readonly presigners: Presigners;
}
