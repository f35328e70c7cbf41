import { describe, expect, it } from 'vitest';

import { parseQuery } from './query.ts';

describe('a query', () => {
  it.each([
    ['', {}],
    ['&&', {}],
    ['a=1&b=2', { a: '1', b: '2' }],
    ['a', { a: '' }],
    ['a=', { a: '' }],
    ['a=b=c', { a: 'b=c' }],
    ['a=x+y%2Bz%26', { a: 'x y+z&' }],
    ['a=%C3%BC%F0%9F%98%80', { a: 'ü😀' }],
    ['a?=1', { 'a?': '1' }],
  ])('is read: %s', (text, expected) => {
    expect(parseQuery(text)).toEqual(expected);
  });

  it('does not touch prototypes', () => {
    const query = parseQuery('__proto__=1&constructor=2');
    expect(Object.keys(query)).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>)['1']).toBeUndefined();
  });

  it.each(['a=1&a=2', 'a=1&%61=1', 'a=%', 'a=%zz', 'a=%ff', '%ff=1', 'a=%ED%A0%80'])('is refused: %s', (text) => {
    expect(() => parseQuery(text)).toThrow(expect.objectContaining({ code: 'validation_failed' }));
  });

  it('reports each mistake once', () => {
    const errors = [
      { field: 'a', message: 'given more than once' },
      { field: 'query', message: 'is not percent-encoded UTF-8' },
      { field: 'b', message: 'is not percent-encoded UTF-8' },
      { field: 'a', message: 'is not percent-encoded UTF-8' },
    ];
    expect(() => parseQuery('a=1&a=2&a=3&%=1&%=2&a&b=%&a=%')).toThrow(expect.objectContaining({ errors }));
  });
});
