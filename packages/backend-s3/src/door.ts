import type { Administration } from './administration.ts';
import type { Presigners } from './presigner.ts';
import type { Transport } from './transport.ts';

/** What a store sends its calls through, and what signs its URLs: requests of our own, or the AWS SDK. */
export interface Door {
  readonly transport: Transport;
  readonly administration: Administration;
  readonly presigners: Presigners;
}
