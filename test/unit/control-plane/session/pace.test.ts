import { describe, expect, test } from 'vitest';
import { paceFor } from '../../../../control-plane/session/pace.ts';

const config = { heartbeatMs: 1_000, leaseMs: 3_000 };

describe('the pace of heartbeats', () => {
  test('is the configured one until there are very many nodes, and then slower, twice in a lease at least', () => {
    expect([0, 1, 500, 2_500].map((sessions) => paceFor(sessions, config))).toEqual([1_000, 1_000, 1_000, 1_000]);
    expect(paceFor(2_501, config)).toBe(1_050);
    expect(paceFor(3_000, config)).toBe(1_200);
    for (const sessions of [3_400, 5_000, 100_000]) expect(paceFor(sessions, config)).toBe(1_350);
  });

  test('is never faster than configured', () => {
    expect(paceFor(5_000, { heartbeatMs: 2_000, leaseMs: 3_000 })).toBe(2_000);
    expect(paceFor(5_000, { heartbeatMs: 1_000, leaseMs: 40_000 })).toBe(2_000);
  });
});
