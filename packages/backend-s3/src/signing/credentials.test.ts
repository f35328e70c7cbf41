import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { AnswerError } from '../documents/answer-error.ts';
import { connectProxy } from '../testing/connect-proxy.ts';
import { answering, scripted } from '../testing/scripted.ts';
import { Clock } from './clock.ts';
import { Credentials } from './credentials.ts';
import type { Identity } from './credentials.ts';

const minute = 60_000;
const badKeys = new AnswerError(403, {}, '<Code>InvalidAccessKeyId</Code>');
const nameless = new AnswerError(403, {}, '');

/** A provider with new keys for each call, which live for this many minutes. */
function provider(...minutes: readonly (number | undefined)[]): { readonly credentials: Credentials; readonly asked: () => number } {
  let asked = 0;
  const provide = async (): Promise<Identity> => {
    const lifetime = minutes[Math.min(asked, minutes.length - 1)];
    return {
      accessKeyId: `key${++asked}`,
      secretAccessKey: 'secret',
      ...(lifetime !== undefined && { expiration: new Date(Date.now() + lifetime * minute) }),
    };
  };
  return { credentials: new Credentials(provide, new Clock()), asked: () => asked };
}

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

describe('credentials', () => {
  it('that are static are known at once, and cannot be replaced', async () => {
    const keys = { accessKeyId: 'who', secretAccessKey: 'secret' };
    const credentials = new Credentials(keys, new Clock());
    expect(credentials.known).toBe(keys);
    expect(await credentials.replace(keys, badKeys)).toBe(false);
  });

  it('are fetched once for all who wait, and kept', async () => {
    const { credentials, asked } = provider(undefined);
    expect(credentials.known).toBeUndefined();
    const [one, other] = await Promise.all([credentials.load(), credentials.load()]);
    expect(one).toBe(other);
    expect(credentials.known).toBe(one);
    expect(asked()).toBe(1);
  });

  it('are fetched again shortly before they expire', async () => {
    vi.useFakeTimers();
    const { credentials } = provider(60, 60);
    await credentials.load();
    vi.advanceTimersByTime(54 * minute);
    expect(credentials.known?.accessKeyId).toBe('key1');
    vi.advanceTimersByTime(2 * minute);
    expect(credentials.known).toBeUndefined();
    expect((await credentials.load()).accessKeyId).toBe('key2');
  });

  it("expire by the server's clock, where ours is wrong", async () => {
    const clock = new Clock();
    const expiration = new Date(Date.now() + 60 * minute);
    const provide = async (): Promise<Identity> => ({ accessKeyId: 'key', secretAccessKey: 'secret', expiration });
    const credentials = new Credentials(provide, clock);
    await credentials.load();
    clock.set(50 * minute);
    expect(credentials.known?.accessKeyId).toBe('key');
    clock.set(61 * minute);
    expect(credentials.known).toBeUndefined();
  });

  it('are used until they expire if no better ones can be fetched', async () => {
    vi.useFakeTimers();
    let isThere = true;
    const provide = async (): Promise<Identity> => {
      if (!isThere) throw new Error('no metadata service');
      return { accessKeyId: 'key', secretAccessKey: 'secret', expiration: new Date(Date.now() + 10 * minute) };
    };
    const credentials = new Credentials(provide, new Clock());
    await credentials.load();
    isThere = false;
    vi.advanceTimersByTime(6 * minute);
    expect(credentials.known).toBeUndefined();
    expect((await credentials.load()).accessKeyId).toBe('key');
    expect(credentials.known?.accessKeyId).toBe('key'); // for a while: the provider is not asked at every request
    vi.advanceTimersByTime(5 * minute);
    await expect(credentials.load()).rejects.toThrow('no metadata service');
  });

  it('are asked for again when their provider has not answered in time', async () => {
    vi.useFakeTimers();
    let asked = 0;
    const provide = (): Promise<Identity> =>
      asked++ === 0 ? new Promise(() => {}) : Promise.resolve({ accessKeyId: 'key', secretAccessKey: 'secret' });
    const credentials = new Credentials(provide, new Clock(), 5);
    const failure = credentials.load().catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(5000);
    expect(await failure).toMatchObject({ name: 'CredentialsTimeoutError' });
    expect((await credentials.load()).accessKeyId).toBe('key');
  });

  it('with an expiry that is no date are refused, and their provider is asked again', async () => {
    const keys = { accessKeyId: 'key', secretAccessKey: 'secret' };
    const expirations: unknown[] = ['2026-01-01T00:00:00Z', new Date('unknown'), new Date(Date.now() + 60 * minute)];
    const credentials = new Credentials(async () => ({ ...keys, expiration: expirations.shift() as Date }), new Clock());
    for (let refused = 1; refused <= 2; refused++) {
      await expect(credentials.secondsLeft()).rejects.toMatchObject({ name: 'CredentialsFailedError' });
      expect(credentials.known).toBeUndefined();
    }
    await credentials.load();
    expect(credentials.known).toMatchObject(keys);
  });

  it('that were refused are replaced, once for all who used them', async () => {
    const { credentials, asked } = provider(undefined);
    const refused = await credentials.load();
    expect(await Promise.all([credentials.replace(refused, badKeys), credentials.replace(refused, badKeys)])).toEqual([true, true]);
    expect(await credentials.replace(refused, badKeys)).toBe(true);
    expect(asked()).toBe(2);
    const badSecret = new AnswerError(403, {}, '<Code>SignatureDoesNotMatch</Code>');
    expect(await credentials.replace(await credentials.load(), badSecret)).toBe(true);
  });

  it('are not fetched again and again for refusals that mean something else', async () => {
    vi.useFakeTimers();
    let asked = 0;
    const keys = { accessKeyId: 'key', secretAccessKey: 'secret' };
    const credentials = new Credentials(async () => (asked++, { ...keys }), new Clock());
    const used = await credentials.load();
    expect(await credentials.replace(used, new AnswerError(403, {}, '<Code>AccessDenied</Code>'))).toBe(false);
    expect(asked).toBe(1);
    for (let refusal = 0; refusal < 3; refusal++) expect(await credentials.replace(used, nameless)).toBe(false);
    expect(asked).toBe(2);
    vi.advanceTimersByTime(minute);
    expect(await credentials.replace(used, nameless)).toBe(false);
    expect(await credentials.replace(used, badKeys)).toBe(false);
    expect(asked).toBe(4);
  });

  it('are fetched again after such a refusal even if the clock has been set back meanwhile', async () => {
    vi.useFakeTimers();
    let asked = 0;
    const credentials = new Credentials(async () => (asked++, { accessKeyId: 'key', secretAccessKey: 'secret' }), new Clock());
    const used = await credentials.load();
    expect(await credentials.replace(used, nameless)).toBe(false);
    vi.setSystemTime(Date.now() - 60 * minute);
    vi.advanceTimersByTime(minute);
    expect(await credentials.replace(used, nameless)).toBe(false);
    expect(asked).toBe(3);
  });

  it('of the default chain are read again from their file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'coffer-credentials-'));
    const path = join(folder, 'credentials');
    const write = (key: string): Promise<void> =>
      writeFile(path, `[default]\naws_access_key_id = ${key}\naws_secret_access_key = secret\n`);
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', path);
    vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'config'));
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
    const credentials = new Credentials(undefined, new Clock());
    await write('before');
    const before = await credentials.load();
    expect(before).toMatchObject({ accessKeyId: 'before', secretAccessKey: 'secret' });
    await write('after');
    expect(await credentials.replace(before, badKeys)).toBe(true);
    expect(credentials.known).toMatchObject({ accessKeyId: 'after' });
    await rm(folder, { recursive: true });
  });

  describe('whose source is named, and fails', () => {
    const failed = { name: 'CredentialsFailedError' };
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'coffer-credentials-'));
      for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE', 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'])
        vi.stubEnv(name, undefined);
      vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'none'));
      vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'config'));
      vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    });
    afterEach(() => rm(folder, { recursive: true }));

    it('have failed, not those of nobody: the endpoint of a container', async () => {
      const server = await scripted((_request, response) => response.writeHead(500).end());
      vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${server.endpoint}/keys`);
      await expect(new Credentials(undefined, new Clock()).load()).rejects.toMatchObject(failed);
      expect(server.requests).not.toHaveLength(0);
      await server.close();
    });

    it('have failed, not those of nobody: whatever gave some before', async () => {
      const keys = { AccessKeyId: 'key', SecretAccessKey: 'secret', Token: 'token', Expiration: '2026-01-01T00:00:00Z' };
      const server = await scripted(answering(JSON.stringify(keys)));
      vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${server.endpoint}/keys`);
      const credentials = new Credentials(undefined, new Clock());
      expect(await credentials.load()).toMatchObject({ accessKeyId: 'key' });
      await server.close();
      vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', undefined);
      await expect(credentials.load()).rejects.toMatchObject(failed);
    });

    it.each(['exit 1', 'echo rubbish', 'echo {}'])('have failed, not those of nobody: the credential_process "%s"', async (command) => {
      await writeFile(join(folder, 'config'), `[default]\ncredential_process = ${command}\n[profile other]\nregion = eu-central-1\n`);
      await expect(new Credentials(undefined, new Clock()).load()).rejects.toMatchObject(failed);
      vi.stubEnv('AWS_PROFILE', 'other');
      await expect(new Credentials(undefined, new Clock()).load()).rejects.toMatchObject({ name: 'CredentialsProviderError' });
    });

    it.each([
      'source_profile = base\n[profile base]\ncredential_process = exit 1',
      'credential_source = EcsContainer',
      'credential_source = Ec2InstanceMetadata',
    ])('have failed, not those of nobody: the keys that take a role, %j', async (source) => {
      await writeFile(join(folder, 'config'), `[default]\nrole_arn = arn:aws:iam::123456789012:role/coffer\n${source}\n`);
      await expect(new Credentials(undefined, new Clock()).load()).rejects.toMatchObject(failed);
    });

    it('are those of nobody where no role is named that the keys would take: the chain asks for none then', async () => {
      await writeFile(join(folder, 'config'), '[default]\nsource_profile = base\n[profile base]\nregion = eu-central-1\n');
      await expect(new Credentials(undefined, new Clock()).load()).rejects.toMatchObject({ name: 'CredentialsProviderError' });
    });

    it('have ended if they were those of an SSO session', async () => {
      const sso = 'sso_session = corp\nsso_account_id = 123456789012\nsso_role_name = coffer\n';
      const session = '[sso-session corp]\nsso_region = eu-central-1\nsso_start_url = https://corp.example/start\n';
      await writeFile(join(folder, 'config'), `[default]\n${sso}${session}`);
      await expect(new Credentials(undefined, new Clock()).load()).rejects.toMatchObject({ name: 'SsoSessionEndedError' });
    });
  });

  it('of a provider that somebody has given are not called missing', async () => {
    const none = Object.assign(new Error('Could not load credentials from any providers'), { name: 'CredentialsProviderError' });
    await expect(new Credentials(() => Promise.reject(none), new Clock()).load()).rejects.toMatchObject({ name: 'CredentialsFailedError' });
  });

  it('of a role are asked for through the proxy of the environment', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'coffer-credentials-'));
    await writeFile(join(folder, 'token'), 'token');
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
    for (const name of ['AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE']) vi.stubEnv(name, join(folder, 'none'));
    vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', join(folder, 'token'));
    vi.stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::123456789012:role/coffer');
    vi.stubEnv('AWS_REGION', 'eu-central-1');
    vi.stubEnv('AWS_ENDPOINT_URL_STS', 'https://127.0.0.1:1');
    vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
    const https = process.getBuiltinModule('node:https');
    const { globalAgent } = https;
    const proxy = await connectProxy();
    proxy.answer = '403 Forbidden';
    https.globalAgent = new https.Agent({ proxyEnv: { https_proxy: proxy.url } });
    await expect(new Credentials(undefined, new Clock()).load()).rejects.toThrow();
    expect(proxy.tunnels).toEqual(['127.0.0.1:1']);
    https.globalAgent = globalAgent;
    await proxy[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });
});
