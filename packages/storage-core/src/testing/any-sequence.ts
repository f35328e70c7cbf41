import fc from 'fast-check';

import type { BackendOptions } from './harness.ts';
import type { Operation } from './operations.ts';

/** Each resembles another in a way that has misled some store. */
const names = ['a', 'a/', 'a/b', 'a//b', 'a+b', 'a b', 'a%2Bb', 'A', 'a?b', '.a', 'a.', 'é', 'e\u0301', '日本/語', '\u{1f600}'];

const bucket = fc.constantFrom(0 as const, 1 as const);
const etag = fc.constantFrom('present' as const, 'former' as const, 'none' as const);
const acl = fc.constantFrom('private' as const, 'public-read' as const, 'authenticated-read' as const);
const contentType = fc.constantFrom('text/plain', 'image/png', 'application/json; charset=utf-8');
const metadata = fc.constantFrom({}, { title: 'Notes' }, { a: '1', 'b-c': 'two words' });
const unconditional = fc.constant({});
const ifMatch = fc.record({ ifMatch: etag });
const ifNoneMatch = fc.constant({ ifNoneMatch: '*' as const });

const fill = fc.constantFrom(0x61, 0x62, 0x63);
/** More than a part only now and then: that takes long. */
const size = fc.oneof(
  { weight: 60, arbitrary: fc.constantFrom(0, 1, 10, 70_000) },
  { weight: 1, arbitrary: fc.constant(5 * 1024 * 1024 + 1) },
);
const wholeAs = fc.constantFrom('buffer' as const, 'stream' as const, 'stream of known size' as const);
const brokenAs = fc.constantFrom('stream that ends early' as const, 'stream that fails' as const);
const whole = fc.record({ content: fc.record({ size, fill, as: wholeAs }) });
const broken = fc.record({ content: fc.record({ size: fc.constantFrom(1, 10, 70_000), fill, as: brokenAs }) });
const checked = fc.record({ checksum: fc.constantFrom('right' as const, 'wrong' as const) });

const position = fc.constantFrom(0, 1, 9, 70_000, 6_000_000);
const range = fc.oneof(
  fc.record({ start: position }),
  fc.tuple(position, position).map(([one, other]) => ({ start: Math.min(one, other), end: Math.max(one, other) })),
  fc.record({ suffix: position }),
);

const versioning = fc.record({ do: fc.constant('setVersioning' as const), enabled: fc.boolean() });

/** A sequence of operations that the backend has, on a few keys that it can hold. */
export function anySequence(options: BackendOptions, { withVersioning }: { readonly withVersioning: boolean }): fc.Arbitrary<Operation[]> {
  const { refusedKeys, hidesKeysBelowObjects } = options;
  const kept = names.filter((name) => refusedKeys?.(`t1/1/${name}`) !== true && !(hidesKeysBelowObjects === true && name === 'a'));
  return fc.shuffledSubarray(kept, { minLength: Math.min(2, kept.length), maxLength: Math.min(4, kept.length) }).chain((some) => {
    const operation = anyOperation(options, fc.constantFrom(...some));
    const operations = fc.oneof({ weight: 9, arbitrary: operation }, { weight: withVersioning ? 1 : 0, arbitrary: versioning });
    return fc.array(operations, { minLength: 1, maxLength: 50, size: 'max' });
  });
}

/** At most one thing is wrong with an operation, apart from what a sequence makes of it: of two mistakes a backend may name either. */
function anyOperation({ abilities }: BackendOptions, name: fc.Arbitrary<string>): fc.Arbitrary<Operation> {
  const at = fc.record({ bucket, name });
  const itsAcl = abilities.acl ? fc.record({ acl }, { requiredKeys: [] }) : unconditional;

  const described = fc.record({ at, contentType, metadata }, { requiredKeys: ['at', 'contentType'] });
  const conditions = fc.oneof({ weight: 3, arbitrary: unconditional }, ifMatch, ifNoneMatch, checked);
  const put = all({ do: 'put' as const }, described, itsAcl, whole, conditions);
  const brokenPut = all({ do: 'put' as const }, described, itsAcl, broken, unconditional);

  const places = fc.record({ from: at, to: at });
  const copyConditions = fc.oneof({ weight: 3, arbitrary: unconditional }, ifMatch, ifNoneMatch);
  const copy = all({ do: 'copy' as const }, places, itsAcl, copyConditions, unconditional);
  const move = all({ do: 'move' as const }, places, itsAcl, copyConditions, unconditional);

  const readConditions = fc.record({ range, ifMatch: etag, ifNoneMatch: etag }, { requiredKeys: [] });
  const get = all({ do: 'get' as const }, fc.record({ at }), readConditions, unconditional, unconditional);
  const head = fc.record({ do: fc.constant('head' as const), at });
  const prefix = fc.constantFrom('', 'a', 'a/', 'a%', '.', 'é', 'none');
  const pages = fc.record({ delimiter: fc.constantFrom('/', '%2B'), maxKeys: fc.constantFrom(1, 2, 1000) }, { requiredKeys: [] });
  const list = all({ do: 'list' as const }, fc.record({ bucket, prefix }), pages, unconditional, unconditional);

  const remove = fc.record({ do: fc.constant('delete' as const), at });
  const removeMany = fc.record({ do: fc.constant('deleteMany' as const), bucket, names: fc.array(name, { minLength: 1, maxLength: 4 }) });
  const getAcl = fc.record({ do: fc.constant('getAcl' as const), at });
  const setAcl = fc.record({ do: fc.constant('setAcl' as const), at, acl });

  return fc.oneof(
    { weight: 8, arbitrary: put },
    { weight: 1, arbitrary: brokenPut },
    { weight: 4, arbitrary: copy },
    { weight: 3, arbitrary: move },
    { weight: 3, arbitrary: get },
    { weight: 1, arbitrary: head },
    { weight: 2, arbitrary: list },
    { weight: 3, arbitrary: remove },
    { weight: abilities.batchDelete ? 1 : 0, arbitrary: removeMany },
    { weight: abilities.acl ? 1 : 0, arbitrary: getAcl },
    { weight: abilities.acl ? 1 : 0, arbitrary: setAcl },
  );
}

function all<Kind, A, B, C, D>(
  kind: Kind,
  ...parts: readonly [fc.Arbitrary<A>, fc.Arbitrary<B>, fc.Arbitrary<C>, fc.Arbitrary<D>]
): fc.Arbitrary<Kind & A & B & C & D> {
  return fc.tuple(...parts).map(([a, b, c, d]) => ({ ...kind, ...a, ...b, ...c, ...d }));
}
