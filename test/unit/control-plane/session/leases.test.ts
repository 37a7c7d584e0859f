import { describe, expect, test } from 'vitest';
import { Leases } from '../../../../control-plane/session/leases.ts';

const leaseMs = 3_000;
const tickMs = 250;

/** Ticks on time up to `untilMs`, judging as the leader does. */
function run(leases: Leases, fromMs: number, untilMs: number): string[] {
  const lost: string[] = [];
  for (let nowMs = fromMs + tickMs; nowMs <= untilMs; nowMs += tickMs) {
    lost.push(...leases.expire(leases.tick(nowMs).suspects, nowMs));
  }
  return lost;
}

const fresh = (nowMs = 0): Leases => new Leases({ leaseMs, tickMs, nowMs });

describe('leases', () => {
  test('a node is lost a lease after it was heard last, not earlier', () => {
    const leases = fresh();
    leases.heard('a', 0);
    expect(run(leases, 0, 2_750)).toEqual([]);
    expect(run(leases, 2_750, 3_000)).toEqual(['a']);
    expect(run(leases, 3_000, 9_000)).toEqual([]);
    expect(leases.all.get('a')?.alive).toBe(false);
  });

  test('hearing tells whether it was news', () => {
    const leases = fresh();
    expect(leases.heard('a', 0)).toBe(true);
    expect(leases.heard('a', 100)).toBe(false);
    run(leases, 0, 4_000);
    expect(leases.heard('a', 4_000)).toBe(true);
    expect(leases.heard('a', 4_100)).toBe(false);
  });

  test('a node granted a lease at the begin of a term has time to reconnect as well', () => {
    const leases = fresh();
    leases.grant('a', 0);
    expect(run(leases, 0, 4_750)).toEqual([]);
    expect(run(leases, 4_750, 5_000)).toEqual(['a']);
    leases.grant('a', 5_000);
    expect(leases.all.get('a')?.alive).toBe(false);
  });

  test('time in which we stood still counts for nobody', () => {
    const leases = fresh();
    leases.heard('a', 0);
    const { stalledMs, suspects } = leases.tick(10_000);
    expect(stalledMs).toBe(10_000 - tickMs);
    expect(suspects).toEqual([]);
    expect(run(leases, 10_000, 12_500)).toEqual([]);
    expect(run(leases, 12_500, 12_750)).toEqual(['a']);
  });

  test('who is heard between suspicion and verdict is not lost', () => {
    const leases = fresh();
    leases.heard('a', 0);
    leases.heard('b', 0);
    run(leases, 0, 2_750);
    const { suspects } = leases.tick(3_000);
    expect(suspects).toEqual(['a', 'b']);
    leases.heard('a', 3_010);
    expect(leases.expire(suspects, 3_020)).toEqual(['b']);
  });

  test('who waits for our answer is not lost, and has time to come back when the answer was slow', () => {
    const leases = fresh();
    leases.grant('a', 0);
    const answered = leases.waits('a', 200);
    const answeredAgain = leases.waits('a', 5_300);
    answered(5_400);
    expect(run(leases, 0, 20_000)).toEqual([]);
    answeredAgain(20_000);
    expect(run(leases, 20_000, 24_750)).toEqual([]);
    expect(run(leases, 24_750, 25_000)).toEqual(['a']);
  });

  test('hellos that are answered at once keep nobody alive', () => {
    const leases = fresh();
    leases.heard('a', 0);
    for (let nowMs = 100; nowMs < 3_000; nowMs += 100) leases.waits('a', nowMs)(nowMs + 20);
    expect(run(leases, 0, 3_000)).toEqual(['a']);
  });

  describe('many lost together', () => {
    const heardAll = (leases: Leases, names: string, nowMs: number): void => {
      for (const name of names) leases.heard(name, nowMs);
    };

    test('more than 55 % is a mass loss, until enough are back', () => {
      const leases = fresh();
      heardAll(leases, 'abcd', 0);
      run(leases, 0, 1_000);
      leases.heard('d', 1_000);
      run(leases, 1_000, 3_000);
      expect(leases.massLoss(3_000)).toBe(true);
      heardAll(leases, 'abd', 3_100);
      expect(leases.massLoss(3_100)).toBe(false);
    });

    test('is seen as soon as the first of them is lost, although the others still have some lease left', () => {
      const leases = fresh();
      for (const [index, name] of [...'abcd'].entries()) leases.heard(name, index * 250);
      expect(run(leases, 0, 3_000)).toEqual(['a']);
      expect(leases.massLoss(3_000)).toBe(true);
    });

    test('one node of many, or of two, or nodes lost at different times, is no mass loss', () => {
      const many = fresh();
      heardAll(many, 'abc', 0);
      run(many, 0, 1_500);
      heardAll(many, 'bc', 1_500);
      run(many, 1_500, 3_000);
      expect(many.massLoss(3_000)).toBe(false);

      const apart = fresh();
      heardAll(apart, 'abc', 0);
      for (let nowMs = 0; nowMs < 120_000; nowMs += tickMs) {
        run(apart, nowMs, nowMs + tickMs);
        heardAll(apart, nowMs < 60_000 ? 'bc' : 'c', nowMs + tickMs);
      }
      expect([...apart.all.values()].map(({ alive }) => alive)).toEqual([false, false, true]);
      expect(apart.massLoss(120_000)).toBe(false);

      const two = fresh();
      heardAll(two, 'ab', 0);
      run(two, 0, 4_000);
      expect(two.massLoss(4_000)).toBe(false);
    });
  });
});
