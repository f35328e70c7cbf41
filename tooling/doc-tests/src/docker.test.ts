import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const all = (text: string, pattern: RegExp): readonly string[] => [...new Set([...text.matchAll(pattern)].map(([, found = '']) => found))];

describe('docker/', () => {
  const dockerfile = read('docker/Dockerfile');
  const compose = read('docker/compose.yaml');

  it('starts the server as the documented unit and `npm start` do', () => {
    const flagsOf = (text: string): readonly string[] => all(text, /(--[a-z-]+=\d+)(?=["', ])/g);
    const flags = flagsOf(/^CMD (.*)$/m.exec(dockerfile)?.[1] ?? '');
    expect(flags).toHaveLength(3);
    expect(flagsOf(/^const serverFlags = (.*)$/m.exec(read('tooling/bootstrap/tasks.mjs'))?.[1] ?? '')).toEqual(flags);
    expect(flagsOf(/^ExecStart=(.*)$/m.exec(read('docs/operations.md'))?.[1] ?? '')).toEqual(flags);
  });

  it('runs the major version of Node that is pinned', () => {
    const [major] = read('.node-version').split('.');
    expect(dockerfile).toContain(`ARG NODE_IMAGE=node:${major}-`);
  });

  const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'));
  const hosts = [undefined, '127.0.0.1', '0.0.0.0', '', ...(hasIpv6 ? ['::1', '[::1]', '::', '[::]'] : [])];
  it.each(hosts)('finds the server healthy where it listens: HOST=%s', async (host) => {
    const [, ...check] = JSON.parse(/^ {2}CMD (.*)$/m.exec(dockerfile)?.[1] ?? '') as string[];
    const server = createServer((request, response) => response.writeHead(request.url === '/health/live' ? 200 : 404).end());
    server.listen(0, host?.replaceAll(/[[\]]/g, '') || '127.0.0.1');
    try {
      await once(server, 'listening');
      const env = { ...(host !== undefined && { HOST: host }), PORT: String((server.address() as AddressInfo).port) };
      await promisify(execFile)(process.execPath, check, { env });
    } finally {
      server.close();
    }
  });

  it('sets variables that exist', () => {
    const set = [...all(compose, /^ {6}((?:STORAGE|AUTH|COFFER)_\w+|\w*_URL):/gm), ...all(dockerfile, /((?:COFFER|STORAGE|AUTH)_\w+)=/g)];
    const documented = read('docs/configuration.md');
    expect(set.length).toBeGreaterThan(8);
    expect(set.filter((name) => !documented.includes(`| \`${name}\` |`))).toEqual([]);
  });

  describe('kubernetes.yaml', () => {
    const kubernetes = read('docker/kubernetes.yaml');
    const numberAt = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
    const sleep = numberAt(kubernetes, /command: \[sleep, '(\d+)'\]/);

    it('sets variables that exist', () => {
      const set = all(kubernetes, /^ {2}([A-Z][A-Z0-9_]+):/gm);
      const documented = read('docs/configuration.md');
      expect(set.length).toBeGreaterThan(5);
      expect(set.filter((name) => !documented.includes(`| \`${name}\` |`))).toEqual([]);
    });

    it('asks on paths and ports that exist, and mounts the data directory', () => {
      const served = all(read('apps/api/src/health.ts'), /path: '([^']+)'/g);
      expect(all(kubernetes, /path: (\/\S+), port: http /g).toSorted()).toEqual(served.toSorted());
      expect(numberAt(kubernetes, /name: http, containerPort: (\d+)/)).toBe(numberAt(dockerfile, /^ +PORT=(\d+)/m));
      expect(numberAt(kubernetes, /name: metrics, containerPort: (\d+)/)).toBe(numberAt(kubernetes, /METRICS_PORT: '(\d+)'/));
      expect(all(kubernetes, /mountPath: (\S+) /g)).toEqual(all(dockerfile, /COFFER_DATA_DIR=(\S+)/g));
    });

    it('allows as much time and memory as the documented unit and table do', () => {
      const operations = read('docs/operations.md');
      expect(numberAt(kubernetes, /GracePeriodSeconds: (\d+)/)).toBe(sleep + numberAt(operations, /^TimeoutStopSec=(\d+)/m));
      expect(numberAt(kubernetes, /limits: \{ memory: (\d+)Mi/)).toBe(numberAt(operations, /^\| memory .* allow (\d+)\b/m));
      const checkSeconds = numberAt(read('docs/configuration.md'), /`STORAGE_HEALTH_CHECK_TIMEOUT` \| `(\d+)`/);
      expect(numberAt(kubernetes, /path: \/health\/ready, .*\n.*\n +timeoutSeconds: (\d+)/)).toBeGreaterThan(checkSeconds);
    });
  });

  it('names in its example every secret that it asks for, and holds none', () => {
    const example = read('docker/.env.example');
    const asked = all(compose, /\$\{(\w+):\?/g);
    expect(all(example, /^(\w+)=$/gm).toSorted()).toEqual(asked.toSorted());
    expect(all(example, /^(\w+)=./gm)).toEqual([]);
  });

  it('names in its example every other variable that it passes on, with the default', () => {
    const passed = all(compose, /\$\{(\w+:-[^}]*)\}/g).map((text) => text.replace(':-', '='));
    expect(passed.length).toBeGreaterThan(3);
    expect(all(read('docker/.env.example'), /^#(\w+=.*)$/gm).toSorted()).toEqual(passed.toSorted());
  });
});
