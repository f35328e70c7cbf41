import { isIP } from 'node:net';
import { resolve } from 'node:path';

import { parseDatabaseUrl } from '@coffer/files-db/database-url';
import { bucketNameProblem } from '@coffer/storage-core';

import type { Parsed, Parser } from './env-reader.ts';

const ok = <T>(value: T): Parsed<T> => ({ value });
const invalid = (problem: string): { readonly problem: string } => ({ problem });

/** The variable files of Docker and Kubernetes, and `set` on Windows, keep the quotes that a shell would remove. */
export const isQuoted = (value: string): boolean => /^(["']).*\1$/s.test(value.trim());

/** Warns where quotes may belong to a value, as they may to a secret. */
export const quotesKept = (variable: string): string => `${variable} has quotes around it, which are taken as a part of it.`;

/** Trimmed: for values that neither white space nor quotes around them can belong to. */
export const text: Parser<string> = (value) => {
  if (value.trim() === '') return invalid('must not be blank.');
  return isQuoted(value) ? invalid('must not have quotes around it.') : ok(value.trim());
};

/** White space may belong to a value; a trailing line end, which variable and secret files leave there, does not. */
const withoutLineEnd = (value: string): string => value.replace(/[\r\n]+$/, '');

/** Not trimmed, but for a trailing line end: a space may belong to it. */
export const keyText: Parser<string> = (value) => {
  const key = withoutLineEnd(value);
  if (key === '') return invalid('must not be blank.');
  return /\p{Cc}/u.test(key) ? invalid('must not have a line end or another control character in it.') : ok(key);
};

/** At least `bytes` bytes of UTF-8. */
export const secretOf =
  (bytes: number): Parser<string> =>
  (value) =>
    Buffer.byteLength(value) >= bytes ? ok(value) : invalid(`must have at least ${bytes} bytes; "openssl rand -base64 48" makes one.`);

export const booleanText: Parser<boolean> = (value) => {
  const word = value.trim().toLowerCase();
  if (['true', '1', 'yes'].includes(word)) return ok(true);
  if (['false', '0', 'no'].includes(word)) return ok(false);
  return invalid('must be true or false (or 1, 0, yes, no).');
};

/** Case does not matter. */
export const oneOf =
  <T extends string>(choices: readonly T[]): Parser<T> =>
  (value) => {
    const choice = choices.find((name) => name.toLowerCase() === value.trim().toLowerCase());
    return choice === undefined ? invalid(`must be one of ${choices.join(', ')}.`) : ok(choice);
  };

export const wholeNumber =
  (min: number, max: number): Parser<number> =>
  (value) => {
    const number = Number(value);
    if (/^\d{1,16}$/.test(value.trim()) && number >= min && number <= max) return ok(number);
    return invalid(`must be a whole number from ${min} to ${max}.`);
  };

/** Fractions are allowed. */
export const seconds =
  (max: number): Parser<number> =>
  (value) => {
    const number = Number(value);
    if (/^\d{1,9}(?:\.\d{1,6})?$/.test(value.trim()) && number > 0 && number <= max) return ok(number);
    return invalid(`must be a number of seconds above 0, at most ${max}.`);
  };

export const bucketName: Parser<string> = (value) => {
  const problem = bucketNameProblem(value.trim());
  return problem === undefined ? ok(value.trim()) : invalid(problem);
};

/** A region is part of signatures and, with AWS, of the host name. */
export const regionName: Parser<string> = (value) => {
  const region = value.trim();
  return /^[a-z0-9](?:[\w.-]{0,62})$/i.test(region) ? ok(region) : invalid('must be the name of a region, like us-east-1.');
};

/** Absolute, without credentials and fragment. */
const parsedHttpUrl = (value: string): URL | undefined => {
  const url = URL.parse(value.trim());
  const isHttp = url !== null && /^https?:$/.test(url.protocol);
  return isHttp && url.username === '' && url.password === '' && url.hash === '' ? url : undefined;
};

/** Requested as it is: a query or a slash at its end may belong to it. */
export const resourceUrl: Parser<string> = (value) => {
  const url = parsedHttpUrl(value);
  return url === undefined ? invalid('must be a URL that begins with http:// or https://, without user name and fragment.') : ok(url.href);
};

/** The base of other URLs: without a query, and without slashes at its end. */
export const baseUrl: Parser<string> = (value) => {
  const url = parsedHttpUrl(value);
  return url !== undefined && url.search === ''
    ? ok(`${url.origin}${url.pathname}`.replace(/\/+$/, ''))
    : invalid('must be a URL that begins with http:// or https://, without user name, query and fragment.');
};

/** A `baseUrl`, or only its host, port and path; `secure` then decides the scheme. */
export const endpointUrl =
  (secure: boolean): Parser<string> =>
  (value) => {
    const hasScheme = value.includes('://');
    const parsed = baseUrl(hasScheme ? value : `${secure ? 'https' : 'http'}://${value.trim()}`);
    return 'value' in parsed ? parsed : invalid('must be a host, optionally with a port, or a URL that begins with http:// or https://.');
  };

export const databaseUrl: Parser<string> = (value) => {
  const problem = 'must be a URL like postgres://user:password@host:5432/database.';
  try {
    const { place } = parseDatabaseUrl(value);
    return place.host !== undefined && place.database !== undefined ? ok(value.trim()) : invalid(problem);
  } catch (error) {
    const { message } = error as Error;
    return invalid(message.includes(' of the form ') ? problem : `${problem} ${message}`);
  }
};

/** A name or address to listen on, without the brackets of an IPv6 URL. */
export const hostName: Parser<string> = (value) => {
  const host = value.trim().replace(/^\[(.*)\]$/, '$1');
  // Includes the zone of a link-local address, which no URL holds. Names that end like an IPv4 address are read as one.
  const isHost = isIP(host) !== 0 || (/^[0-9a-z._-]+$/i.test(host) && URL.canParse(`http://${host}`));
  return isHost ? ok(host) : invalid('must be a host name or an IP address.');
};

/** `*`, or origins as browsers send them, separated by commas. A host may begin with `*.`. */
export const origins: Parser<readonly string[]> = (value) => {
  const list = value.split(',').map((origin) => origin.trim().toLowerCase());
  const valid = list.every((origin) => origin === '*' || /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]+$/.test(origin));
  return valid ? ok(list) : invalid('must be *, or origins like https://app.example.com separated by commas, each without a path.');
};

/** An absolute path; a relative one starts at `cwd`. */
export const pathFrom =
  (cwd: string): Parser<string> =>
  (value) => {
    const path = withoutLineEnd(value);
    if (path === '' || /[\0\r\n]/.test(path)) return invalid('must be a path, on one line.');
    // It would be a relative path: a directory of that name would appear, and what should be in another one would be stored there.
    return isQuoted(path) ? invalid('must be a path without quotes around it.') : ok(resolve(cwd, path));
  };
