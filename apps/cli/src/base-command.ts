import type { Env } from '@coffer/runtime';

import { assertSwitches } from './arguments.ts';
import { Command, Flags } from './oclif.ts';
import type { Output } from './output.ts';
import { showElapsed } from './render/elapsed.ts';
import { openSession } from './services/open-session.ts';
import type { Session, SessionOptions } from './services/open-session.ts';
import { sharedInvocation } from './shared.ts';

/** What all commands below `storage` have in common. */
export abstract class StorageCommand extends Command {
  static override readonly baseFlags = {
    json: Flags.boolean({ description: 'Print one JSON document on stdout.', helpGroup: 'GLOBAL' }),
    bucket: Flags.string({
      char: 'b',
      description: "Bucket to work on, instead of the tenant's or the default bucket.",
      helpGroup: 'GLOBAL',
    }),
    explain: Flags.boolean({ description: 'Say on stderr which bucket was chosen, and why.', helpGroup: 'GLOBAL' }),
  };

  /** What oclif's own `run` does once it has found the command. */
  async execute(): Promise<void> {
    await this._run();
  }

  protected override async init(): Promise<void> {
    await super.init();
    assertSwitches(this.argv, { ...this.ctor.baseFlags, ...this.ctor.flags });
    // Who comes from other tools would make keys of it, or find none.
    const url = this.argv.find((each) => /^s3:\/\//i.test(each));
    if (url !== undefined)
      this.output.note(`note: ${url} is taken literally; write the key without s3:// and the bucket, and name the bucket with --bucket`);
  }

  protected get output(): Output {
    return sharedInvocation().output;
  }

  /** Aborted on Ctrl-C. */
  protected get signal(): AbortSignal {
    return sharedInvocation().signal;
  }

  /** For the runtime's parser: nothing else reads it. */
  protected get environment(): Env {
    // oxlint-disable-next-line node/no-process-env -- the one place that hands it over
    return process.env;
  }

  /** Opens what the environment configures, for the time of `work`. */
  protected async withSession<T>(flags: SessionFlags, work: (session: Session) => Promise<T>, options: OpenOptions = {}): Promise<T> {
    const { output, signal } = this;
    const { bucket, explain } = flags;
    const { doing, ...opening } = options;
    const done = doing === undefined ? undefined : showElapsed(output, doing);
    try {
      const session = await openSession(this.environment, {
        ...opening,
        signal,
        note: (text) => output.note(text),
        explain,
        bucket,
      });
      try {
        return await work(session);
      } finally {
        await session.close();
      }
    } finally {
      done?.();
    }
  }
}

interface SessionFlags {
  readonly bucket?: string | undefined;
  readonly explain: boolean;
}

interface OpenOptions extends Pick<SessionOptions, 'concurrency' | 'database' | 'provision'> {
  /** What may take long and tells nothing meanwhile. */
  readonly doing?: string;
}
