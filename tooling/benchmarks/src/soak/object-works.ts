import { randomInt } from 'node:crypto';

import { Refusal } from './exchange.ts';
import { read } from './reading.ts';
import { json, randomOf, raw } from './scene.ts';
import type { Scene, Tenant } from './scene.ts';
import type { Slot } from './slot.ts';

/** Bytes that were moved; `idle` if there was nothing to do. */
export type Outcome = number | 'idle' | 'replaced';
export type Work = (scene: Scene, tenant: Tenant) => Promise<Outcome>;

const sizeOf = ({ state }: Slot): number | undefined => (state === undefined || state === 'absent' ? undefined : state.size);
const route = ({ name }: Slot): string => `storage/objects/${encodeURIComponent(name)}`;

/** Of a store that is away, or says nothing, by the code of a key. */
const statusWhileAway: Readonly<Record<string, number>> = { storage_unavailable: 503, connect_timeout: 504, read_timeout: 504 };

/** Operations on objects that no row tracks. */
export const objectWorks: Readonly<Record<string, Work>> = {
  'raw upload': async (scene, tenant) => {
    const slot = randomOf(tenant.objects);
    const version = scene.newVersion();
    const put = async (): Promise<void> => {
      const { text } = await scene.call('admin', tenant, route(slot), [201], { method: 'PUT', body: raw(version) });
      const { key, size_bytes: size } = JSON.parse(text) as { readonly key: string; readonly size_bytes: number };
      if (key !== slot.name || size !== version.size) throw new Error(`An upload to ${slot.name} was answered ${text}`);
    };
    return (await slot.exclusively(() => slot.change(version, put))) ? version.size : 'idle';
  },

  'raw upload, left': async (scene, tenant) => {
    const slot = randomOf(tenant.objects);
    const version = scene.newVersion();
    if (version.size === 0) return 'idle';
    // Not a change: nobody may ever see any of these bytes.
    const ask = { method: 'PUT', body: raw(version), abortAfter: randomInt(version.size) };
    const done = await slot.exclusively(async () => void (await scene.call('admin', tenant, route(slot), [], ask)));
    return done ? 0 : 'idle';
  },

  'object download': async (scene, tenant) => {
    const slot = randomOf(tenant.objects);
    return readSomehow(slot, `${scene.url}/api/v1/${route(slot)}`, await scene.headers('admin', tenant));
  },

  // Picks bodies too large for the system's buffers, so that the API has to hold back the rest. Those report reads by the mebibyte
  // only, which even on a loaded machine must happen more often than the store may be silent.
  'slow download': async (scene, tenant) => {
    const slot = randomOf(
      [...tenant.objects, ...tenant.files.values()].toSorted((a, b) => (sizeOf(b) ?? 0) - (sizeOf(a) ?? 0)).slice(0, 3),
    );
    const isFile = tenant.files.has(slot.name);
    const url = `${scene.url}/api/v1/${isFile ? `files/${slot.name}/download` : route(slot)}`;
    return read(slot, { url, headers: await scene.headers(isFile ? 'user' : 'admin', tenant), pauseMs: 20 });
  },

  'copy, move': async (scene, tenant) => {
    const [from, to] = [randomOf(tenant.objects), randomOf(tenant.objects)];
    const version = from.state;
    if (from === to || version === undefined || version === 'absent') return 'idle';
    const verb = randomOf(['copy', 'move'] as const);
    const post = (): Promise<unknown> =>
      scene.call('admin', tenant, `storage/${verb}`, [200], json({ source: { key: from.name }, destination: { key: to.name } }));
    const write = (): Promise<void> => to.change(version, post);
    let done = false;
    await from.exclusively(async () => {
      if (from.state !== version) return; // it has changed meanwhile
      done = await to.exclusively(() => (verb === 'copy' ? write() : from.change('absent', write)));
    });
    return done ? version.size : 'idle';
  },

  'object delete': async (scene, tenant) => {
    const slot = randomOf(tenant.objects);
    const one = (): Promise<unknown> => scene.call('admin', tenant, route(slot), [204], { method: 'DELETE' });
    const many = async (): Promise<void> => {
      const answer = await scene.call('admin', tenant, 'storage/delete', [200], json({ keys: [slot.name, 'raw/never'] }));
      const { errors } = JSON.parse(answer.text) as { readonly errors: readonly { readonly code: string }[] };
      // Each key has its own result, which may be that of a store that is away.
      const [status] = errors.map(({ code }) => statusWhileAway[code]);
      if (status !== undefined && errors.every(({ code }) => code in statusWhileAway)) {
        const headers = { 'content-type': 'application/problem+json', 'retry-after': '1' };
        throw new Refusal('storage/delete', { ...answer, status, headers, text: JSON.stringify(errors[0]) });
      }
      if (errors.length > 0) throw new Error(`storage/delete was answered ${answer.text}`);
    };
    return (await slot.exclusively(() => slot.change('absent', randomOf([one, many])))) ? 0 : 'idle';
  },

  'object list': async (scene, tenant) => {
    const before = tenant.objects.map((slot) => ({ slot, state: slot.state, changes: slot.changes }));
    const listed = new Map<string, number>();
    const query = `storage/objects?prefix=raw/&max_keys=${randomOf([5, 1000])}`;
    for (let token: string | undefined = ''; token !== undefined;) {
      const after = token === '' ? '' : `&continuation_token=${encodeURIComponent(token)}`;
      const page = JSON.parse((await scene.call('admin', tenant, query + after, [200])).text) as ObjectPage;
      for (const { key, size_bytes: size } of page.objects) listed.set(key, size);
      token = page.next_continuation_token;
    }
    for (const { slot, state, changes } of before) {
      if (state === undefined || slot.changes !== changes) continue;
      const size = state === 'absent' ? undefined : state.size;
      if (listed.get(slot.name) !== size) throw new Error(`${slot.name} of ${size} bytes is listed with ${listed.get(slot.name)}.`);
    }
    return 0;
  },
};

interface ObjectPage {
  readonly objects: readonly { readonly key: string; readonly size_bytes: number }[];
  readonly next_continuation_token?: string;
}

export async function readObject(scene: Scene, tenant: Tenant, slot: Slot): Promise<Outcome> {
  return read(slot, { url: `${scene.url}/api/v1/${route(slot)}`, headers: await scene.headers('admin', tenant) });
}

/** Reads all of it or a range, to the end or not. */
export function readSomehow(slot: Slot, url: string, headers: Readonly<Record<string, string>>): Promise<Outcome> {
  const size = sizeOf(slot) ?? 1000;
  const start = randomInt(size + 1);
  const kind = Math.random();
  if (kind < 0.5) return read(slot, { url, headers });
  if (kind < 0.85) return read(slot, { url, headers }, { start, end: start + randomInt(size + 1) });
  return read(slot, { url, headers, abortAfter: randomInt(size + 1) });
}
