import { hash } from 'node:crypto';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import { Readable } from 'node:stream';

import { S3Client } from '@aws-sdk/client-s3';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { NodeHttpHandlerOptions } from '@smithy/node-http-handler';
import { sizeMismatch, untilAborted } from '@coffer/storage-core';

import type { Connection } from '../http/connection.ts';
import type { Settings } from '../settings.ts';
import { keepMetadata, validateAnswers } from './answers.ts';
import { addCorrections, addTransientErrors, LearnedRegion, trackInDoubt } from './corrections.ts';
import { signHeaderBytes } from './header-bytes.ts';

export interface Sdk {
  readonly client: S3Client;
  /** A client for any address of the server, which signs but never sends. */
  signerFor(endpoint: string | undefined): S3Client;
}

const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };
function nothing(): void {}

/**
 * Ends a request once its answer has arrived, even if some of it was not sent: its memory may then be reused, and a stream would hold its
 * place in the pool for as long as the server does not read it.
 */
class Handler extends NodeHttpHandler {
  readonly #wires: Connection['wires'];

  constructor(wires: Connection['wires'], options: NodeHttpHandlerOptions) {
    super(options);
    this.#wires = wires;
  }

  override async handle(...args: Parameters<NodeHttpHandler['handle']>): ReturnType<NodeHttpHandler['handle']> {
    const [request, options] = args;
    const { body, headers } = request;
    if (body instanceof Uint8Array) {
      const size = Number(headers['content-length'] ?? body.byteLength);
      if (body.byteLength !== size) throw sizeMismatch(body.byteLength, size); // as in Exchange.useWire
    }
    this.#wires.giveBack();
    const output = await super.handle(mayBeRespelled(request) ? streamed(request) : request, options);
    const answer = output.response.body as IncomingMessage & { readonly req: ClientRequest };
    if (!answer.req.writableFinished) {
      answer.once('end', () => {
        if (!answer.req.writableFinished) answer.req.destroy();
      });
    }
    return output;
  }
}

type HttpRequest = Parameters<NodeHttpHandler['handle']>[0];

/** Node drops bytes of this one header if it knows the length of the body that follows, as it does not for a stream. */
function mayBeRespelled({ body, headers }: HttpRequest): boolean {
  const { 'content-disposition': disposition = '' } = headers;
  return body instanceof Uint8Array && Buffer.from(disposition).length !== disposition.length;
}

function streamed(request: HttpRequest): HttpRequest {
  const copy = Object.create(Object.getPrototypeOf(request) as object) as HttpRequest;
  return Object.assign(copy, request, { body: Readable.from([request.body]) });
}

/** The AWS SDK set up for any S3-compatible server: the pool of the connection, no unrequested checksums, timeouts that take effect. */
export function openSdk(settings: Settings, connection: Connection): Sdk {
  const { endpoint, timeout } = settings;
  const { agent, isTls, wires, credentials, clock } = connection;
  const requestHandler = new Handler(wires, {
    ...(isTls ? { httpsAgent: agent as Agent as HttpsAgent } : { httpAgent: agent }),
    connectionTimeout: timeout * 1000,
    socketTimeout: timeout * 1000,
    logger: silent, // otherwise it writes to the console when requests wait for a socket
  });
  const region = new LearnedRegion(settings);
  const shared: S3ClientConfig = {
    region: async () => region.current,
    forcePathStyle: settings.forcePathStyle,
    // Environment variables and files of AWS's own tools must not override the options.
    ignoreConfiguredEndpointUrls: true,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    maxAttempts: settings.maxRetries + 1,
    retryMode: settings.retryMode,
    // A bucket may be in another region than the configured one. A given endpoint does not lead there, and two requests that try at once leave
    // the SDK signing everything for that region.
    followRegionRedirects: settings.isAws && endpoint === undefined,
    // It would open sockets outside the pool.
    expectContinueHeader: false,
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler,
    logger: silent,
    // The SDK must not keep them: it would never ask again for keys that do not expire.
    credentials: Object.assign(async () => credentials.known ?? credentials.load(), { memoized: true }),
  };
  const client = new S3Client({
    ...shared,
    ...(endpoint !== undefined && { endpoint }),
    // Other servers refuse the streams or the headers that result from this.
    requestChecksumCalculation: settings.isAws ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED',
  });
  addContentMd5(client);
  validateAnswers(client);
  keepMetadata(client);
  signHeaderBytes(client);
  followClock(client, clock);
  addCorrections(client, connection, region);
  trackInDoubt(client);
  addTransientErrors(client);
  heedAborts(client);
  return {
    client,
    signerFor(signingEndpoint) {
      const signer = new S3Client({
        ...shared,
        ...(signingEndpoint !== undefined && { endpoint: signingEndpoint }),
        // The checksum would be that of no bytes, and every upload to the URL would fail.
        requestChecksumCalculation: 'WHEN_REQUIRED',
      });
      followClock(signer, clock);
      return signer;
    },
  };
}

/** All clients share what any of them learns about the server's clock. */
function followClock({ config }: S3Client, clock: Connection['clock']): void {
  Object.defineProperty(config, 'systemClockOffset', { get: () => clock.offset, set: clock.set.bind(clock) });
}

type Send = (command: object, options?: { readonly abortSignal?: AbortSignal }) => Promise<unknown>;

/** While the SDK waits for keys, or between two attempts, it takes no notice of an abort. */
function heedAborts(client: S3Client): void {
  const send = client.send.bind(client) as Send;
  client.send = ((command, options) => untilAborted(send(command, options), options?.abortSignal)) as Send as typeof client.send;
}

interface XmlRequest {
  readonly body?: unknown;
  readonly headers: Record<string, string>;
}

/** Adds a Content-MD5 to documents (lists of keys, rules). Some servers insist on it, and the SDK no longer sends it. */
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
