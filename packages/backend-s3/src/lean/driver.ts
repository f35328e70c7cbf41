import { administrationCalls } from '../administration.ts';
import type { Administration } from '../administration.ts';
import type { Driver } from '../driver.ts';
import type { Connection } from '../http/connection.ts';
import { lazily } from '../lazily.ts';
import { presignersOf } from '../presigner.ts';
import type { Settings } from '../settings.ts';
import { leanBuckets } from './buckets.ts';
import { LeanClient } from './client.ts';
import { leanCopies } from './copies.ts';
import { leanObjects } from './objects.ts';
import { leanPresigner } from './presigner.ts';
import { leanPull } from './pull.ts';
import { leanUploads } from './uploads.ts';

/** Signed requests of our own, at a fraction of the SDK's time. */
export function leanDriver(settings: Settings, connection: Connection): Driver {
  const client = new LeanClient(settings, connection);
  return {
    transport: {
      ...leanObjects(client, settings),
      ...leanPull(client, connection.rawSockets),
      ...leanUploads(client, settings),
      ...leanBuckets(client),
      ...leanCopies(client),
    },
    administration: lazily<Administration>(administrationCalls, async () =>
      (await import('./administration.ts')).leanAdministration(client),
    ),
    presigners: presignersOf(settings, (endpoint) => leanPresigner(endpoint, settings, connection)),
  };
}
