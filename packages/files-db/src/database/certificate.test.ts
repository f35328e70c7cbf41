import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createSecureContext, getCACertificates, setDefaultCACertificates, TLSSocket } from 'node:tls';

import { selfSigned } from '@coffer/fixtures';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { connectDatabase } from '../index.ts';

const trusted = getCACertificates();
/** Certificates for 127.0.0.1 alone, and for 127.0.0.1 and `localhost`. */
const [ofAddress, ofBoth] = [selfSigned(), selfSigned(['localhost'])];

describe('the certificate of a database', () => {
  let server: ReturnType<typeof createServer>;
  let identity: typeof ofAddress;
  let secured: number;

  /** Acts like PostgreSQL until it learns who connects, and then disconnects. */
  beforeEach(async () => {
    present(ofAddress);
    secured = 0;
    server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.write('S');
        const tls = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(identity) });
        tls.on('error', () => {});
        tls.once('data', () => {
          secured += 1;
          tls.destroy();
        });
      });
    }).listen(0);
    await once(server, 'listening');
  });

  afterEach(() => {
    setDefaultCACertificates(trusted);
    server.close();
  });

  function present(certificate: typeof ofAddress): void {
    identity = certificate;
    setDefaultCACertificates([...trusted, identity.cert]);
  }

  async function codeOf(host: string, mode: string): Promise<string | undefined> {
    const { port } = server.address() as AddressInfo;
    await using database = connectDatabase({ url: `postgres://u:p@${host.replaceAll('PORT', String(port))}/db?sslmode=${mode}` });
    const error = await database.check().catch((failure: unknown) => failure as Error);
    return ((error as Error).cause as { code?: string }).code;
  }

  it.each([
    ['127.0.0.1:PORT', 'verify-full'],
    ['127.0.0.1:1,127.0.0.1:PORT', 'verify-full'],
    ['localhost:PORT', 'verify-ca'],
    ['127.0.0.2:PORT', 'verify-ca'],
    ['127.0.0.2:PORT', 'require'],
  ])('allows a connection to %s with sslmode=%s', async (host, mode) => {
    expect(await codeOf(host, mode)).not.toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(secured).toBeGreaterThan(0);
  });

  it('allows a connection to a name that is in it', async () => {
    present(ofBoth);
    expect(await codeOf('localhost:PORT', 'verify-full')).not.toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(secured).toBeGreaterThan(0);
  });

  it.each(['127.0.0.2:PORT', '127.0.0.2:PORT,127.0.0.2:PORT'])(
    'prevents a connection to an address that is not in it: %s',
    async (host) => {
      present(ofBoth);
      expect(await codeOf(host, 'verify-full')).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
      expect(secured).toBe(0);
    },
  );

  it.each(['verify-ca', 'verify-full'])('is refused where nobody trusts it, with sslmode=%s', async (mode) => {
    setDefaultCACertificates(trusted);
    expect(await codeOf('127.0.0.1:PORT', mode)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
    expect(secured).toBe(0);
  });
});
