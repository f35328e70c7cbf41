import type { StorageCommand } from './base-command.ts';
import { silent } from './oclif-logger.ts';
import { Config, setLogger } from './oclif.ts';
import type { Settings } from './settings.ts';

type CommandClass = (new (argv: string[], config: Config) => StorageCommand) & { id: string };

interface KnownCommand {
  /** Its words, separated by spaces. */
  readonly command: string;
  /** The arguments after those words. */
  readonly args: readonly string[];
}

/** The files of the build, see bin/program.js. */
export interface Program {
  /** The exports of a file. */
  load(name: string): unknown;
}

/**
 * Runs a command of this package. oclif's own `run` reads the manifest and asks for shell and platform three times before it loads a
 * command, which takes as long as many commands do.
 */
export async function runKnown({ command, args }: KnownCommand, settings: Settings, program: Program): Promise<void> {
  setLogger({ root: settings.root, logger: silent });
  const words = command.split(' ');
  const { default: Command } = program.load(`commands/${words.join('/')}.cjs`) as { readonly default: CommandClass };
  Command.id = words.join(':');
  await new Command([...args], new ProgramConfig(settings)).execute();
}

/** The configuration that our commands need: names and version. The rest, folders and plugins, is never loaded. */
class ProgramConfig extends Config {
  constructor({ root, pjson }: Settings) {
    super({ root });
    Object.assign(this, { root, pjson, bin: pjson.oclif.bin, name: pjson.name, version: pjson.version });
  }

  /** Only plugins have hooks. */
  override async runHook(): Promise<{ successes: []; failures: [] }> {
    return { successes: [], failures: [] };
  }
}
