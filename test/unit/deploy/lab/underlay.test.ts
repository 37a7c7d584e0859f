import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstFreeSubnet, hostLink, macAddress, nodeAddress, rangeOf } from '../../../../deploy/lab/underlay.ts';

describe('firstFreeSubnet', () => {
  const table: [string, readonly string[], string | undefined][] = [
    ['nothing used', [], '10.88.0'],
    ['other networks', ['192.0.2.0/24', '172.17.0.0/16'], '10.88.0'],
    ['labs in the way', ['10.88.0.0/24', '10.88.1.0/24'], '10.88.2'],
    ['a gap', ['10.88.0.0/24', '10.88.2.0/24'], '10.88.1'],
    ["a host's own address inside", ['10.88.0.7'], '10.88.1'],
    ["podman's whole network", ['10.88.0.0/16'], '10.98.0'],
    ['a wide private network', ['10.0.0.0/8'], undefined],
  ];
  test.each(table)('%s', (_, used, expected) => {
    expect(firstFreeSubnet(used)).toBe(expected);
  });

  test('never overlaps what is used', () => {
    const cidr = fc
      .tuple(fc.constantFrom(88, 98, 108), fc.nat(255), fc.nat(255), fc.integer({ min: 15, max: 32 }))
      .map(([second, third, fourth, bits]) => `10.${second}.${third}.${fourth}/${bits}`);
    fc.assert(
      fc.property(fc.array(cidr, { maxLength: 20 }), (used) => {
        const subnet = firstFreeSubnet(used);
        if (subnet === undefined) return;
        const free = rangeOf(`${subnet}.0/24`);
        for (const range of used.map(rangeOf)) expect(range.last < free.first || range.first > free.last).toBe(true);
      }),
    );
  });
});

test('interface names fit in 15 characters and differ for labs that begin alike', () => {
  expect(hostLink('default')).toBe('gt-default');
  const long = ['a-very-long-lab-name-one', 'a-very-long-lab-name-two'].map(hostLink);
  expect(new Set(long).size).toBe(2);
  for (const name of long) expect(name.length).toBeLessThanOrEqual(15);
});

test('a MAC address is local, unicast and fixed by the IP address', () => {
  expect(macAddress('10.88.0.11')).toBe('02:67:0a:58:00:0b');
  expect(nodeAddress('10.88.3', 2)).toBe('10.88.3.12');
});
