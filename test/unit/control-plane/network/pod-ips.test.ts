import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ipToNumber, nextPodIP, numberToIP } from '../../../../control-plane/network/pod-ips.ts';

it('starts at .2 and goes on after the last one given, around the end', () => {
  expect(nextPodIP('10.42.7.0/24', () => false)).toBe('10.42.7.2');
  expect(nextPodIP('10.42.7.0/24', () => false, '10.42.7.9')).toBe('10.42.7.10');
  expect(nextPodIP('10.42.7.0/24', () => false, '10.42.7.254')).toBe('10.42.7.2');
  expect(nextPodIP('10.42.7.0/24', (ip) => ip === '10.42.7.10', '10.42.7.9')).toBe('10.42.7.11');
});

it('gives 253 different addresses, then none', () => {
  const taken = new Set<string>();
  let last: string | undefined;
  for (;;) {
    const ip = nextPodIP('10.42.7.0/24', (candidate) => taken.has(candidate), last);
    if (ip === undefined) break;
    expect(taken.has(ip)).toBe(false);
    taken.add(ip);
    last = ip;
  }
  expect(taken.size).toBe(253);
  for (const reserved of ['10.42.7.0', '10.42.7.1', '10.42.7.255']) expect(taken.has(reserved)).toBe(false);
});

it('addresses survive the way to numbers and back', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(255), { minLength: 4, maxLength: 4 }), (octets) => {
      expect(numberToIP(ipToNumber(octets.join('.')))).toBe(octets.join('.'));
    }),
  );
});
