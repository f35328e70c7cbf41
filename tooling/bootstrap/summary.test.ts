import { describe, expect, it } from 'vitest';
import { summarize, summaryLine } from './summary.mjs';

const root = '/checkout';
const file = (name: string, statuses: readonly string[], more: { status?: string; message?: string } = {}) => ({
  name: `${root}/${name}`,
  status: more.status ?? (statuses.includes('failed') ? 'failed' : 'passed'),
  message: more.message ?? '',
  assertionResults: statuses.map((status) => ({ status })),
});
const run = (files: readonly unknown[], more: { exitCode?: number | null; required?: readonly string[] } = {}) =>
  summarize({ report: JSON.stringify({ testResults: files }), exitCode: 0, required: [], root, ...more });

describe('the summary of a test run', () => {
  it('counts what passed, failed and was skipped', () => {
    const summary = run([file('a.test.ts', ['passed', 'failed', 'skipped']), file('b.test.ts', ['passed', 'todo', 'pending'])], {
      exitCode: 1,
    });
    expect(summaryLine(summary)).toBe('2 passed, 1 failed, 3 skipped');
    expect(summary.problems).toEqual([]);
  });

  it('leaves skipped tests out of the line when there are none', () => {
    expect(summaryLine(run([file('a.test.ts', ['passed'])]))).toBe('1 passed, 0 failed');
  });

  it('takes a missing, empty, broken or foreign report for a failure', () => {
    for (const report of [undefined, '', '{"testResults":', '{}', 'null', '{"testResults":[{}]}']) {
      const summary = summarize({ report, exitCode: 0, required: [], root });
      expect(summaryLine(summary)).toBe('0 passed, 1 failed');
      expect(summary.problems).toEqual(['vitest wrote no usable report']);
    }
  });

  it('takes a run without a test for a failure', () => {
    expect(summaryLine(run([]))).toBe('0 passed, 1 failed');
    expect(summaryLine(run([file('a.test.ts', ['skipped'])]))).toBe('0 passed, 1 failed, 1 skipped');
  });

  it('counts a file that did not load as one failure and says why', () => {
    const summary = run([file('a.test.ts', ['passed']), file('b.test.ts', [], { status: 'failed', message: 'no such module\nat x' })], {
      exitCode: 1,
    });
    expect(summaryLine(summary)).toBe('1 passed, 1 failed');
    expect(summary.problems).toEqual(['b.test.ts failed outside its tests: no such module']);
  });

  it('counts a failed hook whose tests never ran as a failure', () => {
    expect(summaryLine(run([file('a.test.ts', ['passed', 'skipped'], { status: 'failed' })], { exitCode: 1 }))).toBe(
      '1 passed, 1 failed, 1 skipped',
    );
  });

  it('counts an error outside any test, or a killed vitest, as a failure', () => {
    expect(summaryLine(run([file('a.test.ts', ['passed'])], { exitCode: 1 }))).toBe('1 passed, 1 failed');
    const killed = run([file('a.test.ts', ['passed'])], { exitCode: null });
    expect(killed.problems).toEqual(['vitest ended with a signal, though no test failed']);
  });

  it('counts a required suite that is absent, empty or wholly skipped as a failure', () => {
    const files = [file('a.test.ts', ['passed']), file('b.test.ts', ['skipped']), file('c.test.ts', [])];
    const summary = run(files, { required: ['a.test.ts', 'b.test.ts', 'c.test.ts', 'd.test.ts'] });
    expect(summaryLine(summary)).toBe('1 passed, 3 failed, 1 skipped');
    expect(summary.problems).toEqual(['b.test.ts', 'c.test.ts', 'd.test.ts'].map((name) => `required, but not run: ${name}`));
  });
});
