import fc from 'fast-check';
import { expect, test } from 'vitest';
import { overlayMAC } from '../../../../node-agent/network/addresses.ts';
import { differOverlay, type Overlay, planOverlay } from '../../../../node-agent/network/overlay.ts';
import { parseOverlay } from '../../../../node-agent/network/overlay-state.ts';
import type { Node } from '../../../../proto/gen/types.ts';

function node(number: number, more: { podCIDR?: string | undefined; address?: string; mac?: string } = {}): Node {
  const { podCIDR = `10.42.${number}.0/24`, address = `10.88.0.1${number}`, mac } = more;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `node-${number}` },
    spec: 'podCIDR' in more && more.podCIDR === undefined ? {} : { podCIDR },
    status: {
      addresses: [
        { type: 'Hostname', address: `node-${number}` },
        { type: 'InternalIP', address },
      ],
      ...(mac !== undefined && { nodeInfo: { overlayMAC: mac } }),
    },
  };
}

const own = { nodeName: 'node-1', nodeIP: '10.88.0.11', underlayMTU: 1500 };
const wanted = planOverlay([node(1), node(2), node(3)], own)!;

test('the first script builds all of it', () => {
  expect(differOverlay(wanted, undefined)).toEqual({
    ip: [
      'link add gantry.vx address 02:78:0a:58:00:0b mtu 1450 type vxlan id 42 local 10.88.0.11 dstport 4789 nolearning',
      'address replace 10.42.1.0/32 dev gantry.vx',
      'link set gantry.vx addrgenmode none up',
      'neighbour replace 10.42.2.0 lladdr 02:78:0a:58:00:0c dev gantry.vx nud permanent',
      'neighbour replace 10.42.3.0 lladdr 02:78:0a:58:00:0d dev gantry.vx nud permanent',
      'route replace 10.42.2.0/24 via 10.42.2.0 dev gantry.vx onlink',
      'route replace 10.42.3.0/24 via 10.42.3.0 dev gantry.vx onlink',
    ],
    bridge: [
      'fdb replace 02:78:0a:58:00:0c dev gantry.vx dst 10.88.0.12 self permanent',
      'fdb replace 02:78:0a:58:00:0d dev gantry.vx dst 10.88.0.13 self permanent',
    ],
  });
});

const nothing = { ip: [], bridge: [] };

test.each<[string, readonly Node[], { ip: string[]; bridge: string[] }]>([
  ['the same nodes in another order', [node(3), node(1), node(2)], nothing],
  ['a node without a range', [node(1), node(2), node(3), node(4, { podCIDR: undefined })], nothing],
  ['a node with a broken range', [node(1), node(2), node(3), node(4, { podCIDR: '10.42.4.0' })], nothing],
  ['a node with an address that is none', [node(1), node(2), node(3), node(4, { address: 'node-4' })], nothing],
  [
    'a node that left',
    [node(1), node(3)],
    {
      ip: ['route delete 10.42.2.0/24 dev gantry.vx', 'neighbour delete 10.42.2.0 dev gantry.vx'],
      bridge: ['fdb delete 02:78:0a:58:00:0c dev gantry.vx self'],
    },
  ],
  [
    'a node that moved to another address',
    [node(1), node(2, { address: '10.88.0.99' }), node(3)],
    {
      ip: ['neighbour replace 10.42.2.0 lladdr 02:78:0a:58:00:63 dev gantry.vx nud permanent'],
      bridge: [
        'fdb delete 02:78:0a:58:00:0c dev gantry.vx self',
        'fdb replace 02:78:0a:58:00:63 dev gantry.vx dst 10.88.0.99 self permanent',
      ],
    },
  ],
  [
    'a node that reports a hardware address of its own',
    [node(1), node(2, { mac: '02:aa:00:00:00:01' }), node(3, { mac: 'nonsense; link delete eth0' })],
    {
      ip: ['neighbour replace 10.42.2.0 lladdr 02:aa:00:00:00:01 dev gantry.vx nud permanent'],
      bridge: [
        'fdb delete 02:78:0a:58:00:0c dev gantry.vx self',
        'fdb replace 02:aa:00:00:00:01 dev gantry.vx dst 10.88.0.12 self permanent',
      ],
    },
  ],
])('%s', (_what, nodes, script) => {
  expect(differOverlay(planOverlay(nodes, own)!, wanted)).toEqual(script);
});

test('without a range of its own a node has no overlay yet', () => {
  expect(planOverlay([node(1, { podCIDR: undefined }), node(2)], own)).toBeUndefined();
  expect(planOverlay([node(2)], own)).toBeUndefined();
});

test('a device of another shape is made anew with all that is on it; another MTU is set', () => {
  const elsewhere: Overlay = { ...wanted, device: { ...wanted.device, localIP: '10.88.0.200' } };
  expect(differOverlay(wanted, elsewhere).ip).toEqual([
    'link delete gantry.vx',
    ...differOverlay(wanted, undefined).ip,
  ]);
  const narrow: Overlay = { ...wanted, device: { ...wanted.device, mtu: 1400 } };
  expect(differOverlay(wanted, narrow)).toEqual({ ip: ['link set gantry.vx mtu 1450'], bridge: [] });
});

test('what iproute2 prints is read back as what was wanted', () => {
  const state = parseOverlay({
    device: JSON.stringify([
      {},
      {
        ifname: 'gantry.vx',
        flags: ['BROADCAST', 'UP', 'LOWER_UP'],
        mtu: 1450,
        address: overlayMAC('10.88.0.11'),
        linkinfo: { info_kind: 'vxlan', info_data: { id: 42, local: '10.88.0.11', port: 4789 } },
        addr_info: [
          { family: 'inet', local: '10.42.1.0', prefixlen: 32 },
          { family: 'inet6', local: 'fe80::1', prefixlen: 64 },
        ],
      },
    ]),
    routes: JSON.stringify([...wanted.routes].map(([dst, gateway]) => ({ dst, gateway, flags: ['onlink'] }))),
    neighbours: JSON.stringify([...wanted.neighbours].map(([dst, lladdr]) => ({ dst, lladdr, state: ['PERMANENT'] }))),
    forwarding: JSON.stringify([...wanted.forwarding].map(([mac, dst]) => ({ mac, dst, state: 'permanent' }))),
  });
  expect(differOverlay(wanted, state)).toEqual(nothing);
  expect(parseOverlay({ device: '', routes: '', neighbours: '', forwarding: '' })).toBeUndefined();
});

/** Runs a script on a model of the kernel's tables. */
function run(state: Overlay, { ip, bridge }: { ip: readonly string[]; bridge: readonly string[] }): Overlay {
  const routes = new Map(state.routes);
  const neighbours = new Map(state.neighbours);
  const forwarding = new Map(state.forwarding);
  for (const line of [...ip, ...bridge]) {
    const [table, verb, key, , value] = line.split(' ');
    const target = { route: routes, neighbour: neighbours, fdb: forwarding }[table!];
    if (!target) throw new Error(`unexpected: ${line}`);
    if (verb === 'replace') target.set(key!, table === 'fdb' ? line.split(' ')[6]! : value!);
    else if (!target.delete(key!)) throw new Error(`deletes what is not there: ${line}`);
  }
  return { ...state, routes, neighbours, forwarding };
}

test('from any set of nodes to any other, the script leads exactly there', () => {
  const nodes = fc.uniqueArray(
    fc.record({ number: fc.integer({ min: 2, max: 6 }), address: fc.integer({ min: 2, max: 9 }) }),
    {
      selector: ({ number }) => number,
    },
  );
  const plan = (list: readonly { number: number; address: number }[]): Overlay =>
    planOverlay(
      [node(1), ...list.map(({ number, address }) => node(number, { address: `10.88.0.1${address}` }))],
      own,
    )!;
  fc.assert(
    fc.property(nodes, nodes, (from, to) => {
      expect(run(plan(from), differOverlay(plan(to), plan(from)))).toEqual(plan(to));
    }),
    { numRuns: 200 },
  );
});
