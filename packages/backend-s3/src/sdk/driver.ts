import { administrationCalls } from '../administration.ts';
import type { Administration } from '../administration.ts';
import type { Driver } from '../driver.ts';
import type { Connection } from '../http/connection.ts';
import { lazily } from '../lazily.ts';
import { presignersOf } from '../presigner.ts';
import type { Presigner } from '../presigner.ts';
import type { Settings } from '../settings.ts';
import type { Transport } from '../transport.ts';
import type { Sdk } from './client.ts';

/** The driver over the AWS SDK, which is loaded with the first call: importing it takes 100 ms and 80 MB. */
export function sdkDriver(settings: Settings, connection: Connection): Driver {
  let opened: Sdk | undefined;
  const sdk = async (): Promise<Sdk> => {
    const { openSdk } = await import('./client.ts');
    return (opened ??= openSdk(settings, connection));
  };
  return {
    transport: lazily<Omit<Transport, 'pull'>>(
      {
        put: true,
        get: true,
        head: true,
        delete: true,
        deleteBatch: true,
        createUpload: true,
        uploadPart: true,
        completeUpload: true,
        abortUpload: true,
        list: true,
        headBucket: true,
        listBuckets: true,
        getAcl: true,
        copy: true,
        copyPart: true,
      },
      async () => {
        const { sdkTransport } = await import('./transport.ts');
        return sdkTransport((await sdk()).client, connection.payloadSigning);
      },
    ),
    administration: lazily<Administration>(administrationCalls, async () =>
      (await import('./administration.ts')).sdkAdministration((await sdk()).client),
    ),
    presigners: presignersOf(settings, (endpoint) =>
      lazily<Presigner>({ form: true, putUrl: true, getUrl: true }, async () => {
        const { sdkPresigner } = await import('./presigner.ts');
        return sdkPresigner((await sdk()).signerFor(endpoint));
      }),
    ),
  };
}
