import { describe, expect, test } from 'vitest';
import { podHostname, renderHosts, renderResolvConf } from '../../../../node-agent/pods/etc-files.ts';
import { testPod } from './fixture.ts';

const settings = {
  dnsIP: '10.43.0.10',
  zone: 'cluster.local',
  nodeResolvConf: 'nameserver 127.0.0.53\nsearch lan\noptions edns0\n',
};

describe('resolv.conf', () => {
  test.each([
    [
      'ClusterFirst',
      {},
      'nameserver 10.43.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n',
    ],
    [
      'Default with a loopback resolver',
      { dnsPolicy: 'Default' },
      'nameserver 10.43.0.10\nsearch lan\noptions edns0\n',
    ],
    ['the host network', { hostNetwork: true }, 'nameserver 127.0.0.53\nsearch lan\noptions edns0\n'],
    [
      'ClusterFirstWithHostNet',
      { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' },
      'nameserver 10.43.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n',
    ],
    [
      'None',
      { dnsPolicy: 'None', dnsConfig: { nameservers: ['192.0.2.1'], searches: ['x'], options: [{ name: 'rotate' }] } },
      'nameserver 192.0.2.1\nsearch x\noptions rotate\n',
    ],
    [
      'options of the pod replace those of the same name',
      { dnsConfig: { options: [{ name: 'ndots', value: '2' }] } },
      'nameserver 10.43.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:2\n',
    ],
  ] as const)('%s', (_name, spec, expected) => {
    expect(renderResolvConf(testPod('web', structuredClone(spec) as object), settings)).toBe(expected);
  });
});

test('hosts names the pod, its full name with a subdomain, and its aliases', () => {
  const hostAliases = [{ ip: '192.0.2.7', hostnames: ['a', 'b'] }];
  const pod = testPod('web-0', { subdomain: 'web', hostAliases });
  const text = renderHosts(pod, 'cluster.local', 'unused');
  expect(text).toContain(`${pod.status!.podIP}\tweb-0.web.default.svc.cluster.local\tweb-0\n`);
  expect(text).toContain('192.0.2.7\ta\tb\n');
  expect(renderHosts(testPod('x', { hostNetwork: true }), 'cluster.local', 'of the node\n')).toBe('of the node\n');
});

test('a host name is cut to what the kernel takes', () => {
  expect(podHostname(testPod(`${'a'.repeat(62)}-b`))).toBe('a'.repeat(62));
  expect(podHostname(testPod('web', { hostname: 'db' }))).toBe('db');
});
