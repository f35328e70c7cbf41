import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

const folder = new URL('..', import.meta.url);

/** Runs code in a process of its own. @returns the modules of the AWS SDK that were loaded, however */
async function sdkModulesOf(code: string, env: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  const script = `
    import { registerHooks } from 'node:module';
    const loaded: string[] = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    const { s3Backend } = await import('@coffer/backend-s3');
    ${code}
    console.log(JSON.stringify(loaded.filter((url) => /@(?:aws-sdk|smithy)[/+]/.test(url))));
  `;
  const args = ['--conditions=@coffer/source', '--input-type=module-typescript', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, env: { ...process.env, ...env } });
  return JSON.parse(stdout) as readonly string[];
}

describe('the AWS SDK', () => {
  it('is not loaded for a backend that is only made', async () => {
    expect(await sdkModulesOf("await s3Backend({ accessKey: 'who', secretKey: 'secret' }).close();")).toEqual([]);
  });

  it('is loaded when something rare is asked for', async () => {
    const code = "await s3Backend({ endpoint: 'http://127.0.0.1:9', maxRetries: 0 }).buckets?.list({}).catch(() => {});";
    expect(await sdkModulesOf(code)).not.toEqual([]);
  });
});
