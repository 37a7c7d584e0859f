import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseRange, podLinkName } from '../../../../node-agent/network/addresses.ts';
import { hostPortTargets } from '../../../../node-agent/network/host-ports.ts';
import { renderDifference, renderRemoval, renderTable } from '../../../../node-agent/network/nft.ts';
import {
  goneUdpTargets,
  planServices,
  type ServiceInput,
  type ServiceRules,
} from '../../../../node-agent/network/services.ts';
import type { Endpoint, EndpointSlice, Pod, Service } from '../../../../proto/gen/types.ts';

const settings = {
  clusterCIDR: '10.42.0.0/16',
  serviceCIDR: '10.43.0.0/16',
  dnsIP: '10.43.0.10',
  overlayDevice: 'gantry.vx',
};

function service(name: string, spec: Service['spec'], created = '2026-01-01T00:00:00Z'): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name, creationTimestamp: created },
    spec,
  };
}

function slice(
  name: string,
  endpoints: (string | Endpoint)[],
  ports: EndpointSlice['ports'] = [{ port: 8080 }],
): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'default', name: `${name}-x`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: endpoints.map((entry) => (typeof entry === 'string' ? { addresses: [entry] } : entry)),
    ports,
  };
}

function plan(services: Service[], endpointSlices: EndpointSlice[], more: Partial<ServiceInput> = {}): ServiceRules {
  const podRange = parseRange('10.42.1.0/24');
  return planServices({ services, endpointSlices, hostPorts: [], podRange, dnsIP: '10.43.0.10', ...more });
}

const web = service('web', { clusterIP: '10.43.0.5', type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] });
const webChain = 'svc/default/web/tcp/80';
const chainOf = (rules: ServiceRules): string | undefined => rules.chains.get(webChain);

test('the table as a whole', () => {
  const rules = plan([web], [slice('web', ['10.42.2.7', '10.42.1.5'])], {
    hostPorts: [{ protocol: 'UDP', hostPort: 5353, podIP: '10.42.1.5', containerPort: 53 }],
  });
  expect(renderTable(rules, settings)).toBe(`add table ip gantry
delete table ip gantry
table ip gantry {
  map service_addresses {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = { 10.43.0.5 . tcp . 80 : goto svc/default/web/tcp/80 }
  }
  map node_ports {
    type inet_proto . inet_service : verdict
    elements = { tcp . 30080 : goto svc/default/web/tcp/80 }
  }
  map host_ports {
    type inet_proto . inet_service : ipv4_addr . inet_service
    elements = { udp . 5353 : 10.42.1.5 . 53 }
  }
  map host_address_ports {
    type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
  }
  set hairpins {
    type ipv4_addr . ipv4_addr
    elements = { 10.42.1.5 . 10.42.1.5 }
  }
  chain svc/default/web/tcp/80 {
    meta l4proto tcp dnat ip to numgen inc mod 2 map { 0 : 10.42.1.5 . 8080, 1 : 10.42.2.7 . 8080 }
  }
  chain translate {
    ip daddr { 127.0.0.0/8, 10.43.0.10 } return
    ip daddr . meta l4proto . th dport vmap @service_addresses
    fib daddr type local meta l4proto . th dport vmap @node_ports
    fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @host_address_ports
    fib daddr type local dnat ip to meta l4proto . th dport map @host_ports
  }
  chain translate_incoming {
    type nat hook prerouting priority -100; policy accept;
    jump translate
  }
  chain translate_own {
    type nat hook output priority -100; policy accept;
    jump translate
  }
  chain masquerade_outgoing {
    type nat hook postrouting priority 100; policy accept;
    ip saddr . ip daddr @hairpins masquerade fully-random
    oifname "gantry.vx" ip saddr != 10.42.0.0/16 masquerade fully-random
    oifname != "gantry.vx" ip saddr 10.42.0.0/16 ip daddr != 10.42.0.0/16 masquerade fully-random
  }
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject with icmp port-unreachable
  }
  chain filter_incoming {
    type filter hook prerouting priority -90; policy accept;
    iifname "gt*" fib saddr . iif oif missing drop
    ip daddr 10.43.0.0/16 ip daddr != 10.43.0.10 goto refuse
  }
  chain filter_own {
    type filter hook output priority 0; policy accept;
    ip daddr 10.43.0.0/16 ip daddr != 10.43.0.10 goto refuse
  }
}
`);
  expect(renderRemoval()).toBe('add table ip gantry\ndelete table ip gantry\n');
});

test.each<[string, Service, EndpointSlice[], string | undefined]>([
  ['one endpoint needs no choice', web, [slice('web', ['10.42.1.5'])], 'meta l4proto tcp dnat ip to 10.42.1.5:8080'],
  ['none: no chain, so that it is refused', web, [slice('web', [])], undefined],
  ['no slice at all', web, [], undefined],
  [
    'only ready ones; who says nothing is ready',
    web,
    [
      slice('web', [
        { addresses: ['10.42.1.5'], conditions: { ready: false } },
        { addresses: ['10.42.1.6'], conditions: {} },
      ]),
    ],
    'meta l4proto tcp dnat ip to 10.42.1.6:8080',
  ],
  [
    'unready ones when the service wants them',
    { ...web, spec: { ...web.spec, publishNotReadyAddresses: true } },
    [slice('web', [{ addresses: ['10.42.1.5'], conditions: { ready: false } }])],
    'meta l4proto tcp dnat ip to 10.42.1.5:8080',
  ],
  [
    'those that still serve on their way out, when no other is left',
    web,
    [slice('web', [{ addresses: ['10.42.1.5'], conditions: { ready: false, serving: true, terminating: true } }])],
    'meta l4proto tcp dnat ip to 10.42.1.5:8080',
  ],
  [
    'not the terminating ones while another is ready',
    web,
    [
      slice('web', [
        '10.42.1.9',
        { addresses: ['10.42.1.5'], conditions: { ready: false, serving: true, terminating: true } },
      ]),
    ],
    'meta l4proto tcp dnat ip to 10.42.1.9:8080',
  ],
  [
    'several slices are one list, each endpoint once',
    web,
    [slice('web', ['10.42.1.5']), slice('web', ['10.42.1.6', '10.42.1.5'])],
    'meta l4proto tcp dnat ip to numgen inc mod 2 map { 0 : 10.42.1.5 . 8080, 1 : 10.42.1.6 . 8080 }',
  ],
  [
    'the same client to the same endpoint',
    { ...web, spec: { ...web.spec, sessionAffinity: 'ClientIP' } },
    [slice('web', ['10.42.1.5', '10.42.1.6'])],
    'meta l4proto tcp dnat ip to jhash ip saddr mod 2 seed 0x67 map { 0 : 10.42.1.5 . 8080, 1 : 10.42.1.6 . 8080 }',
  ],
  ['the port by its name', web, [slice('web', ['10.42.1.5'], [{ name: 'other', port: 1 }])], undefined],
  ['the port by its protocol', web, [slice('web', ['10.42.1.5'], [{ protocol: 'UDP', port: 1 }])], undefined],
  ['what is no address', web, [slice('web', ['10.42.1.5; drop', '10.42.1.300'])], undefined],
])('%s', (_what, of, slices, rule) => {
  expect(chainOf(plan([of], slices))).toBe(rule);
});

test('services without an address of their own have no rules', () => {
  const ports = [{ port: 80 }];
  const rules = plan(
    [
      service('web', { clusterIP: 'None', ports }),
      service('web', { type: 'ExternalName', externalName: 'x', ports }),
      service('web', { ports }),
      service('web', { clusterIP: '10.43.0.10', ports }),
    ],
    [slice('web', ['10.42.1.5'])],
  );
  expect(rules.chains.size).toBe(0);
});

test('two services with one node port: the older keeps it', () => {
  const younger = { ...web, metadata: { ...web.metadata, name: 'a', creationTimestamp: '2026-02-01T00:00:00Z' } };
  const rules = plan([younger, web], [slice('web', ['10.42.1.5']), slice('a', ['10.42.1.6'])]);
  expect(rules.nodePorts.get('tcp . 30080')).toBe(`goto ${webChain}`);
});

test('a change is written as the least that changed', () => {
  const before = plan([web], [slice('web', ['10.42.1.5', '10.42.2.6'])]);
  const after = plan([web], [slice('web', ['10.42.2.6'])]);
  expect(renderDifference(before, before)).toBe('');
  expect(renderDifference(before, after)).toBe(`flush chain ip gantry ${webChain}
add rule ip gantry ${webChain} meta l4proto tcp dnat ip to 10.42.2.6:8080
delete element ip gantry hairpins { 10.42.1.5 . 10.42.1.5 }
`);
  expect(
    renderDifference(after, plan([web], [])),
  ).toBe(`delete element ip gantry service_addresses { 10.43.0.5 . tcp . 80 : goto ${webChain} }
delete element ip gantry node_ports { tcp . 30080 : goto ${webChain} }
flush chain ip gantry ${webChain}
delete chain ip gantry ${webChain}
`);
});

test('chains exist before anything leads to them and nothing leads to them when they go', () => {
  const some = fc.uniqueArray(
    fc.record({ number: fc.integer({ min: 1, max: 5 }), pods: fc.uniqueArray(fc.integer({ min: 1, max: 4 })) }),
    {
      selector: ({ number }) => number,
    },
  );
  const rulesOf = (list: readonly { number: number; pods: readonly number[] }[]): ServiceRules =>
    plan(
      list.map(({ number }) => service(`s${number}`, { clusterIP: `10.43.0.${10 + number}`, ports: [{ port: 80 }] })),
      list.map(({ number, pods }) =>
        slice(
          `s${number}`,
          pods.map((pod) => `10.42.1.${pod}`),
        ),
      ),
    );
  fc.assert(
    fc.property(some, some, (from, to) => {
      const state = { chains: new Map(rulesOf(from).chains), goto: new Map(rulesOf(from).serviceAddresses) };
      for (const line of renderDifference(rulesOf(from), rulesOf(to)).split('\n').filter(Boolean)) {
        const [verb, what, , , name = '', ...rest] = line.split(' ');
        if (what === 'chain' && verb === 'add') state.chains.set(name, '');
        if (what === 'chain' && verb === 'flush') state.chains.set(name, '');
        if (what === 'rule') state.chains.set(name, rest.join(' '));
        if (what === 'chain' && verb === 'delete') {
          expect([...state.goto.values()]).not.toContain(`goto ${name}`);
          state.chains.delete(name);
        }
        if (what === 'element' && name === 'service_addresses') {
          for (const entry of rest.join(' ').slice(2, -2).split(', ')) {
            const [key = '', value = ''] = entry.split(' : ');
            if (verb === 'delete') expect(state.goto.delete(key)).toBe(true);
            else {
              expect(state.chains.has(value.slice('goto '.length))).toBe(true);
              state.goto.set(key, value);
            }
          }
        }
      }
      expect(state.chains).toEqual(rulesOf(to).chains);
      expect(state.goto).toEqual(rulesOf(to).serviceAddresses);
    }),
    { numRuns: 100 },
  );
});

test('host ports: of pods attached now, and of those found at start by their specs', () => {
  const pod = (uid: string, podIP: string, spec: Partial<Pod['spec']> = {}): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: uid, uid },
    spec: {
      containers: [
        {
          name: 'c',
          image: 'i',
          ports: [{ containerPort: 80, hostPort: 8080, hostIP: '10.88.0.11' }, { containerPort: 81 }],
        },
      ],
      ...spec,
    },
    status: { podIP },
  });
  const attached = {
    podUid: 'new',
    netnsPath: '/n',
    ip: '10.42.1.5',
    hostPorts: [{ protocol: 'TCP' as const, hostPort: 90, containerPort: 9 }],
  };
  const targets = hostPortTargets([attached], new Set([podLinkName('old'), podLinkName('host')]), [
    pod('old', '10.42.1.6'),
    pod('gone', '10.42.1.7'),
    pod('host', '10.42.1.8', { hostNetwork: true }),
  ]);
  expect(targets).toEqual([
    { protocol: 'TCP', hostPort: 90, containerPort: 9, podIP: '10.42.1.5' },
    { protocol: 'TCP', hostPort: 8080, containerPort: 80, hostIP: '10.88.0.11', podIP: '10.42.1.6' },
  ]);
  const rules = plan([], [], { hostPorts: targets });
  expect([...rules.hostPorts]).toEqual([['tcp . 90', '10.42.1.5 . 9']]);
  expect([...rules.hostAddressPorts]).toEqual([['10.88.0.11 . tcp . 8080', '10.42.1.6 . 80']]);
});

test('UDP flows are forgotten for the endpoints that went', () => {
  const dns = service('dns', { clusterIP: '10.43.0.7', ports: [{ port: 53, protocol: 'UDP' }] });
  const rules = (...pods: string[]): ServiceRules =>
    plan([dns, web], [slice('dns', pods, [{ port: 53, protocol: 'UDP' }]), slice('web', pods)]);
  expect(goneUdpTargets(rules('10.42.1.5', '10.42.1.6'), rules('10.42.1.6'))).toEqual(['10.42.1.5']);
  expect(goneUdpTargets(rules('10.42.1.5'), rules())).toEqual(['10.42.1.5']);
  expect(goneUdpTargets(rules('10.42.1.5'), rules('10.42.1.5', '10.42.1.6'))).toEqual([]);
});
