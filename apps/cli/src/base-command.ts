import type { Env } from '@coffer/runtime';

import { assertSwitches } from './arguments.ts';
import { Command, Flags } from './oclif.ts';
import type { Output } from './output.ts';
import { showElapsed } from './render/elapsed.ts';
import { openSession } from './services/open-session.ts';
import type { Session, SessionOptions } from './services/open-session.ts';
import { sharedInvocation } from './shared.ts';
import { explainUnknownFlag } from './unknown-flag.ts';

/** What all commands below `storage` share. */
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

  /** Runs the command, as oclif's own `run` does once it has found it. */
  async execute(): Promise<void> {
    await this._run();
  }

  protected override async init(): Promise<void> {
    await super.init();
    assertSwitches(this.argv, { ...this.ctor.baseFlags, ...this.ctor.flags });
    // Users of other tools may pass s3:// URLs, which would become keys or match none.
    const url = this.argv.find((each) => /^s3:\/\//i.test(each));
    if (url !== undefined)
      this.output.note(`note: ${url} is taken literally; write the key without s3:// and the bucket, and name the bucket with --bucket`);
  }

  protected override async catch(error: Error): Promise<never> {
    const flags = Object.entries({ ...this.ctor.baseFlags, ...this.ctor.flags });
    const names = flags.flatMap(([name, { aliases = [] }]) => [name, ...aliases]);
    throw explainUnknownFlag(error, [...names, 'help'], this.ctor.id.replaceAll(':', ' '));
  }

  protected get output(): Output {
    return sharedInvocation().output;
  }

  /** Aborted by SIGINT (Ctrl-C), SIGTERM or SIGHUP. */
  protected get signal(): AbortSignal {
    return sharedInvocation().signal;
  }

  /** For the runtime's parser: nothing else reads it. */
  protected get environment(): Env {
    // oxlint-disable-next-line node/no-process-env -- the only place that reads it, for the parser
    return process.env;
  }

  /** Opens what the environment configures, and closes it when `work` ends. */
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
  /** Shown with the elapsed time, for long work that reports no progress. */
  readonly doing?: string;
}
