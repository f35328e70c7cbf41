import { BootstrapError, osReason, print, Stopped } from './messages.mjs';
import { Supervisor } from './supervisor.mjs';
import { prepare } from './prepare.mjs';
import { repository } from './repository.mjs';
import { check, start, test } from './tasks.mjs';

/**
 * What to build before each task: for `start`, the server with its dependencies and the CLI with its own; for the others, everything.
 * @type {Readonly<Record<string, { run: import('./tasks.mjs').Task, build: readonly string[], command: string }>>}
 */
const tasks = {
  start: { run: start, build: ['--filter=@coffer/api...', '--filter=@coffer/cli...'], command: 'npm start' },
  test: { run: test, build: [], command: 'npm test' },
  check: { run: check, build: [], command: 'npm run check' },
};

/**
 * Prepares the checkout, then runs the task; sets the exit status and never throws.
 * @param {readonly string[]} argv the task's name (default `start`), then its arguments
 */
export async function main([name = 'start', ...args]) {
  const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
  if (!task) {
    print(`There is no task "${name}". Known: ${Object.keys(tasks).join(', ')}.`);
    process.exit(2);
  }
  const supervisor = new Supervisor();
  try {
    const repo = repository();
    const toolchain = await prepare({ repo, supervisor, build: task.build });
    process.exit(await task.run({ repo, toolchain, supervisor, args }));
  } catch (error) {
    if (error instanceof Stopped) process.exit(error.exitCode);
    print(sentenceFor(error, task.command));
    if (process.env.COFFER_DEBUG) console.error(error);
    process.exit(1);
  }
}

/**
 * One sentence for people: a stack trace does not help a user who only wanted to start Coffer.
 * @param {unknown} error
 * @param {string} command
 */
function sentenceFor(error, command) {
  if (error instanceof BootstrapError) return error.advice ? `${error.message} ${error.advice} and run ${command} again.` : error.message;
  return `Coffer could not prepare itself: ${osReason(error)}. Set COFFER_DEBUG=1 for the details.`;
}
