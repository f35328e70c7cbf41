import { StorageCommand } from './base-command.ts';
import { Flags } from './oclif.ts';
import { BulkReport } from './render/bulk-report.ts';
import type { ReportStyle } from './render/bulk-report.ts';
import type { BulkOptions } from './services/run-bulk.ts';
import type { Session, SessionOptions } from './services/open-session.ts';

/** Flags of the commands that work on many objects. */
export const bulkFlags = {
  concurrency: Flags.integer({
    char: 'c',
    description: 'Number of objects to work on at once.',
    helpValue: 'N',
    default: 128, // keeps the provider busy; more sockets gain little
    min: 1,
    max: 1000,
  }),
  quiet: Flags.boolean({ char: 'q', description: 'Print no line per object, only failures and the summary.' }),
};

/** Flags of the commands that select among many objects. */
export const filterFlags = {
  'dry-run': Flags.boolean({ description: 'Show what would be done, but do nothing.' }),
  include: Flags.string({
    description: 'Take only names that match this pattern; can be given several times.',
    helpValue: 'GLOB',
    multiple: true,
    multipleNonGreedy: true,
  }),
  exclude: Flags.string({
    description: 'Skip names that match this pattern, and everything in such folders; can be given several times.',
    helpValue: 'GLOB',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

interface ParsedFlags {
  readonly bucket?: string | undefined;
  readonly explain: boolean;
  readonly concurrency: number;
  readonly quiet: boolean;
  readonly 'dry-run'?: boolean;
  readonly include?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
}

export abstract class BulkCommand extends StorageCommand {
  // Repeated here: when oclif caches the flags of a command for its help, a class without statics hides those of its superclasses.
  static override readonly baseFlags = StorageCommand.baseFlags;

  /** Runs one service that works on many objects, and reports its results. */
  protected async bulk<R>(
    flags: ParsedFlags,
    style: ReportStyle<R>,
    work: (session: Session, report: BulkReport<R>, options: BulkOptions) => Promise<void>,
    opening: Pick<SessionOptions, 'database'> = {},
  ): Promise<void> {
    const dryRun = flags['dry-run'] === true;
    const { concurrency, include = [], exclude = [] } = flags;
    const report = new BulkReport<R>(this.output, style, { dryRun, quiet: flags.quiet });
    await report.during(() =>
      this.withSession(flags, (session) => work(session, report, { concurrency, dryRun, include, exclude }), {
        concurrency,
        provision: !dryRun,
        ...opening,
      }),
    );
  }
}
