import { execFile, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { pbkdf2 } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { StartupError } from '../startup-error.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import type { EmbeddedPostgres } from './embedded-postgres.ts';
import { withLock } from './lock.ts';
import { startOf } from './process-table.ts';

type Connection = EmbeddedPostgres['connection'];

const namespace = ['--map-root-user', '--mount'];

let dir = '';
let dataDir = '';
let cleanUp: (() => unknown)[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'coffer-embedded-'));
  await chmod(dir, 0o755);
  dataDir = join(dir, 'data');
  cleanUp = [];
});

afterEach(async () => {
  for (const step of cleanUp.toReversed()) await step();
  const pid = await serverPid().catch(() => 0);
  const left = pid > 0 && !(await isGone(pid));
  if (left) process.kill(pid, 'SIGKILL');
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  expect(left).toBe(false);
});

async function start(log?: (message: string) => void): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, ...(log !== undefined && { log }) });
  cleanUp.push(() => server.stop());
  return server;
}

async function query<T>(connection: Connection, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres({ ...connection, max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

const home = (): string => join(dataDir, 'postgres');

async function serverPid(): Promise<number> {
  return Number((await readFile(join(home(), 'data/postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** Everything that Node does in its threads, such as to close a file, takes long meanwhile. */
async function whileThreadsAreBusy(work: () => Promise<void>): Promise<void> {
  let isOver = false;
  const busy = Array.from({ length: 16 }, async () => {
    while (!isOver) await promisify(pbkdf2)('password', 'salt', 20_000, 32, 'sha256');
  });
  await work().finally(() => (isOver = true));
  await Promise.all(busy);
}

async function isGone(pid: number): Promise<boolean> {
  return (await startOf(pid)) === undefined;
}

/** Another process that uses the same data directory until its standard input ends. */
interface Owner {
  readonly process: ChildProcess;
  readonly connection: Connection;
  readonly found: EmbeddedPostgres['found'];
  end(): Promise<void>;
}

function spawnOwner(): ChildProcess {
  const module = fileURLToPath(new URL('./embedded-postgres.ts', import.meta.url));
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(module)};
    const stopping = new AbortController();
    process.on('SIGINT', () => stopping.abort(new Error('Stopped.')));
    const server = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, signal: stopping.signal }).catch((error) => {
      console.log(error.message);
      process.exit(1);
    });
    console.log(JSON.stringify({ connection: server.connection, found: server.found }));
    process.stdin.once('end', () => server.stop()).resume();
  `;
  const owner = spawn(process.execPath, ['--conditions=@coffer/source', '--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  cleanUp.push(() => owner.kill('SIGKILL'));
  return owner;
}

async function startOwner(): Promise<Owner> {
  const owner = spawnOwner();
  const exited = new Promise<void>((resolve) => owner.once('exit', () => resolve()));
  const line = await new Promise<string>((resolve, reject) => {
    owner.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    owner.once('exit', (code) => reject(new Error(`The owner exited with ${code}.`)));
  });
  return {
    process: owner,
    ...(JSON.parse(line) as Pick<Owner, 'connection' | 'found'>),
    async end() {
      owner.stdin?.end();
      await exited;
    },
  };
}

async function killed(owner: Owner): Promise<void> {
  const exited = new Promise<void>((resolve) => owner.process.once('exit', () => resolve()));
  owner.process.kill('SIGKILL');
  await exited;
}

describe('a new data directory', () => {
  it('gets a database that only its owner reaches, by a socket and a password, and that survives a power cut', async () => {
    const server = await start();
    expect(server.found).toBe('nothing');
    const [row] = await query(
      server.connection,
      (sql) => sql`
      select current_user as "user", current_database() as database, usesuper, current_setting('listen_addresses') as tcp,
        current_setting('fsync') as fsync, current_setting('full_page_writes') as pages, current_setting('synchronous_commit') as commit,
        current_setting('server_encoding') as encoding, (select datlocale from pg_database where datname = current_database()) as locale
      from pg_user where usename = current_user`,
    );
    const own = { user: 'coffer', database: 'coffer', usesuper: false, encoding: 'UTF8', locale: 'C.UTF-8' };
    expect(row).toEqual({ ...own, tcp: '', fsync: 'on', pages: 'on', commit: 'on' });
    for (const attempt of [{ password: 'wrong' }, { user: 'postgres', database: 'template1' }]) {
      await expect(query({ ...server.connection, ...attempt }, (sql) => sql`select 1`)).rejects.toThrow();
    }
    const mode = async (path: string): Promise<number> => (await stat(join(home(), path))).mode & 0o777;
    expect([await mode('data'), await mode('data/coffer.password'), await mode('socket'), await mode('users')]).toEqual([
      0o700, 0o600, 0o700, 0o700,
    ]);
    expect((await stat(join(home(), 'data'))).uid).not.toBe(0);
    expect(server.connection.password).toMatch(/^[\w-]{43}$/);
  });

  it('keeps what was written; stopping ends the server and may be repeated', async () => {
    const first = await start();
    await query(first.connection, (sql) => sql`create table kept as select 42 as answer`);
    const pid = await serverPid();
    await Promise.all([first.stop(), first.stop()]);
    await first.stop();
    expect(await isGone(pid)).toBe(true);
    expect(existsSync(join(home(), 'data/postmaster.pid'))).toBe(false);

    const second = await start();
    expect(second.found).toBe('stopped');
    expect(await query(second.connection, (sql) => sql`select answer from kept`)).toEqual([{ answer: 42 }]);
    expect(await readFile(join(home(), 'postgres.log'), 'utf8')).toContain('ready to accept connections');
  });

  it('may lie under a folder that only its owner enters', async () => {
    await mkdir(join(dir, 'closed'), { mode: 0o700 });
    dataDir = join(dir, 'closed/data');
    const server = await start();
    expect(await query(server.connection, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    await query(server.connection, (sql) => sql`create table t as select generate_series(1, 1000)`);
    await server.stop();
    expect((await start()).found).toBe('stopped');
  });

  it.each([
    ['longer than a socket may be', 'x'.repeat(120)],
    ['full of punctuation', `a, b "c" 'd' $HOME`],
  ])('may have a path %s', async (_what, name) => {
    dataDir = join(dir, name);
    const server = await start();
    expect(await query(server.connection, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    if (!server.connection.host.startsWith(dir)) cleanUp.unshift(() => rm(join(server.connection.host, '..'), { recursive: true }));
  });
});

describe('processes that share a data directory', () => {
  it('start one server when they start together, and the last to leave ends it', async () => {
    const [a, b] = await Promise.all([startOwner(), startOwner()]);
    const mine = await start();
    expect([a.found, b.found].toSorted()).toEqual(['nothing', 'running']);
    expect(mine.found).toBe('running');
    const pid = await serverPid();
    await query(a.connection, (sql) => sql`create table shared (x int)`);
    await a.end();
    expect(await query(b.connection, (sql) => sql`select count(*)::int as rows from shared`)).toEqual([{ rows: 0 }]);
    await mine.stop();
    expect(await query(b.connection, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    await b.end();
    expect(await isGone(pid)).toBe(true);
    expect(await readdir(join(home(), 'users'))).toEqual([]);
  });

  it('may be one and the same', async () => {
    const [a, b] = await Promise.all([start(), start()]);
    const pid = await serverPid();
    await a.stop();
    expect(await query(b.connection, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    await b.stop();
    expect(await isGone(pid)).toBe(true);
  });

  it('keep it through Ctrl-C in the terminal', async () => {
    const owner = await startOwner();
    const pid = await serverPid();
    process.kill(-(owner.process.pid ?? 0), 'SIGINT'); // as a terminal does: to the whole process group
    await owner.end();
    expect(await isGone(pid)).toBe(true);
    expect(await readFile(join(home(), 'postgres.log'), 'utf8')).not.toContain('terminating connection due to administrator command');
    expect((await readFile(join(home(), 'postgres.log'), 'utf8')).match(/received fast shutdown request/g)).toHaveLength(1);
  });

  it('say that Ctrl-C stopped them while they create it, and leave nothing half', async () => {
    const owner = spawnOwner();
    const said = text(owner.stdout!);
    const draft = async (): Promise<string | undefined> =>
      (await readdir(home()).catch(() => [])).find((name) => name.startsWith('data.new-'));
    await expect
      .poll(async () => existsSync(join(home(), (await draft()) ?? 'not-yet', 'base/1/PG_VERSION')), { interval: 5, timeout: 20_000 })
      .toBe(true);
    process.kill(-(owner.pid ?? 0), 'SIGINT'); // initdb ends as well
    expect(await said).toBe('Stopped.\n');
    expect(await draft()).toBeUndefined();
  });
});

describe('after kill -9', () => {
  it('of its user, the server goes on and the next user takes it over', async () => {
    const owner = await startOwner();
    await query(owner.connection, (sql) => sql`create table kept as select 42 as answer`);
    const pid = await serverPid();
    await killed(owner);
    const next = await start();
    expect(next.found).toBe('running');
    expect(await serverPid()).toBe(pid);
    expect(await query(next.connection, (sql) => sql`select answer from kept`)).toEqual([{ answer: 42 }]);
    await next.stop(); // the dead user does not count
    expect(await isGone(pid)).toBe(true);
  });

  it('of its user, who was stopping it, the next user waits for its end and starts it again', async () => {
    const owner = await startOwner();
    const sql = postgres({ ...owner.connection, max: 1, onnotice: () => {} });
    cleanUp.push(() => sql.end({ timeout: 1 }));
    await sql`select 1`;
    process.kill(await serverPid(), 'SIGTERM'); // it stops once its last client leaves
    const status = async (): Promise<string | undefined> => (await readFile(join(home(), 'data/postmaster.pid'), 'utf8')).split('\n')[7];
    await expect.poll(status).toMatch(/^stopping/);
    await killed(owner);
    const starting = start();
    await delay(500);
    await sql.end();
    const next = await starting;
    expect(next.found).toBe('stopped');
    expect(await query(next.connection, (again) => again`select 1 as one`)).toEqual([{ one: 1 }]);
  });

  it('of both, the next user starts it again with all that was committed', async () => {
    const owner = await startOwner();
    await query(owner.connection, (sql) => sql`create table kept as select 42 as answer`);
    process.kill(await serverPid(), 'SIGKILL');
    await killed(owner);
    const next = await start();
    expect(next.found).toBe('stopped');
    expect(await query(next.connection, (sql) => sql`select answer from kept`)).toEqual([{ answer: 42 }]);
  });

  it('of the server, its users get it back, and clients that reconnect go on', async () => {
    const messages: string[] = [];
    const server = await start((message) => messages.push(message));
    const sql = postgres({ ...server.connection, max: 1, onnotice: () => {} });
    cleanUp.push(() => sql.end({ timeout: 1 }));
    await sql`create table kept as select 42 as answer`;
    const pid = await serverPid();
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => messages, { timeout: 20_000 }).toEqual([expect.stringMatching(/was started again/)]);
    await expect
      .poll(
        () =>
          sql`select answer from kept`.then(
            ([row]) => row,
            () => undefined,
          ),
        { timeout: 20_000 },
      )
      .toEqual({ answer: 42 });
    expect(await serverPid()).not.toBe(pid);
    await sql.end({ timeout: 1 });
    const again = await serverPid();
    await server.stop();
    expect(await isGone(again)).toBe(true);
  });

  it('of initdb, the next user begins again', async () => {
    const owner = spawnOwner();
    await expect
      .poll(async () => (await readdir(home()).catch(() => [])).some((name) => name.startsWith('data.new-')), { interval: 5 })
      .toBe(true);
    owner.kill('SIGKILL');
    const server = await start();
    expect(server.found).toBe('nothing');
    expect(await query(server.connection, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
  });

  it('a pid file that names a living stranger is no obstacle', async () => {
    await (await start()).stop();
    const file = join(home(), 'data/postmaster.pid');
    const socket = join(home(), 'socket');
    await writeFile(file, `${process.pid}\n${join(home(), 'data')}\n1\n5432\n${socket}\n\n  1  1\nready   \n`);
    await writeFile(join(socket, '.s.PGSQL.5432.lock'), `${process.pid}\n`);
    const server = await start();
    expect(server.found).toBe('stopped');
    expect(await query(server.connection, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
  });
});

describe('a server that is watched', () => {
  it('is not taken for dead by a process that has no file descriptor left', async () => {
    const server = await start();
    const script = `
      import { closeSync, openSync } from 'node:fs';
      import { startEmbeddedPostgres } from ${JSON.stringify(new URL('./embedded-postgres.ts', import.meta.url).href)};
      const server = await startEmbeddedPostgres({ dataDir: process.argv[1], log: console.log });
      const taken = [];
      const take = () => { try { for (;;) taken.push(openSync('/dev/null')); } catch (error) { if (error.code !== 'EMFILE') throw error; } };
      take();
      const taking = setInterval(take, 10); // what a check in between may have freed
      await new Promise((resolve) => setTimeout(resolve, 2_500)); // two checks
      clearInterval(taking);
      taken.forEach((fd) => closeSync(fd));
      await server.stop();
      console.log('stopped');`;
    const limited = ['-c', 'ulimit -n 64 && exec "$0" --conditions=@coffer/source --input-type=module --eval "$1" "$2"'];
    const { stdout } = await promisify(execFile)('sh', [...limited, process.execPath, script, dataDir]);
    expect(stdout).toBe('stopped\n');
    expect(await query(server.connection, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
  });

  it('is told of once if it does not start again', async () => {
    const messages: string[] = [];
    await start((message) => messages.push(message));
    const pid = await serverPid();
    await rm(join(home(), 'lock'));
    await mkdir(join(home(), 'lock'));
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => messages, { timeout: 20_000 }).not.toEqual([]);
    await delay(2_500); // two more attempts
    expect(messages).toEqual([
      expect.stringMatching(/^PostgreSQL has ended and does not start again: The embedded PostgreSQL cannot use .*postgres \(.+\); .*/),
    ]);
    const conf = join(home(), 'data/postgresql.conf');
    const settings = await readFile(conf, 'utf8');
    await writeFile(conf, `${settings}\nwork_mem = nonsense\n`);
    await rm(join(home(), 'lock'), { recursive: true });
    await expect.poll(() => messages, { timeout: 20_000 }).toHaveLength(2);
    await delay(2_500);
    await writeFile(conf, settings);
    await expect.poll(() => messages.at(-1), { timeout: 20_000 }).toMatch(/was started again/);
    expect(messages.slice(1, -1)).toEqual([expect.stringMatching(/does not start again: .*work_mem/s)]);
  });
});

describe('a server that died', () => {
  it('gets no new database in place of one that is gone, but the old one once it is back', async () => {
    const messages: string[] = [];
    const server = await start((message) => messages.push(message));
    await query(server.connection, (sql) => sql`create table kept as select 42 as answer`);
    const pid = await serverPid();
    const aside = join(home(), 'aside');
    await rename(join(home(), 'data'), aside);
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => messages).toEqual([expect.stringMatching(/does not start again: There is no database in .*data any more/)]);
    await rename(aside, join(home(), 'data'));
    await expect.poll(() => messages.at(-1)).toMatch(/was started again/);
    expect(await query(server.connection, (sql) => sql`select answer from kept`)).toEqual([{ answer: 42 }]);
  });

  it('ends with its last user also where another one has started it again, and that one has not looked since', async () => {
    const messages: string[] = [];
    const last = await start();
    await delay(500); // each of them looks every second
    const other = await start((message) => messages.push(message));
    await delay(700);
    process.kill(await serverPid(), 'SIGKILL');
    await expect.poll(() => messages, { interval: 5 }).toEqual([expect.stringMatching(/was started again/)]);
    const pid = await serverPid();
    await other.stop();
    await last.stop();
    expect(await isGone(pid)).toBe(true);
  });

  it('does not keep its user from stopping while the attempt to start it again lasts', async () => {
    const server = await start();
    const pid = await serverPid();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    cleanUp.push(release);
    const held = withLock(join(home(), 'lock'), { timeoutMs: 1000 }, () => released);
    process.kill(pid, 'SIGKILL');
    await delay(1_500); // one check, which now waits for the lock
    const stopping = server.stop();
    await expect.poll(() => readdir(join(home(), 'users'))).toEqual([]);
    release();
    await Promise.all([held, stopping]);
  });
});

describe('a data directory whose server runs', () => {
  it('may be copied: the copy gets a server of its own, which ends with its last user', async () => {
    const original = await start();
    await query(original.connection, (sql) => sql`create table here as select 'original' as place`);
    const copied = join(dir, 'copy');
    await promisify(execFile)('cp', ['-a', dataDir, copied]);
    const copy = await startEmbeddedPostgres({ dataDir: copied });
    cleanUp.push(() => copy.stop());
    expect(copy.found).toBe('stopped');
    await query(copy.connection, (sql) => sql`update here set place = 'copy'`);
    expect(await query(original.connection, (sql) => sql`select place from here`)).toEqual([{ place: 'original' }]);
    await copy.stop();
    await expect(readFile(join(copied, 'postgres/data/postmaster.pid'))).rejects.toThrow('ENOENT');
    expect(await query(original.connection, (sql) => sql`select place from here`)).toEqual([{ place: 'original' }]);
  });
});

describe('a data directory that goes out of reach while its server runs', () => {
  const blockLock = async (): Promise<void> => {
    await rm(join(home(), 'lock'));
    await mkdir(join(home(), 'lock'));
  };

  it.each([
    ['moved away', () => rename(dataDir, `${dataDir}-moved`)],
    ['replaced by an empty one', () => rename(dataDir, `${dataDir}-moved`).then(() => mkdir(dataDir))],
    ['not to be locked', blockLock],
    ['not to be written', () => rename(join(home(), 'users'), join(dir, 'users')).then(() => writeFile(join(home(), 'users'), ''))],
  ])('does not keep its last user from ending the server, here when it is %s', async (_name, lose) => {
    const server = await start();
    const pid = await serverPid();
    cleanUp.push(async () => void ((await isGone(pid)) || process.kill(pid, 'SIGKILL')));
    await lose();
    await server.stop();
    expect(await isGone(pid)).toBe(true);
  });

  it('keeps the server for its other users', async () => {
    const owner = await startOwner();
    const server = await start();
    await blockLock();
    await server.stop();
    expect(await query(owner.connection, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    const pid = await serverPid();
    await owner.end();
    expect(await isGone(pid)).toBe(true);
  });

  // Elsewhere, the system does not tell where it was moved to.
  it.runIf(process.platform === 'linux')('keeps the server for its other users where it was moved, and moved back', async () => {
    const owner = await startOwner();
    const server = await start();
    const pid = await serverPid();
    await rename(dataDir, `${dataDir}-moved`);
    await server.stop();
    await rename(`${dataDir}-moved`, dataDir);
    expect(await serverPid()).toBe(pid);
    expect(await query(owner.connection, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    expect(await readdir(join(home(), 'users'))).toHaveLength(1);
    await owner.end();
    expect(await isGone(pid)).toBe(true);
  });
});

describe('a data directory that cannot be used', () => {
  it('of another major version is refused, naming both', async () => {
    await mkdir(join(home(), 'data'), { recursive: true });
    await writeFile(join(home(), 'data/PG_VERSION'), '15\n');
    await expect(start()).rejects.toThrow(/made by PostgreSQL 15.*includes 18.*DATABASE_URL/);
  });

  it('whose version cannot be read at the moment is not taken for something else', async () => {
    await mkdir(join(home(), 'data'), { recursive: true });
    await symlink('PG_VERSION', join(home(), 'data/PG_VERSION'));
    await expect(start()).rejects.toThrow(/cannot use .*postgres \(ELOOP: .*PG_VERSION.*\); check/);
  });

  it('with something else in it is refused and left alone', async () => {
    await mkdir(join(home(), 'data'), { recursive: true });
    await writeFile(join(home(), 'data/holiday.jpg'), '');
    await expect(start()).rejects.toThrow(/is not empty, and not a database/);
    expect(await readdir(join(home(), 'data'))).toEqual(['holiday.jpg']);
  });

  it.each([
    ['a file', 'EEXIST: .+', async () => writeFile(home(), '')],
    ['a link to nothing', 'EEXIST: .+', async () => symlink('nothing', home())],
    ['a file where a folder belongs', 'EEXIST: .+', async () => mkdir(home()).then(() => writeFile(join(home(), 'users'), ''))],
    ['a folder where the lock belongs', '.+', async () => mkdir(join(home(), 'lock'), { recursive: true })],
  ])('in which nothing can be written, here for %s, is told of in one sentence', async (_name, reason, obstruct) => {
    await mkdir(dataDir);
    await obstruct();
    const failure: unknown = await startEmbeddedPostgres({ dataDir }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StartupError);
    expect((failure as Error).message).toMatch(
      new RegExp(`^The embedded PostgreSQL cannot use .*postgres \\(${reason}\\); .*COFFER_DATA_DIR.*DATABASE_URL`),
    );
  });

  // Only where an unprivileged process may mount, in a namespace that ends with it.
  it.runIf(spawnSync('unshare', [...namespace, 'true']).status === 0)('that is read-only is called so', async () => {
    await mkdir(dataDir);
    const program = `
      import { startEmbeddedPostgres } from ${JSON.stringify(new URL('./embedded-postgres.ts', import.meta.url).href)};
      await startEmbeddedPostgres({ dataDir: process.argv[1] }).catch((error) => console.log(error.message));`;
    const mount = 'mount -t tmpfs -o ro tmpfs "$2" && exec "$0" --conditions=@coffer/source --input-type=module --eval "$1" "$2"';
    const { stdout } = await promisify(execFile)('unshare', [...namespace, 'sh', '-c', mount, process.execPath, program, dataDir]);
    expect(stdout).toMatch(/^The embedded PostgreSQL cannot use .*postgres \(EROFS: .+\); .*COFFER_DATA_DIR.*DATABASE_URL/);
  });

  it('that is empty is fine', async () => {
    await mkdir(join(home(), 'data'), { recursive: true });
    expect((await start()).found).toBe('nothing');
  });
  it('whose database is damaged fails with the end of the log', async () => {
    await (await start()).stop();
    await rm(join(home(), 'data/global/pg_control'));
    await expect(start()).rejects.toThrow(/does not start; its log .*\n.*pg_control/s);
    // PostgreSQL then ends before a busy process gets to do anything else.
    await whileThreadsAreBusy(() => expect(start()).rejects.toThrow(/does not start; its log .*\n.*pg_control/s));
  });
});
