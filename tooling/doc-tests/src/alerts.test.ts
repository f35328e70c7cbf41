import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';

import { freePort, testDatabase } from '@coffer/fixtures';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ApiServer } from './api-server.ts';
import { pathOf } from './documents.ts';
import { runFolder } from './run-folder.ts';

/** Metrics, as a rule or a server names them: name and labels. `up` and `job` are Prometheus's own. */
function metricsIn(text: string): readonly (readonly [name: string, labels: ReadonlyMap<string, string>])[] {
  return Array.from(text.matchAll(/\b([a-z]\w+)\{([^}]*)\}/g), ([, name = '', labels = '']) => [
    name,
    new Map(Array.from(labels.matchAll(/(\w+)(?:=|=~|!~)"([^"]*)"/g), ([, label = '', value = '']) => [label, value])),
  ]);
}

describe('docs/alerts.yml', () => {
  const asked = metricsIn(readFileSync(pathOf('docs/alerts.yml'), 'utf8')).filter(([name]) => name !== 'up');
  let folder = '';
  let server: ApiServer | undefined;
  let served: ReturnType<typeof metricsIn> = [];

  beforeAll(async () => {
    folder = await runFolder();
    const [port, metricsPort] = [await freePort(), await freePort()];
    const { url } = await testDatabase();
    server = await ApiServer.start(folder, { DATABASE_URL: url, PORT: String(port), METRICS_PORT: String(metricsPort) });
    const token = server.exports['COFFER_ADMIN_TOKEN'] ?? '';
    const headers = { authorization: `Bearer ${token}` };
    await fetch(`http://127.0.0.1:${port}/health/ready`);
    for (const [method, path] of [
      ['HEAD', 'objects/none'],
      ['DELETE', 'objects/none'],
      ['GET', 'objects'],
    ] as const)
      await fetch(`http://127.0.0.1:${port}/api/v1/storage/${path}`, { method, headers });
    const exposed = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    // Without labels, the braces are left out.
    served = metricsIn(exposed.replaceAll(/^([a-z]\w+) /gm, '$1{} '));
  });
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('asks for metrics and labels that there are', () => {
    expect(asked.length).toBeGreaterThan(8);
    for (const [name, labels] of asked) {
      const all = served.filter(([other]) => other === name);
      expect(all, name).not.toEqual([]);
      for (const label of labels.keys()) if (label !== 'job') expect(all[0]?.[1].has(label), `${name}: ${label}`).toBe(true);
    }
  });

  it.each(['route', 'operation'])('names a %s that there is', (label) => {
    const values = new Set(served.map(([, labels]) => labels.get(label)));
    const named = asked.flatMap(([, labels]) => labels.get(label)?.split('|') ?? []).filter((value) => !value.endsWith('.*'));
    expect(named).not.toEqual([]);
    expect(named.filter((value) => !values.has(value))).toEqual([]);
  });
});
