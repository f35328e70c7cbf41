import { createHash } from 'node:crypto';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';

import { S3Client } from '@aws-sdk/client-s3';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { NodeHttpHandlerOptions } from '@smithy/node-http-handler';

import type { Connection } from './connection.ts';
import { assertNoPage, mayBeProxied } from './foreign-answer.ts';
import { addCorrections } from './sdk-corrections.ts';
import type { Settings } from './options.ts';

export interface Sdk {
  readonly client: S3Client;
  /** Signs for the public endpoint; never sends. */
  readonly signer: S3Client;
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
  const { endpoint, publicEndpoint, timeout } = settings;
  const { agent, isTls, wires, credentials, clock } = connection;
  const requestHandler = new Handler(wires, {
    ...(isTls ? { httpsAgent: agent as HttpsAgent } : { httpAgent: agent }),
    connectionTimeout: timeout * 1000,
    socketTimeout: timeout * 1000,
    logger: silent, // it writes to the console otherwise, when requests wait for a socket
  });
  const shared: S3ClientConfig = {
    region: settings.region,
    forcePathStyle: settings.forcePathStyle,
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
  refusePages(client);
  const signer = new S3Client({
    ...shared,
    ...(publicEndpoint !== undefined && { endpoint: publicEndpoint }),
    // The checksum would be that of nothing, and every upload to the URL would fail.
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  // What anybody has learnt of the server's clock holds for all.
  for (const { config } of [client, signer]) {
    Object.defineProperty(config, 'systemClockOffset', { get: () => clock.offset, set: clock.set.bind(clock) });
  }
  addCorrections(client, connection);
  return { client, signer };
}

interface XmlRequest {
  readonly body?: unknown;
  readonly headers: Record<string, string>;
}

/** What these read may be a page itself. */
const objectReads: ReadonlySet<string> = new Set(['GetObjectCommand', 'HeadObjectCommand']);

/** The SDK takes any answer for one of S3: of a success, nothing is listed, or what was to be deleted is. */
function refusePages(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const result = await next(args);
        const { statusCode, headers, body } = result.response as HttpResponse;
        const isRefused = statusCode >= 300;
        if (isRefused && (mayBeProxied(statusCode) || commandName.startsWith('Head'))) return result; // a HEAD has no document
        try {
          assertNoPage(statusCode, headers, !isRefused && objectReads.has(commandName));
        } catch (error) {
          body.on('error', () => {}).destroy();
          throw error;
        }
        return result;
      },
    { step: 'deserialize', name: 'noPages', priority: 'low' },
  );
}

interface HttpResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readable;
}

/** Documents (lists of keys, rules) carry a Content-MD5, which some servers insist on and the SDK no longer sends. */
function addContentMd5(client: S3Client): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const { body, headers } = args.request as XmlRequest;
      if (typeof body === 'string' && body !== '') headers['content-md5'] = createHash('md5').update(body).digest('base64');
      return next(args);
    },
    { step: 'build', name: 'contentMd5', priority: 'low' },
  );
}
