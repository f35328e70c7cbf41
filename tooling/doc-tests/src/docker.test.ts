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
