import { randomInt } from 'node:crypto';

import { Refusal, send } from './exchange.ts';
import { readSomehow } from './object-works.ts';
import type { Outcome, Work } from './object-works.ts';
import { read } from './reading.ts';
import { fileName, form, json, randomOf, raw } from './scene.ts';
import type { Scene, Tenant } from './scene.ts';
import { Slot } from './slot.ts';
import type { Version } from './slot.ts';

/** A tenant with this many files uploads no more until some are deleted. */
const maxFiles = 40;

interface FileRow {
  readonly id: string;
  readonly filename: string;
  readonly size_bytes: number;
}

interface Presigned {
  readonly file_id: string;
  readonly method: string;
  readonly upload_url: string;
  readonly upload_fields: Readonly<Record<string, string>>;
  readonly upload_headers: Readonly<Record<string, string>>;
}

/** Operations on tracked files. */
export const fileWorks: Readonly<Record<string, Work>> = {
  'form upload': async (scene, tenant) => {
    if (tenant.files.size >= maxFiles) return 'idle';
    const version = scene.newVersion();
    const { text } = await scene.call('user', tenant, 'files/upload', [201], form(version, { metadata: '{"by":"soak"}' }));
    return kept(tenant, text, version);
  },

  'form upload, left': async (scene, tenant) => {
    const ask = form(scene.newVersion(), {});
    await scene.call('user', tenant, 'files/upload', [], { ...ask, abortAfter: randomInt(ask.body!.length) });
    return 0;
  },

  'presigned upload': async (scene, tenant) => {
    if (tenant.files.size >= maxFiles) return 'idle';
    const version = scene.newVersion();
    const asked = json({ filename: fileName(version), content_type: 'application/octet-stream', size_bytes: version.size });
    const upload = JSON.parse((await scene.call('user', tenant, 'files/presigned-upload', [201], asked)).text) as Presigned;
    const { method, upload_url: url, upload_headers: headers, upload_fields: fields, file_id: id } = upload;
    const far = Math.random();
    if (far < 0.1) return 0; // the bytes are never sent
    const leaving = far < 0.2 ? { abortAfter: randomInt(version.size + 1) } : {};
    const put = { method, headers: { ...headers }, body: raw(version) };
    const answer = await send({ ...(method === 'POST' ? form(version, fields) : put), url, ...leaving });
    if (answer.status < 200 || answer.status > 299) throw new Refusal(`The store's form`, answer);
    if (far < 0.3) return version.size; // it is never completed
    const complete = (): ReturnType<Scene['call']> => scene.call('user', tenant, `files/${id}/complete`, [200], { method: 'POST' });
    const { text } = await complete();
    if (far > 0.9) await complete(); // completing may be repeated
    return kept(tenant, text, version);
  },

  'file download': async (scene, tenant) => {
    const slot = someFile(tenant);
    if (slot === undefined) return 'idle';
    const headers = await scene.headers('user', tenant);
    if (Math.random() < 0.8) return readSomehow(slot, `${scene.url}/api/v1/files/${slot.name}/download`, headers);
    // A file that is deleted meanwhile is not found here, nor by the download.
    const answer = await scene.call('user', tenant, `files/${slot.name}/presigned-download`, [200, 404], json({}));
    if (answer.status === 200) return readSomehow(slot, (JSON.parse(answer.text) as { readonly download_url: string }).download_url, {});
    if (slot.mayBe('absent')) return 0;
    throw new Refusal(`The presigned download of ${slot.name}`, answer);
  },

  'file delete': async (scene, tenant) => {
    const slot = someFile(tenant);
    if (slot === undefined) return 'idle';
    const statuses = slot.mayBe('absent') ? [204, 404] : [204];
    const remove = (): Promise<unknown> => scene.call('user', tenant, `files/${slot.name}`, statuses, { method: 'DELETE' });
    const done = await slot.exclusively(async () => {
      await slot.change('absent', remove);
      tenant.files.delete(slot.name);
    });
    if (done) await scene.call('user', tenant, `files/${slot.name}/download`, [404]);
    return done ? 0 : 'idle';
  },

  'file of another tenant': async (scene, tenant) => {
    const slot = someFile(tenant);
    const other = randomOf(scene.tenants);
    if (slot === undefined || other === tenant) return 'idle';
    await scene.call('user', other, `files/${slot.name}/download`, [404]);
    return 0;
  },

  'file list': async (scene, tenant) => {
    const before = [...tenant.files.values()].map((slot) => ({ slot, state: slot.state, changes: slot.changes }));
    const listed = new Map((await listFiles(scene, tenant, randomOf([7, 1000]))).map((file) => [file.id, file]));
    for (const { slot, state, changes } of before) {
      if (state === undefined || state === 'absent' || slot.changes !== changes) continue;
      const { size_bytes: size, filename } = listed.get(slot.name) ?? {};
      if (size === state.size && filename === fileName(state)) continue;
      throw new Error(`The file ${slot.name} of ${state.size} bytes is listed as ${filename} with ${size}.`);
    }
    return 0;
  },
};

export async function listFiles(scene: Scene, tenant: Tenant, limit: number): Promise<readonly FileRow[]> {
  const found: FileRow[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const after: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const { text } = await scene.call('user', tenant, `files?status=available&limit=${limit}${after}`, [200]);
    const page = JSON.parse(text) as { readonly files: readonly FileRow[]; readonly next_cursor: string | null };
    found.push(...page.files);
    cursor = page.next_cursor;
  }
  return found;
}

export async function readFile(scene: Scene, tenant: Tenant, slot: Slot): Promise<Outcome> {
  return read(slot, { url: `${scene.url}/api/v1/files/${slot.name}/download`, headers: await scene.headers('user', tenant) });
}

function someFile(tenant: Tenant): Slot | undefined {
  return tenant.files.size === 0 ? undefined : randomOf([...tenant.files.values()]);
}

function kept(tenant: Tenant, text: string, version: Version): number {
  const { id, size_bytes: size, filename } = JSON.parse(text) as FileRow;
  if (size !== version.size || filename !== fileName(version)) throw new Error(`An upload of ${version.size} bytes was answered ${text}`);
  tenant.files.set(id, new Slot(id, version));
  return version.size;
}
