import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { localBackend } from '@coffer/backend-local';
import { localHttpHandler } from '@coffer/backend-local/http';
import { memoryBackend } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { alice, openPresignedRig, sha256 } from './testing/presigned.ts';
import type { PresignedRig } from './testing/presigned.ts';
import { acme, admin, bytesOf, codeOf, globex, openRig, userOf, variant } from './testing/support.ts';

const day = 86_400_000;

describe.each(['embedded', 'debian'] as const)('a presigned upload on PostgreSQL (%s)', (server) => {
  let rig: PresignedRig;
  beforeEach(async () => {
    rig = await openPresignedRig(server);
  });
  afterEach(async () => {
    await rig.usage(acme);
    await rig.close();
  });

  it('is pending until it is completed, and then a file like any other', async () => {
    const asked = await rig.ask({ isPublic: true, metadata: { a: 1 }, sha256: sha256('hello') });
    expect(asked).toMatchObject({
      method: 'POST',
      uploadUrl: 'http://storage.test/',
      uploadFields: { key: `incoming/${asked.fileId}` },
      uploadHeaders: {},
      expiresIn: 3600,
    });
    expect(await rig.files.get(asked.fileId, alice)).toMatchObject({
      status: 'pending',
      sizeBytes: 5,
      contentType: 'text/plain',
      etag: null,
    });
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 5 });
    expect(await codeOf(rig.files.open(asked.fileId, {}, alice))).toBe('file_not_found');
    expect(await codeOf(rig.files.openPublic(asked.fileId))).toBe('file_not_found');
    expect(await codeOf(rig.complete(asked))).toBe('upload_not_found');
    await rig.send(asked, 'hello');
    const file = await rig.complete(asked);
    expect(file).toMatchObject({
      id: asked.fileId,
      status: 'available',
      isPublic: true,
      metadata: { a: 1 },
      sha256: sha256('hello'),
      sizeBytes: 5,
    });
    expect(file.storageKey).toMatch(new RegExp(`^files/${asked.fileId}/[0-9a-f]{16}$`));
    expect(await bytesOf(rig, file)).toBe('hello');
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await rig.usage(acme)).toEqual({ bytes: 5, files: 1, reserved: 0 });
    expect(await rig.complete(asked)).toEqual(file);
    expect(await rig.usage(acme)).toEqual({ bytes: 5, files: 1, reserved: 0 });
  });

  it('has its bytes fixed, whatever is still sent with the form', async () => {
    const asked = await rig.ask();
    await rig.send(asked, 'hello');
    const file = await rig.complete(asked);
    await rig.send(asked, 'HELLO');
    expect(await bytesOf(rig, file)).toBe('hello');
    expect(await rig.complete(asked)).toEqual(file);
    expect(await bytesOf(rig, file)).toBe('hello');
    await rig.files.delete(file.id, alice);
    await rig.send(asked, 'HELLO');
    expect(await codeOf(rig.complete(asked))).toBe('file_not_found');
    // Once the form has expired, the sweep removes what arrived.
    expect(await rig.files.sweep({ olderThanSeconds: 0 })).toMatchObject({ deleted: 0 });
    await expect(rig.files.sweep({ olderThanSeconds: -2 * 86_400 })).rejects.toMatchObject({ code: 'invalid_argument' });
    for (const olderThanSeconds of [1e11, Infinity]) expect(await rig.files.sweep({ olderThanSeconds })).toMatchObject({ deleted: 0 });
    expect(await rig.files.sweep({ now: new Date(Date.now() + 2 * day) })).toMatchObject({ deleted: 1 });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
  });

  it('clears the receiving key of a completed file once the form has expired, and keeps the file', async () => {
    const asked = await rig.ask();
    await rig.send(asked, 'hello');
    const file = await rig.complete(asked);
    await rig.send(asked, 'HELLO');
    await rig.expire(asked);
    expect(await rig.files.sweep()).toEqual({ expired: 0, failed: 0, deleted: 0, received: 0, retained: 0 });
    expect(await rig.files.sweep({ olderThanSeconds: 0 })).toEqual({ expired: 0, failed: 0, deleted: 0, received: 1, retained: 0 });
    expect(await rig.files.sweep({ olderThanSeconds: 0 })).toMatchObject({ received: 0 });
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await rig.files.get(file.id, alice)).toEqual(file);
  });

  it('is refused when size, type or checksum are not what was announced', async () => {
    for (const [more, text, type] of [
      [{}, 'hell', 'text/plain'],
      [{}, 'hello!', 'text/plain'],
      [{}, 'hello', 'text/html'],
      [{ sha256: sha256('hello') }, 'HELLO', 'text/plain'],
    ] as const) {
      const asked = await rig.ask(more);
      await rig.send(asked, text, type);
      expect(await codeOf(rig.complete(asked))).toBe('upload_mismatch');
      expect(await rig.files.get(asked.fileId, alice)).toMatchObject({ status: 'failed' });
      await rig.send(asked, 'hello');
      expect(await codeOf(rig.complete(asked))).toBe('upload_mismatch');
    }
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    const failed = await rig.files.list({ access: alice, status: 'failed' });
    expect(failed.files).toHaveLength(4);
    expect(await rig.files.sweep({ now: new Date(Date.now() + 2 * day) })).toMatchObject({ failed: 4 });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
  });

  it('has the announced type, even if a space replaces a tab', async () => {
    const asked = await rig.ask({ contentType: 'text/plain;\tcharset=utf-8' });
    await rig.send(asked, 'hello', 'text/plain; charset=UTF-8');
    expect(await rig.complete(asked)).toMatchObject({ status: 'available' });
  });

  it('reserves its exact size, or is refused', async () => {
    await rig.tenants.update('acme', { quotaBytes: 12 });
    const first = await rig.ask();
    await rig.ask();
    expect(await codeOf(rig.ask())).toBe('quota_exceeded');
    await rig.ask({ sizeBytes: 2 });
    expect(await codeOf(rig.ask({ sizeBytes: 1 }))).toBe('quota_exceeded');
    await rig.files.delete(first.fileId, alice);
    await rig.ask();
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => rig.ask({ tenantContext: globex, sizeBytes: 5 })));
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
    await rig.tenants.update('globex', { quotaBytes: 150 });
    const parallel = await Promise.allSettled(Array.from({ length: 20 }, () => rig.ask({ tenantContext: globex, sizeBytes: 5 })));
    expect(parallel.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    expect(await rig.usage(globex)).toEqual({ bytes: 0, files: 0, reserved: 150 });
  });

  it('is completed by whoever may change the file, and by nobody else', async () => {
    const asked = await rig.ask({ isPublic: true });
    const hidden = await rig.ask();
    await rig.send(asked, 'hello');
    expect(await codeOf(rig.files.completeUpload(asked.fileId, userOf(acme, 'bob')))).toBe('forbidden');
    expect(await codeOf(rig.files.completeUpload(hidden.fileId, userOf(acme, 'bob')))).toBe('file_not_found');
    expect(await codeOf(rig.files.completeUpload(asked.fileId, userOf(globex, 'alice')))).toBe('file_not_found');
    expect(await codeOf(rig.files.completeUpload(asked.fileId, { subject: 's', role: 'service' }))).toBe('tenant_context_required');
    expect(await codeOf(rig.files.completeUpload('nonsense', alice))).toBe('file_not_found');
    expect(await rig.files.completeUpload(asked.fileId, { subject: 's', role: 'service', tenant: acme.tenantUuid })).toMatchObject({
      status: 'available',
      ownerId: 'alice',
    });
    expect(await codeOf(rig.files.completeUpload(asked.fileId, userOf(acme, 'bob')))).toBe('forbidden');
    expect(await rig.files.completeUpload(asked.fileId, admin)).toMatchObject({ status: 'available' });
  });

  it('is refused with wrong fields, and where the backend cannot sign', async () => {
    for (const wrong of [
      { contentType: 'nonsense' },
      { contentType: 'text/plain\r\nx: y' },
      { sizeBytes: -1 },
      { sizeBytes: 1.5 },
      { sha256: 'abc' },
      { sha256: 'A'.repeat(64) },
      { expiresIn: 0 },
      { expiresIn: 1.5 },
      { filename: '' },
    ]) {
      expect([wrong, await codeOf(rig.ask(wrong))]).toEqual([wrong, 'validation_failed']);
    }
    expect(await rig.ask({ expiresIn: 10_000_000 })).toMatchObject({ expiresIn: 604_800 });
    const unsigned = await openRig({ server, backend: variant(memoryBackend(), {}) });
    const asking = unsigned.files.createPresignedUpload({ filename: 'a', contentType: 'text/plain', sizeBytes: 1, ownerId: 'a' });
    expect(await codeOf(asking)).toBe('not_supported');
    expect(await unsigned.query('select 1 from files')).toEqual([]);
    await unsigned.close();
  });
});

describe('a presigned upload to the local backend', () => {
  it('goes from a form to a file over HTTP', async () => {
    const root = await mkdtemp(join(tmpdir(), 'coffer-files-db-'));
    const server = createServer((request, response) => void handler(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const backend = localBackend({ root, presign: { baseUrl, secret: 'a secret of the test' } });
    const handler = localHttpHandler({ backend });
    const rig = await openRig({ backend });
    const text = 'héllo';
    const asked = await rig.files.createPresignedUpload({
      filename: 'grüße.html',
      contentType: 'text/html',
      sizeBytes: Buffer.byteLength(text),
      sha256: sha256(text),
      ownerId: 'alice',
      tenantContext: acme,
    });
    const send = (body: string): Promise<Response> => {
      const form = new FormData();
      for (const [name, value] of Object.entries(asked.uploadFields)) form.append(name, value);
      form.append('file', new Blob([body], { type: 'text/html' }), 'x.html');
      return fetch(asked.uploadUrl, { method: asked.method, headers: asked.uploadHeaders, body: form });
    };
    expect((await send('too long a body')).status).toBeGreaterThanOrEqual(400);
    expect((await send(text)).status).toBe(204);
    const file = await rig.files.completeUpload(asked.fileId, alice);
    await send('HÉLLO');
    expect(await bytesOf(rig, file)).toBe(text);

    const { downloadUrl, expiresIn } = await rig.files.presignedDownload(file.id, { expiresIn: 60 }, alice);
    expect(expiresIn).toBe(60);
    const downloaded = await fetch(downloadUrl);
    expect(await downloaded.text()).toBe(text);
    expect(downloaded.headers.get('content-disposition')).toBe(`attachment; filename="gr__e.html"; filename*=UTF-8''gr%C3%BC%C3%9Fe.html`);
    await rig.files.delete(file.id, alice);
    expect((await fetch(downloadUrl)).status).toBe(404);
    await rig.close();
    await new Promise((resolve) => server.close(resolve));
    await rm(root, { recursive: true, force: true });
  });
});
