import { relative } from 'node:path';

/**
 * @typedef {{ passed: number, failed: number, skipped: number, problems: string[] }} Summary
 *
 * @typedef {{ name: string, status: string, message?: string, assertionResults: { status: string }[] }} FileResult
 */

/**
 * Counts a vitest run from its own JSON report. Anything that keeps the report from proving that everything ran and passed counts as
 * a failure: a missing or broken report, a file that did not load, an error outside any test, a required suite that is absent or was
 * skipped.
 * @param {object} run
 * @param {string | undefined} run.report the report's text
 * @param {number | null} run.exitCode null when vitest died of a signal
 * @param {readonly string[]} run.required test files that must have run; each that is absent or wholly skipped counts as failed
 * @param {string} run.root
 * @returns {Summary} `problems` names each failure that is not a failed test
 */
export function summarize({ report, exitCode, required, root }) {
  /** @type {Summary} */
  const summary = { passed: 0, failed: 0, skipped: 0, problems: [] };
  /** @param {string} problem */
  const fail = (problem) => {
    summary.failed += 1;
    summary.problems.push(problem);
  };

  const files = filesOf(report);
  if (!files) {
    fail('vitest wrote no usable report');
    return summary;
  }
  /** @type {Set<string>} */
  const ran = new Set();
  for (const file of files) {
    const name = relative(root, file.name);
    const failedBefore = summary.failed;
    for (const { status } of file.assertionResults) {
      if (status === 'passed') summary.passed += 1;
      else if (status === 'failed') summary.failed += 1;
      else summary.skipped += 1;
    }
    if (file.status === 'failed' && summary.failed === failedBefore) fail(`${name} failed outside its tests: ${firstLine(file.message)}`);
    if (file.assertionResults.some(({ status }) => status === 'passed' || status === 'failed')) ran.add(name);
  }

  for (const file of required) if (!ran.has(file)) fail(`required, but not run: ${file}`);
  if (summary.passed + summary.failed === 0) fail('no test ran');
  if (exitCode !== 0 && summary.failed === 0) fail(`vitest ended with ${exitCode ?? 'a signal'}, though no test failed`);
  return summary;
}

/** @param {Summary} summary */
export function summaryLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/**
 * @param {string | undefined} report
 * @returns {FileResult[] | undefined}
 */
function filesOf(report) {
  try {
    const files = JSON.parse(report ?? '').testResults;
    return Array.isArray(files) && files.every((file) => Array.isArray(file.assertionResults)) ? files : undefined;
  } catch {
    return undefined;
  }
}

/** @param {string | undefined} text */
function firstLine(text) {
  return text?.trim().split('\n')[0] || 'no reason given';
}
