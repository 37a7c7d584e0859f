import { expect, test } from 'vitest';
import { retryDelayMs } from '../../../../control-plane/controllers/job/failures.ts';
import { madeMs } from '../../../../control-plane/controllers/made.ts';
import type { Pod } from '../../../../proto/gen/types.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');
const madeAt = (creationTimestamp: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'a', creationTimestamp },
  spec: { containers: [] },
});

test.each([
  ['as it says', '2026-01-01T00:59:59Z', nowMs - 1_000],
  ['long ago when it says a time that has not come', '2026-01-01T01:00:01Z', 0],
  ['long ago when it says nothing', '', 0],
])('an object was made %s', (_, text, expected) => {
  expect(madeMs(madeAt(text), nowMs)).toBe(expected);
});

test('a clock that ran ahead does not keep a Job from trying again', () => {
  expect(retryDelayMs([madeAt('2026-01-01T00:59:59Z')], [], nowMs)).toBeGreaterThan(0);
  expect(retryDelayMs([madeAt('2026-01-01T03:00:00Z')], [], nowMs)).toBe(0);
});
