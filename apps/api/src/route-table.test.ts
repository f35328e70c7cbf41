import { describe, expect, it } from 'vitest';

import { RouteTable } from './route-table.ts';

describe('the table of routes', () => {
  it('finds the same the second time, and what was added meanwhile', () => {
    const table = new RouteTable<string>();
    table.add('GET', '/files', 'list');
    table.add('GET', '/files/:id', 'one');
    const namesOf = (method: string, path: string): readonly string[] => table.match(method, path)[0].map(([name]) => name as string);
    for (let times = 0; times < 2; times++) {
      expect(namesOf('GET', '/files')).toEqual(['list']);
      expect(namesOf('GET', '/files/upload')).toEqual(['one']);
      expect(namesOf('POST', '/files')).toEqual([]);
    }
    table.add('POST', '/files', 'upload');
    table.add('GET', '/files/upload', 'form');
    expect(namesOf('POST', '/files')).toEqual(['upload']);
    expect(namesOf('GET', '/files/upload')).toEqual(['one', 'form']);
    table.add('GET', '/:any/upload', 'any');
    expect(namesOf('GET', '/files/upload')).toEqual(['one', 'form', 'any']);
    expect(table.match('GET', '/files/7')[0]).toEqual([['one', { id: '7' }]]);
  });

  it('finds parameters that span slashes, in the order of their routes', () => {
    const table = new RouteTable<string>();
    table.add('GET', '/objects/:key{.+}/acl', 'acl');
    table.add('GET', '/objects/:key{.+}', 'object');
    table.add('GET', '/objects/', 'list');
    const found = (method: string, path: string): unknown => table.match(method, path)[0];
    expect(found('GET', '/objects/a/b')).toEqual([['object', { key: 'a/b' }]]);
    expect(found('GET', '/objects/a/acl')).toEqual([
      ['acl', { key: 'a' }],
      ['object', { key: 'a/acl' }],
    ]);
    expect(found('GET', '/objects/acl/acl/')).toEqual([['object', { key: 'acl/acl/' }]]);
    expect(found('GET', '/objects//acl')).toEqual([['object', { key: '/acl' }]]);
    expect(found('GET', '/objects/')).toEqual([['list', expect.anything()]]);
    for (const path of ['/objects', '/objectsx', '/', '/elsewhere/a/acl']) expect(found('GET', path)).toEqual([]);
    expect(found('PUT', '/objects/a')).toEqual([]);
  });

  it('finds them in no time, however many segments there are', () => {
    const table = new RouteTable<string>();
    table.add('GET', '/objects/:key{.+}/acl', 'acl');
    table.add('GET', '/objects/:key{.+}', 'object');
    expect(table.match('GET', `/objects/${'/acl'.repeat(50_000)}`)[0]).toHaveLength(2);
  });
});
