import { storageError } from '@coffer/storage-core';
import type { StorageError } from '@coffer/storage-core';
import type { Options } from 'postgres';

/** Options for postgres.js, which reads all others from the URL. */
type DatabasePlace = Pick<
  Options<{}>,
  'host' | 'port' | 'database' | 'user' | 'password' | 'ssl' | 'max' | 'connection' | 'target_session_attrs'
>;

interface HostAndPort {
  /** Or the directory of a unix socket. */
  readonly host: string;
  readonly port: number | undefined;
}

const defaultPort = 5432;
const percent = 'has a "%" that encodes nothing; the sign itself is %25';
const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];
/** libpq applies these to its own sockets, so they must not be sent to a server. */
const clientOnlyParameters = ['keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count', 'load_balance_hosts', 'sslsni'];

/**
 * Parses a URL as libpq does: with one host, or several separated by commas; the query may name them as well. postgres.js itself sends
 * query parameters that it does not know to the server as settings, and accepts no IPv6 addresses.
 * @returns what to pass to postgres.js
 * @throws invalid_argument; the message contains nothing of the URL
 */
export function parseDatabaseUrl(text: string): { readonly url: string; readonly place: DatabasePlace } {
  const { url, hosts } = split(text);
  const take = (name: string): string | undefined => {
    const value = url.searchParams.get(name) ?? undefined;
    url.searchParams.delete(name);
    return value;
  };
  for (const name of clientOnlyParameters) take(name);
  if (take('gssencmode') === 'require') throw invalid('has gssencmode=require, which Coffer cannot do');
  const sslMode = sslModeOf(take('sslmode'), take('channel_binding'), take('sslrootcert'));
  const [host, port] = [take('host'), take('port')];
  const places = host === undefined ? fromAuthority(hosts.split(','), port) : fromQuery(host.split(','), port);
  const [user, password] = [take('user'), take('password')];
  // As in libpq, a unix socket has no TLS.
  if (sslMode !== undefined && !isSocket(places)) url.searchParams.set('sslmode', sslMode);
  const attributes = attributesOf(take('target_session_attrs'), places.length);
  const database = take('dbname') ?? decodeURIComponent(url.pathname.slice(1));
  const application = take('fallback_application_name') ?? 'coffer';
  const max = maxConnectionsOf(take('max'));
  const place = {
    ...addressOf(places),
    ...(database !== '' && { database }), // whoever requires one looks for it
    user,
    password,
    // postgres.js would treat it as verify-full; verify-ca accepts a certificate with any name.
    ...(sslMode === 'verify-ca' && !isSocket(places) && { ssl: { checkServerIdentity: () => undefined } }),
    ...(max !== undefined && { max }),
    target_session_attrs: attributes,
    connection: { application_name: application }, // the URL may name another one
  };
  return { url: url.href, place: place as DatabasePlace };
}

/** The parts of a URL that may be printed; `***` stands for the password. @throws invalid_argument */
export function shownDatabaseUrl(text: string): { readonly url: string; readonly hosts: string; readonly database: string } {
  const { url, hosts } = split(text);
  const { protocol, username, password, pathname, searchParams } = url;
  const named = searchParams.get('dbname');
  const database = named === null ? pathname : `/${encodeURIComponent(named)}`;
  const user = username === '' && password === '' ? '' : `${username}${password === '' ? '' : ':***'}@`;
  return { url: `${protocol}//${user}${hosts}${database}`, hosts: hosts === '' ? (searchParams.get('host') ?? '') : hosts, database };
}

/** `URL` accepts only one host: `url` has the first one, `hosts` all of them. */
function split(text: string): { readonly url: URL; readonly hosts: string } {
  const [, start, hosts = '', rest] = /^(postgres(?:ql)?:\/\/(?:[^/?#]*@)?)([^/?#]*)(.*)$/is.exec(String(text).trim()) ?? [];
  if (start === undefined) throw invalid('is not of the form postgres://user:password@host:5432/database');
  if (!isDecodable(start)) throw invalid(percent);
  const url = hosts === '' ? withoutHost(start, rest!) : URL.parse(`${start}${hosts.split(',')[0]}${rest}`);
  if (url === null || isSplit(url)) throw invalid('cannot be read; in a password, "@", "/", "?", "#" are %40, %2F, %3F, %23');
  if (!isDecodable(hosts) || !isDecodable(url.pathname)) throw invalid(percent);
  return { url, hosts };
}

/**
 * Whether an unencoded "@", "/", "?" or "#" in a password split the URL. What precedes it would be taken for a host or port, what follows
 * it for the database or a setting, and would be printed as that.
 */
function isSplit({ pathname, searchParams, hash }: URL): boolean {
  return hash !== '' || [pathname, ...searchParams.keys()].some((part) => part.includes('@'));
}

/** libpq accepts `postgres://user:password@/database?host=/directory`, but `URL` does not: user and password move to the query. */
function withoutHost(start: string, rest: string): URL | null {
  const url = URL.parse(`postgres://${rest}`);
  const [, user = '', password = ''] = /\/\/([^:]*):?(.*)@$/s.exec(start) ?? [];
  for (const [name, value] of Object.entries({ user, password })) {
    if (value !== '' && url?.searchParams.has(name) === false) url.searchParams.set(name, decodeURIComponent(value));
  }
  return url;
}

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
}

function fromAuthority(named: readonly string[], port: string | undefined): readonly HostAndPort[] {
  return named.map((text) => {
    const url = URL.parse(`postgres://${text}`);
    if (url === null) throw invalid('names an invalid host');
    return { host: decodeURIComponent(url.hostname.replace(/^\[(.*)\]$/, '$1')), port: portOf(url.port === '' ? port : url.port) };
  });
}

/** A single port applies to all hosts. */
function fromQuery(hosts: readonly string[], port: string | undefined): readonly HostAndPort[] {
  const ports = port?.split(',') ?? [];
  if (ports.length > 1 && ports.length !== hosts.length) throw invalid('does not have as many ports as hosts');
  return hosts.map((host, index) => ({ host, port: portOf(ports[index] ?? ports[0]) }));
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw invalid('has a port outside 1 to 65535');
  return port;
}

function maxConnectionsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,3}$/.test(text)) throw invalid('has a max that is not a number of connections');
  return Number(text);
}

/**
 * postgres.js accepts lists, although its types do not say so, or the directory of a socket. It takes what is left out from PGHOST and
 * PGPORT, as it does for user, password and database. Nothing can be left out of a list, and so of an IPv6 address.
 */
function addressOf(places: readonly HostAndPort[]): object {
  const [{ host, port }] = places as readonly [HostAndPort];
  const named = port === undefined ? {} : { port };
  if (places.length === 1 && host === '') return named;
  if (isSocket(places)) return { host, ...named };
  if (places.some((place) => place.host === '' || place.host.startsWith('/'))) throw invalid('names an invalid host');
  if (places.length === 1 && port === undefined && !host.includes(':')) return { host };
  return { host: places.map((place) => place.host), port: places.map((place) => place.port ?? defaultPort) };
}

function isSocket(places: readonly HostAndPort[]): boolean {
  return places.length === 1 && places[0]!.host.startsWith('/');
}

/**
 * Channel binding proves that the server at the other end is the right one. postgres.js does not support it, so the certificate has to
 * prove that.
 */
function sslModeOf(mode: string | undefined, binding = 'prefer', rootCertificate?: string): string | undefined {
  // postgres.js would treat any other mode as verify-full.
  if (mode !== undefined && !sslModes.includes(mode)) throw invalid(`has an sslmode other than ${sslModes.join(', ')}`);
  if (!['disable', 'prefer', 'require'].includes(binding)) throw invalid('has a channel_binding other than disable, prefer, require');
  if (rootCertificate !== undefined && rootCertificate !== 'system')
    throw invalid('has an sslrootcert; name your own CA in NODE_EXTRA_CA_CERTS instead');
  const isBound = binding === 'require';
  if (isBound && mode === 'disable') throw invalid('has channel_binding=require, which needs TLS');
  if (isBound || rootCertificate === 'system') return 'verify-full';
  // postgres.js would treat `allow` as require. The two modes differ only in what is tried first.
  return mode === 'allow' ? 'prefer' : mode;
}

/** Of several hosts, only one that accepts writes is of use. */
function attributesOf(text: string | undefined, hosts: number): 'read-write' | 'primary' | undefined {
  if (text === undefined) return hosts > 1 ? 'read-write' : undefined;
  if (text === 'any') return undefined;
  if (text === 'read-write' || text === 'primary') return text;
  throw invalid('has a target_session_attrs other than read-write, primary or any: Coffer needs a server that it can write to');
}

function invalid(what: string): StorageError {
  return storageError('invalid_argument', `The URL of the database ${what}.`);
}
