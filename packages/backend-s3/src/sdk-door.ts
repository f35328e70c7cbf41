import { lazily } from './lazily.ts';
import type { PayloadSigning } from './payload-signing.ts';
import type { Presigner } from './presigner.ts';
import type { Sdk } from './sdk-client.ts';
import type { Transport } from './transport.ts';

/** What a store sends its calls through, and what signs its URLs. */
export interface Door {
  readonly transport: Transport;
  readonly presigner: Presigner;
}

/** The AWS SDK's, which is loaded with the first call. */
export function sdkDoor(sdk: () => Promise<Sdk>, signing: PayloadSigning): Door {
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
        const { sdkTransport } = await import('./sdk-transport.ts');
        return sdkTransport((await sdk()).client, signing);
      },
    ),
    presigner: lazily<Presigner>({ secondsLeft: true, form: true, putUrl: true, getUrl: true }, async () => {
      const { sdkPresigner } = await import('./sdk-presigner.ts');
      return sdkPresigner(await sdk());
    }),
  };
}
