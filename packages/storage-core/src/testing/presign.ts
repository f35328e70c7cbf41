import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

import { requireAbility } from '../ability.ts';
import type { PresignedUpload, PresignOperations, PresignUploadOptions } from '../backend.ts';
import { noContext } from '../context.ts';
import { encodeKey } from '../key.ts';
import type { ObjectAddress } from '../object.ts';
import { assertSameBytes, isRefused } from './harness.ts';
import type { Subject, Suite } from './harness.ts';

const data = 'presigned bytes';
const exact = { contentType: 'text/plain', size: data.length, expiresIn: 600 } as const;
type Method = 'POST' | 'PUT';

function presignOf({ backend }: Subject): PresignOperations {
  return requireAbility(backend, 'presign');
}

function uploadTo(t: Subject, at: ObjectAddress, method: Method, options: Partial<PresignUploadOptions> = {}): Promise<PresignedUpload> {
  return presignOf(t).upload(at, { ...exact, ...options, method }, noContext);
}

/** Sends a body as a browser would. @returns the status */
async function send(upload: PresignedUpload, body: string | Uint8Array = data, type: string = exact.contentType): Promise<number> {
  const headers = new Headers(upload.headers);
  headers.delete('content-length'); // the browser sets its own
  const init = { method: upload.method, headers, redirect: 'manual' as const };
  if (upload.method === 'PUT') {
    headers.set('content-type', type);
    return statusOf(await fetch(upload.url, { ...init, body: Buffer.from(body) }));
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(upload.fields)) form.append(name, /^content-type$/i.test(name) ? type : value);
  form.append('file', new Blob([Buffer.from(body)], { type }), 'upload.bin');
  return statusOf(await fetch(upload.url, { ...init, body: form }));
}

async function statusOf(response: Response): Promise<number> {
  await response.arrayBuffer(); // an unread body holds its connection
  return response.status;
}

function assertRefused(status: number, what: string): void {
  assert.ok(status >= 400 && status < 500, `${what} is refused; the answer was ${status}`);
}

function assertAccepted(status: number): void {
  assert.ok(status >= 200 && status < 300, `the upload is accepted; the answer was ${status}`);
}

/** Every way to change or leave out one parameter of a signed URL. */
function tampered(url: string): [string, string][] {
  const names = [...new Set(new URL(url).searchParams.keys())];
  return names.flatMap((name) => {
    const [changed, without] = [new URL(url), new URL(url)];
    changed.searchParams.set(name, altered(changed.searchParams.get(name) ?? ''));
    without.searchParams.delete(name);
    return [
      [`another ${name}`, changed.href],
      [`no ${name}`, without.href],
    ];
  });
}

/** `value` with its middle character replaced by another of the same kind. */
function altered(value: string): string {
  const middle = Math.floor(value.length / 2);
  const character = value[middle] ?? '';
  const other = /\d/.test(character) ? String((Number(character) + 1) % 10) : /a/i.test(character) ? 'b' : 'a';
  return value.slice(0, middle) + other + value.slice(middle + 1);
}

export function presign(suite: Suite): void {
  const { presign: stated } = suite.options.abilities;
  const post = stated === true || (stated !== false && stated.post);
  suite.describe('presigned uploads', () => {
    uploads(suite, 'PUT');
    if (post) {
      uploads(suite, 'POST');
      forms(suite);
    } else {
      suite.test('answers PUT to POST where there are no forms', async (t) => {
        const upload = await presignOf(t).upload(t.at('object'), exact, noContext);
        assert.deepEqual([upload.method, upload.fields], ['PUT', {}]);
        assertAccepted(await send(upload));
        await t.assertHolds(t.at('object'), data);
      });
    }
  });
  suite.describe('presigned downloads', () => downloads(suite));
  suite.describe('expired presigned URLs', () => expiry(suite, post ? ['PUT', 'POST'] : ['PUT']));
}

function uploads({ options, test }: Suite, method: Method): void {
  test(`${method} takes the object it was signed for`, async (t) => {
    for (const name of ['object', 'a b+c%/é→日本/"x"']) {
      const upload = await uploadTo(t, t.at(name), method);
      assert.deepEqual([upload.method, upload.expiresIn], [method, 600]);
      if (method === 'PUT') assert.deepEqual(upload.fields, {});
      assertAccepted(await send(upload));
      await t.assertHolds(t.at(name), data);
      const info = await t.head(t.at(name));
      assert.deepEqual([info.size, info.contentType], [data.length, 'text/plain']);
    }
  });

  test(`${method} takes any type and size that were left open`, async (t) => {
    const upload = await presignOf(t).upload(t.at('open'), { method, expiresIn: 600 }, noContext);
    assertAccepted(await send(upload, 'of any size', 'image/png'));
    await t.assertHolds(t.at('open'), 'of any size');
  });

  test(`${method} takes an empty object, and nothing in its place`, async (t) => {
    const upload = await uploadTo(t, t.at('empty'), method, { size: 0 });
    assertRefused(await send(upload, 'x'), 'a body of 1 byte');
    assertAccepted(await send(upload, ''));
    await t.assertHolds(t.at('empty'), '');
  });

  test(`${method} refuses another size`, async (t) => {
    const upload = await uploadTo(t, t.at('object'), method);
    for (const body of [`${data}!`, data.slice(1), '', 'x'.repeat(200_000)])
      assertRefused(await send(upload, body), `a body of ${body.length} bytes`);
    await t.assertAbsent(t.at('object'));
  });

  test(`${method} refuses another type`, async (t) => {
    const upload = await uploadTo(t, t.at('object'), method);
    for (const type of ['text/html', 'text/plain; charset=utf-8']) assertRefused(await send(upload, data, type), type);
    await t.assertAbsent(t.at('object'));
  });

  test(`${method} refuses another key`, async (t) => {
    const [signed, other] = [t.at('signed'), t.at('other')];
    const upload = await uploadTo(t, signed, method);
    const fields = Object.fromEntries(
      Object.entries(upload.fields).map(([name, value]) => [name, value === signed.key ? other.key : value]),
    );
    const url = upload.url.replace(encodeKey(signed.key), encodeKey(other.key));
    assert.ok(url !== upload.url || Object.values(fields).includes(other.key), 'the key stands in the URL or in a field');
    assertRefused(await send({ ...upload, url, fields }), 'another key');
    await t.assertAbsent(other);
    await t.assertAbsent(signed);
  });

  test(`${method} refuses a URL that was changed anywhere`, async (t) => {
    const upload = await uploadTo(t, t.at('object'), method);
    if (method === 'PUT') assert.notDeepEqual(tampered(upload.url), [], 'the signature is in the URL');
    for (const [what, url] of tampered(upload.url)) assertRefused(await send({ ...upload, url }), what);
    await t.assertAbsent(t.at('object'));
  });

  test(`${method} leaves the object that is there when it refuses`, async (t) => {
    await t.put(t.at('object'), 'old bytes');
    assertRefused(await send(await uploadTo(t, t.at('object'), method), 'of another size'.repeat(3)), 'another size');
    await t.assertHolds(t.at('object'), 'old bytes');
  });

  test(`${method} is good for nothing but the upload`, async (t) => {
    await t.put(t.at('object'), 'old bytes');
    const { url } = await uploadTo(t, t.at('object'), method);
    for (const other of ['GET', 'DELETE']) assertRefused(await statusOf(await fetch(url, { method: other, redirect: 'manual' })), other);
    await t.assertHolds(t.at('object'), 'old bytes');
  });

  test(`${method} gives the object the storage class that was signed, or is refused`, async (t) => {
    const signing = uploadTo(t, t.at('object'), method, { storageClass: 'REDUCED_REDUNDANCY' });
    if (await isRefused(signing)) return;
    const status = await send(await signing);
    if (status >= 400) assertRefused(status, 'a storage class');
    else assert.equal((await t.head(t.at('object'))).storageClass, 'REDUCED_REDUNDANCY');
  });

  if (!options.abilities.acl) return;
  test(`${method} gives the object the ACL that was signed`, async (t) => {
    assertAccepted(await send(await uploadTo(t, t.at('public'), method, { acl: 'public-read' })));
    assertAccepted(await send(await uploadTo(t, t.at('private'), method)));
    assert.deepEqual([await isPublic(t, t.at('public')), await isPublic(t, t.at('private'))], [true, false]);
  });
}

async function isPublic({ backend }: Subject, at: ObjectAddress): Promise<boolean> {
  const acl = await backend.acl?.getObjectAcl(at, noContext);
  return acl?.grants.some(({ grantee }) => grantee.uri?.endsWith('/AllUsers') === true) === true;
}

function forms({ test }: Suite): void {
  test('a form is the default', async (t) => {
    assert.equal((await presignOf(t).upload(t.at('object'), exact, noContext)).method, 'POST');
  });

  test('a form refuses a field that was changed, left out or added', async (t) => {
    const at = t.at('object');
    const upload = await uploadTo(t, at, 'POST');
    assert.notDeepEqual(upload.fields, {}, 'the signature is in the fields');
    for (const name of Object.keys(upload.fields)) {
      const { [name]: value = '', ...others } = upload.fields;
      if (/^content-type$/i.test(name)) continue; // has its own test, and some stores take the part's type when the field is missing
      assertRefused(await send({ ...upload, fields: { ...upload.fields, [name]: altered(value) } }), `another ${name}`);
      await assertHarmless(t, at, await send({ ...upload, fields: others }), `no ${name}`);
    }
    const opened = await send({ ...upload, fields: { ...upload.fields, acl: 'public-read' } });
    assert.ok(opened >= 400 || !(await isPublic(t, at)), 'an ACL that was not signed takes no effect');
    await assertHarmless(t, at, opened, 'an ACL that was not signed');
    assertRefused(await send({ ...upload, fields: {} }), 'a form without fields');
    await t.assertAbsent(at);
  });
}

/** A store may do without a field that repeats what the URL says, such as the bucket, provided nothing else comes of it. */
async function assertHarmless(t: Subject, at: ObjectAddress, status: number, what: string): Promise<void> {
  if (status >= 400) return assertRefused(status, what);
  await t.assertHolds(at, data);
  assert.equal((await t.head(at)).contentType, exact.contentType, what);
  assert.deepEqual(await t.keys(), ['object'], what);
  await t.backend.delete(at, noContext);
}

function downloads({ test }: Suite): void {
  test('gives the object, its type and its length', async (t) => {
    for (const name of ['object', 'a b+c%/é→日本/"x"']) {
      await t.put(t.at(name), data, { contentType: 'text/plain' });
      const { url, expiresIn } = await presignOf(t).download(t.at(name), { expiresIn: 600 }, noContext);
      assert.equal(expiresIn, 600);
      const response = await fetch(url);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-type'), 'text/plain');
      assert.equal(response.headers.get('content-length'), String(data.length));
      assertSameBytes(new Uint8Array(await response.arrayBuffer()), data);
    }
  });

  test('answers HEAD where it is signed for that', async (t) => {
    await t.put(t.at('object'), data, { contentType: 'text/plain' });
    const { url } = await presignOf(t).download(t.at('object'), { expiresIn: 600, method: 'HEAD' }, noContext);
    const response = await fetch(url, { method: 'HEAD' });
    const { headers } = response;
    assert.deepEqual(
      [response.status, headers.get('content-length'), headers.get('content-type')],
      [200, String(data.length), 'text/plain'],
    );
  });

  test('gives a range, and says so', async (t) => {
    await t.put(t.at('object'), data);
    const { url } = await presignOf(t).download(t.at('object'), { expiresIn: 600 }, noContext);
    const response = await fetch(url, { headers: { range: 'bytes=3-5' } });
    assert.deepEqual([response.status, response.headers.get('content-range')], [206, `bytes 3-5/${data.length}`]);
    assertSameBytes(new Uint8Array(await response.arrayBuffer()), data.slice(3, 6));
  });

  test('answers with the disposition and the type that were signed', async (t) => {
    await t.put(t.at('object'), data, { contentType: 'text/plain' });
    const contentDisposition = `attachment; filename="report.csv"; filename*=UTF-8''r%C3%A9port.csv`;
    const { url } = await presignOf(t).download(t.at('object'), { expiresIn: 600, contentDisposition, contentType: 'text/csv' }, noContext);
    const response = await fetch(url);
    assert.equal(await statusOf(response), 200);
    assert.equal(response.headers.get('content-disposition'), contentDisposition);
    assert.equal(response.headers.get('content-type'), 'text/csv');
  });

  test('refuses another key, a changed URL, and any other method', async (t) => {
    await t.put(t.at('signed'), data);
    await t.put(t.at('other'), 'secret');
    const { url } = await presignOf(t).download(t.at('signed'), { expiresIn: 600, contentDisposition: 'attachment' }, noContext);
    const other = url.replace(encodeKey(t.at('signed').key), encodeKey(t.at('other').key));
    assert.notEqual(other, url, 'the key stands in the URL');
    for (const [what, changed] of [['another key', other], ['no signature', url.split('?')[0] ?? ''], ...tampered(url)] as const) {
      assertRefused(await statusOf(await fetch(changed, { redirect: 'manual' })), what);
    }
    for (const method of ['PUT', 'DELETE']) assertRefused(await statusOf(await fetch(url, { method, redirect: 'manual' })), method);
    await t.assertHolds(t.at('signed'), data);
  });

  test('answers 404 for an object that is not there', async (t) => {
    const { url } = await presignOf(t).download(t.at('none'), { expiresIn: 600 }, noContext);
    assert.equal(await statusOf(await fetch(url)), 404);
  });
}

/** One test, since it has to wait. */
function expiry({ test }: Suite, methods: readonly Method[]): void {
  test('are refused, and nothing is written', async (t) => {
    await t.put(t.at('object'), data);
    const expired = await Promise.all(methods.map((method) => uploadTo(t, t.at(method), method, { expiresIn: 1 })));
    const { url } = await presignOf(t).download(t.at('object'), { expiresIn: 1 }, noContext);
    await delay(2200); // a second of lifetime, plus one that providers may round by
    for (const upload of expired) {
      assertRefused(await send(upload), `an expired ${upload.method}`);
      await t.assertAbsent(t.at(upload.method));
    }
    assertRefused(await statusOf(await fetch(url)), 'an expired download');
  });
}
