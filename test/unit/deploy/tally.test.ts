import { expect, test } from 'vitest';
import { type Report, tallyOf, total } from '../../tally.ts';

const report = (passed: number, failed: number, files: readonly [string, readonly string[]][] = []): Report => ({
  numPassedTests: passed,
  numFailedTests: failed,
  testResults: files.map(([status, tests]) => ({ status, assertionResults: tests.map((one) => ({ status: one })) })),
});

test('a file that cannot be loaded is a failure of its own', () => {
  expect(
    tallyOf(
      report(3, 1, [
        ['failed', ['failed']],
        ['failed', []],
        ['passed', ['passed']],
      ]),
      false,
    ),
  ).toEqual({
    passed: 3,
    failed: 2,
  });
});

test('an unsuccessful run never counts as clean', () => {
  expect(tallyOf(report(3, 0), false)).toEqual({ passed: 3, failed: 1 });
  expect(tallyOf(undefined, true)).toEqual({ passed: 0, failed: 1 });
  expect(tallyOf(report(3, 0), true)).toEqual({ passed: 3, failed: 0 });
});

test('tallies add up', () => {
  expect(
    total([
      { passed: 1, failed: 0 },
      { passed: 2, failed: 3 },
    ]),
  ).toEqual({ passed: 3, failed: 3 });
});
