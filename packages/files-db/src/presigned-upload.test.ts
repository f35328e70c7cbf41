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
import { acme, admin, bytesOf, codeOf, globex, openRig, presigning, userOf, variant } from './testing/support.ts';

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
    const presigned = await rig.presign({ isPublic: true, metadata: { a: 1 }, sha256: sha256('hello') });
    expect(presigned).toMatchObject({
      method: 'POST',
      uploadUrl: 'http://storage.test/',
      uploadFields: { key: `incoming/${presigned.fileId}` },
      uploadHeaders: {},
      expiresIn: 3600,
    });
    expect(await rig.files.get(presigned.fileId, alice)).toMatchObject({
      status: 'pending',
      sizeBytes: 5,
      contentType: 'text/plain',
      etag: null,
    });
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 5 });
    expect(await codeOf(rig.files.open(presigned.fileId, {}, alice))).toBe('file_not_found');
    expect(await codeOf(rig.files.openPublic(presigned.fileId))).toBe('file_not_found');
    expect(await codeOf(rig.complete(presigned))).toBe('upload_not_found');
    await rig.send(presigned, 'hello');
    const file = await rig.complete(presigned);
    expect(file).toMatchObject({
      id: presigned.fileId,
      status: 'available',
      isPublic: true,
      metadata: { a: 1 },
      sha256: sha256('hello'),
      sizeBytes: 5,
    });
    expect(file.storageKey).toMatch(new RegExp(`^files/${presigned.fileId}/[0-9a-f]{16}$`));
    expect(await bytesOf(rig, file)).toBe('hello');
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await rig.usage(acme)).toEqual({ bytes: 5, files: 1, reserved: 0 });
    expect(await rig.complete(presigned)).toEqual(file);
    expect(await rig.usage(acme)).toEqual({ bytes: 5, files: 1, reserved: 0 });
  });

  it('has its bytes fixed, whatever is still sent with the form', async () => {
    const presigned = await rig.presign();
    await rig.send(presigned, 'hello');
    const file = await rig.complete(presigned);
    await rig.send(presigned, 'HELLO');
    expect(await bytesOf(rig, file)).toBe('hello');
    expect(await rig.complete(presigned)).toEqual(file);
    expect(await bytesOf(rig, file)).toBe('hello');
    await rig.files.delete(file.id, alice);
    await rig.send(presigned, 'HELLO');
    expect(await codeOf(rig.complete(presigned))).toBe('file_not_found');
    // Once the form has expired, the sweep removes what arrived.
    expect(await rig.files.sweep({ olderThanSeconds: 0 })).toMatchObject({ deleted: 0 });
    for (const olderThanSeconds of [-2 * 86_400, null, '5'] as number[])
      await expect(rig.files.sweep({ olderThanSeconds })).rejects.toMatchObject({ code: 'invalid_argument' });
    for (const now of ['2100-01-01', new Date(Number.NaN)] as Date[])
      await expect(rig.files.sweep({ now })).rejects.toMatchObject({ code: 'invalid_argument' });
    for (const olderThanSeconds of [1e11, Infinity]) expect(await rig.files.sweep({ olderThanSeconds })).toMatchObject({ deleted: 0 });
    expect(await rig.files.sweep({ now: new Date(Date.now() + 2 * day) })).toMatchObject({ deleted: 1 });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
  });

  it('clears the receiving key of a completed file once the form has expired, and keeps the file', async () => {
    const presigned = await rig.presign();
    await rig.send(presigned, 'hello');
    const file = await rig.complete(presigned);
    await rig.send(presigned, 'HELLO');
    await rig.expire(presigned);
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
      const presigned = await rig.presign(more);
      await rig.send(presigned, text, type);
      expect(await codeOf(rig.complete(presigned))).toBe('upload_mismatch');
      expect(await rig.files.get(presigned.fileId, alice)).toMatchObject({ status: 'failed' });
      await rig.send(presigned, 'hello');
      expect(await codeOf(rig.complete(presigned))).toBe('upload_mismatch');
    }
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    const failed = await rig.files.list({ access: alice, status: 'failed' });
    expect(failed.files).toHaveLength(4);
    expect(await rig.files.sweep({ now: new Date(Date.now() + 2 * day) })).toMatchObject({ failed: 4 });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
  });

  it('has the announced type, even if a space replaces a tab', async () => {
    const presigned = await rig.presign({ contentType: 'text/plain;\tcharset=utf-8' });
    await rig.send(presigned, 'hello', 'text/plain; charset=UTF-8');
    expect(await rig.complete(presigned)).toMatchObject({ status: 'available' });
  });

  it('reserves its exact size, or is refused', async () => {
    await rig.tenants.update('acme', { quotaBytes: 12 });
    const first = await rig.presign();
    await rig.presign();
    expect(await codeOf(rig.presign())).toBe('quota_exceeded');
    await rig.presign({ sizeBytes: 2 });
    expect(await codeOf(rig.presign({ sizeBytes: 1 }))).toBe('quota_exceeded');
    await rig.files.delete(first.fileId, alice);
    await rig.presign();
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => rig.presign({ tenantContext: globex, sizeBytes: 5 })));
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
    await rig.tenants.update('globex', { quotaBytes: 150 });
    const parallel = await Promise.allSettled(Array.from({ length: 20 }, () => rig.presign({ tenantContext: globex, sizeBytes: 5 })));
    expect(parallel.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    expect(await rig.usage(globex)).toEqual({ bytes: 0, files: 0, reserved: 150 });
  });

  it('is completed by whoever may change the file, and by nobody else', async () => {
    const presigned = await rig.presign({ isPublic: true });
    const hidden = await rig.presign();
    await rig.send(presigned, 'hello');
    expect(await codeOf(rig.files.completeUpload(presigned.fileId, userOf(acme, 'bob')))).toBe('forbidden');
    expect(await codeOf(rig.files.completeUpload(hidden.fileId, userOf(acme, 'bob')))).toBe('file_not_found');
    expect(await codeOf(rig.files.completeUpload(presigned.fileId, userOf(globex, 'alice')))).toBe('file_not_found');
    expect(await codeOf(rig.files.completeUpload(presigned.fileId, { subject: 's', role: 'service' }))).toBe('tenant_context_required');
    expect(await codeOf(rig.files.completeUpload('nonsense', alice))).toBe('file_not_found');
    expect(await rig.files.completeUpload(presigned.fileId, { subject: 's', role: 'service', tenant: acme.tenantUuid })).toMatchObject({
      status: 'available',
      ownerId: 'alice',
    });
    expect(await codeOf(rig.files.completeUpload(presigned.fileId, userOf(acme, 'bob')))).toBe('forbidden');
    expect(await rig.files.completeUpload(presigned.fileId, admin)).toMatchObject({ status: 'available' });
  });

  it('is refused with wrong fields, and where the backend cannot sign or the bucket is missing', async () => {
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
      expect([wrong, await codeOf(rig.presign(wrong))]).toEqual([wrong, 'validation_failed']);
    }
    expect(await rig.presign({ expiresIn: 10_000_000 })).toMatchObject({ expiresIn: 604_800 });
    for (const [code, options] of [
      ['not_supported', { backend: variant(memoryBackend(), {}) }],
      ['no_such_bucket', { backend: presigning(memoryBackend()), storage: { autoProvision: false } }],
    ] as const) {
      const other = await openRig({ server, ...options });
      const asking = other.files.createPresignedUpload({ filename: 'a', contentType: 'text/plain', sizeBytes: 1, ownerId: 'a' });
      expect(await codeOf(asking)).toBe(code);
      expect(await other.query('select 1 from files')).toEqual([]);
      await other.close();
    }
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
    const presigned = await rig.files.createPresignedUpload({
      filename: 'grüße.html',
      contentType: 'text/html',
      sizeBytes: Buffer.byteLength(text),
      sha256: sha256(text),
      ownerId: 'alice',
      tenantContext: acme,
    });
    const send = (body: string): Promise<Response> => {
      const form = new FormData();
      for (const [name, value] of Object.entries(presigned.uploadFields)) form.append(name, value);
      form.append('file', new Blob([body], { type: 'text/html' }), 'x.html');
      return fetch(presigned.uploadUrl, { method: presigned.method, headers: presigned.uploadHeaders, body: form });
    };
    expect((await send('too long a body')).status).toBeGreaterThanOrEqual(400);
    expect((await send(text)).status).toBe(204);
    const file = await rig.files.completeUpload(presigned.fileId, alice);
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
