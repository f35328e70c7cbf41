import { createHash, randomBytes } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { onEachBackend } from './testing/on-each-backend.ts';
import { browserIfAvailable, pageOrigin } from './testing/page.ts';
import type { PageOrigin } from './testing/page.ts';
import type { TestApi } from './testing/start-api.ts';
import { acme, as } from './testing/tokens.ts';

interface Presigned {
  readonly file_id: string;
  readonly method: string;
  readonly upload_url: string;
  readonly upload_fields: Record<string, string>;
  readonly upload_headers: Record<string, string>;
}

interface UploadAnswer {
  readonly status: number;
  readonly etag: string | null;
}

const browser = await browserIfAvailable();
const missing = typeof browser === 'string' ? browser : undefined;
const content = randomBytes(1_500_000);
const sha256 = createHash('sha256').update(content).digest('hex');

afterAll(async () => {
  if (typeof browser !== 'string') await browser.close();
});

onEachBackend('a page in a browser', ({ start, abilities }) => {
  describe.skipIf(missing !== undefined)(`Chromium${missing === undefined ? '' : `: ${missing}`}`, () => {
    let api: TestApi;
    let ours: PageOrigin;
    let foreign: PageOrigin;
    let headers: { authorization: string };

    beforeAll(async () => {
      [ours, foreign] = [await pageOrigin(), await pageOrigin()];
      api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true', STORAGE_CORS_ORIGINS: ours.origin });
      headers = await as('ann', { tenant: acme });
    });
    afterAll(async () => {
      await Promise.all([ours.close(), foreign.close()]);
      await api.stop();
    });

    /** Runs a function in a page of that origin; the function may use only its argument, nothing of this scope. */
    async function inPage<A, R>({ origin }: PageOrigin, run: (argument: A) => Promise<R>, argument: A): Promise<R> {
      if (typeof browser === 'string') throw new Error(browser);
      const page = await browser.newPage();
      try {
        await page.goto(origin);
        return (await page.evaluate(run as never, argument as never)) as R;
      } finally {
        await page.close();
      }
    }

    /** Calls the API with a JSON body, as a page does: a preflight comes first. */
    const ask = ({ url, token, body }: { url: string; token: string; body: string }): Promise<unknown> =>
      fetch(url, { method: 'POST', headers: { authorization: token, 'content-type': 'application/json' }, body }).then(
        (response) => response.json(),
        (error: unknown) => String(error),
      );
    const send = ({ presigned, base64 }: { presigned: Presigned; base64: string }): Promise<UploadAnswer | string> => {
      const file = new File([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))], 'photo.png', { type: 'image/png' });
      const form = new FormData();
      for (const [name, value] of Object.entries(presigned.upload_fields)) form.append(name, value);
      form.append('file', file);
      const { method, upload_url: url, upload_headers: extra } = presigned;
      return fetch(url, { method, headers: extra, body: method === 'POST' ? form : file }).then(
        ({ status, headers: answered }) => ({ status, etag: answered.get('etag') }),
        (error: unknown) => String(error),
      );
    };
    const read = (url: string): Promise<{ sha256: string; disposition: string | null; ranges: string | null } | string> =>
      fetch(url).then(
        async (response) => ({
          sha256: Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', await response.arrayBuffer())), (byte) =>
            byte.toString(16).padStart(2, '0'),
          ).join(''),
          disposition: response.headers.get('content-disposition'),
          ranges: response.headers.get('accept-ranges'), // PDF.js requests ranges only where it may read this header
        }),
        (error: unknown) => String(error),
      );
    const asking = (path: string, body: unknown = {}) => ({
      url: `${api.url}/api/v1/files${path}`,
      token: headers.authorization,
      body: JSON.stringify(body),
    });
    const declared = { filename: 'photo.png', content_type: 'image/png', size_bytes: content.length };

    it('asks for a form, sends a file with it, completes, and reads the file from where it lies', async () => {
      const presigned = (await inPage(ours, ask, asking('/presigned-upload', declared))) as Presigned;
      expect(presigned).toMatchObject({ file_id: expect.any(String), upload_url: expect.stringMatching(/^http/) });
      expect(await inPage(ours, send, { presigned, base64: content.toString('base64') })).toMatchObject({
        status: expect.toSatisfy((status: number) => status >= 200 && status < 300),
      });
      const done = await inPage(ours, ask, asking(`/${presigned.file_id}/complete`));
      expect(done).toMatchObject({ status: 'available', size_bytes: content.length, content_type: 'image/png' });
      const { download_url: url } = (await inPage(ours, ask, asking(`/${presigned.file_id}/presigned-download`))) as {
        download_url: string;
      };
      expect(await inPage(ours, read, url)).toMatchObject({ sha256, disposition: 'inline; filename="photo.png"', ranges: 'bytes' });
    });

    it('of an origin that is not listed learns nothing', async () => {
      const presigned = (await inPage(ours, ask, asking('/presigned-upload', declared))) as Presigned;
      const refused = expect.stringContaining('Failed to fetch');
      expect(await inPage(foreign, ask, asking('/presigned-upload', declared))).toEqual(refused);
      const sent = await inPage(foreign, send, { presigned, base64: content.toString('base64') });
      if (abilities.bucketCors) expect(sent).toEqual(refused);
      else expect(sent).toMatchObject({ status: 204 });
      const { json } = await api.send('POST', `/api/v1/files/${presigned.file_id}/complete`, { headers });
      const link = await api.send('POST', `/api/v1/files/${json.id}/presigned-download`, { headers });
      const got = await inPage(foreign, read, link.json.download_url as string);
      if (abilities.bucketCors) expect(got).toEqual(refused);
      else expect(got).toMatchObject({ sha256 });
    });
  });
});
