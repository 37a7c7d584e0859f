import { expect, test } from 'vitest';
import { type Report, tallyOf, total } from '../../tally.ts';

type File = Report['testResults'][number];

const passing: File = {
  name: 'a.test.ts',
  status: 'passed',
  assertionResults: [{ status: 'passed', fullName: 'works' }],
};
const failing: File = {
  name: 'b.test.ts',
  status: 'failed',
  assertionResults: [
    { status: 'passed', fullName: 'works' },
    {
      status: 'failed',
      fullName: 'holds',
      failureMessages: ['expected 1\n  to be 2\n    at holds (b.test.ts:7:3)', 'another'],
    },
  ],
};
const broken: File = { name: 'c.test.ts', status: 'failed', message: 'no such module', assertionResults: [] };

test('each failure is told with its place; a file that cannot be loaded is one of its own', () => {
  expect(tallyOf({ numPassedTests: 3, testResults: [passing, failing, broken] }, false)).toEqual({
    passed: 3,
    failed: 2,
    failures: ['b.test.ts > holds: expected 1 to be 2', 'c.test.ts: no such module'],
  });
});

test('an unsuccessful run never counts as clean', () => {
  const clean = { numPassedTests: 3, testResults: [passing] };
  expect(tallyOf(clean, false)).toMatchObject({ passed: 3, failed: 1 });
  expect(tallyOf(undefined, true)).toMatchObject({ passed: 0, failed: 1 });
  expect(tallyOf(clean, true)).toEqual({ passed: 3, failed: 0, failures: [] });
});

test('tallies add up', () => {
  expect(
    total([
      { passed: 1, failed: 0, failures: [] },
      { passed: 2, failed: 1, failures: ['x'] },
    ]),
  ).toEqual({ passed: 3, failed: 1, failures: ['x'] });
});
