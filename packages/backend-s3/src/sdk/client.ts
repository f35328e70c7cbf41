import { hash } from 'node:crypto';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';

import { S3Client } from '@aws-sdk/client-s3';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { NodeHttpHandlerOptions } from '@smithy/node-http-handler';

import type { Connection } from '../http/connection.ts';
import type { Settings } from '../settings.ts';
import { readAnswers } from './answers.ts';
import { addCorrections, addDoubts, addNetworkErrors, TaughtRegion } from './corrections.ts';

export interface Sdk {
  readonly client: S3Client;
  /** A client of any endpoint of the server, which signs and never sends. */
  signerFor(endpoint: string | undefined): S3Client;
}

const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };
function nothing(): void {}

/** Ends a request with its answer, whatever of it was not sent: its memory may be used for something else from then on. */
class Handler extends NodeHttpHandler {
  readonly #wires: Connection['wires'];

  constructor(wires: Connection['wires'], options: NodeHttpHandlerOptions) {
    super(options);
    this.#wires = wires;
  }

  override async handle(...given: Parameters<NodeHttpHandler['handle']>): ReturnType<NodeHttpHandler['handle']> {
    this.#wires.giveBack();
    const output = await super.handle(...given);
    const answer = output.response.body as IncomingMessage & { readonly req: ClientRequest };
    const [{ body }] = given;
    if (body instanceof Uint8Array && !answer.req.writableFinished) {
      answer.once('end', () => {
        if (!answer.req.writableFinished) answer.req.destroy();
      });
    }
    return output;
  }
}

/** The AWS SDK set up for servers of any make: the pool of the connection, no unasked-for checksums, timeouts that take effect. */
export function openSdk(settings: Settings, connection: Connection): Sdk {
  const { endpoint, timeout } = settings;
  const { agent, isTls, wires, credentials, clock } = connection;
  const requestHandler = new Handler(wires, {
    ...(isTls ? { httpsAgent: agent as Agent as HttpsAgent } : { httpAgent: agent }),
    connectionTimeout: timeout * 1000,
    socketTimeout: timeout * 1000,
    logger: silent, // it writes to the console otherwise, when requests wait for a socket
  });
  const region = new TaughtRegion(settings);
  const shared: S3ClientConfig = {
    region: async () => region.current,
    forcePathStyle: settings.forcePathStyle,
    // Variables and files of AWS's own tools do not lead away from what is configured here.
    ignoreConfiguredEndpointUrls: true,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    maxAttempts: settings.maxRetries + 1,
    retryMode: settings.retryMode,
    // A bucket may lie in another region than the one that is configured.
    followRegionRedirects: settings.isAws,
    // It would open sockets outside of the pool.
    expectContinueHeader: false,
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler,
    logger: silent,
    // Not to be kept by the SDK, which would never ask again for what does not expire.
    credentials: Object.assign(async () => credentials.known ?? credentials.load(), { memoized: true }),
  };
  const client = new S3Client({
    ...shared,
    ...(endpoint !== undefined && { endpoint }),
    // Other servers refuse the streams, or the headers, that this makes of a body.
    requestChecksumCalculation: settings.isAws ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED',
  });
  addContentMd5(client);
  readAnswers(client);
  followClock(client, clock);
  addCorrections(client, connection, region);
  addDoubts(client);
  addNetworkErrors(client);
  return {
    client,
    signerFor(reached) {
      const signer = new S3Client({
        ...shared,
        ...(reached !== undefined && { endpoint: reached }),
        // The checksum would be that of nothing, and every upload to the URL would fail.
        requestChecksumCalculation: 'WHEN_REQUIRED',
      });
      followClock(signer, clock);
      return signer;
    },
  };
}

/** What anybody has learnt of the server's clock holds for all. */
function followClock({ config }: S3Client, clock: Connection['clock']): void {
  Object.defineProperty(config, 'systemClockOffset', { get: () => clock.offset, set: clock.set.bind(clock) });
}

interface XmlRequest {
  readonly body?: unknown;
  readonly headers: Record<string, string>;
}

/** Documents (lists of keys, rules) carry a Content-MD5, which some servers insist on and the SDK no longer sends. */
function addContentMd5(client: S3Client): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const { body, headers } = args.request as XmlRequest;
      if (typeof body === 'string' && body !== '') headers['content-md5'] = hash('md5', body, 'base64');
      return next(args);
    },
    { step: 'build', name: 'contentMd5', priority: 'low' },
  );
}
