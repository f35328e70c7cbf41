import { steps } from './steps.ts';
import type { Step } from './steps.ts';

// `npm run check` runs all checks; `npm run check -- lint types` only those named.
const concurrency = 2;
const named = process.argv.slice(2);
const unknown = named.filter((name) => !steps.some((step) => step.name === name));
if (unknown.length > 0) {
  console.error(`There is no check "${unknown[0]}". Known: ${steps.map(({ name }) => name).join(', ')}.`);
  process.exit(2);
}

const chosen = steps.filter(({ name }) => named.length === 0 || named.includes(name));
const pendingSteps = chosen.filter(({ isLast }) => isLast !== true);
const failed: string[] = [];

async function work(): Promise<void> {
  for (let step = pendingSteps.shift(); step; step = pendingSteps.shift()) await runStep(step);
}

async function runStep({ name, run }: Step): Promise<void> {
  const started = performance.now();
  const problems = await run().catch((error: unknown) => String(error));
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  console.log(`${problems === '' ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
  if (problems === '') return;
  failed.push(name);
  console.log(problems.replace(/^/gm, '     ').trimEnd());
}

await Promise.all(Array.from({ length: concurrency }, work));
for (const step of chosen) if (step.isLast === true) await runStep(step);
console.log(
  failed.length === 0 ? `All ${chosen.length} checks passed.` : `${failed.length} of ${chosen.length} checks failed: ${failed.join(', ')}.`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
