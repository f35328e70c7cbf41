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
    expect(table.match('GET', '/files/7')[0]).toEqual([['one', { id: '7' }]]);
  });
});
