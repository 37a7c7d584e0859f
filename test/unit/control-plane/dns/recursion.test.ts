import { expect, test } from 'vitest';
import { createRecursion } from '../../../../control-plane/dns/recursion.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import type { Node } from '../../../../proto/gen/types.ts';

const node = (address: string, resourceVersion: string): Node => ({
  ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1', resourceVersion }, spec: {} },
  status: { addresses: [{ type: 'InternalIP', address }] },
});

test('pods, nodes, this machine and whom the flag names may ask for names outside; nobody else', () => {
  const state = new MutableClusterState();
  const ranges = { clusterCIDR: '10.42.0.0/16', serviceCIDR: '10.43.0.0/16', recursionFrom: ['192.168.7.0/24'] };
  const { mayRecurse, stop } = createRecursion({ ...ranges, state }, ['10.88.0.2']);
  const allowed = ['10.42.3.4', '10.43.0.10', '127.0.0.1', '::1', '::ffff:10.42.3.4', '10.88.0.2', '192.168.7.9'];
  expect(allowed.filter((address) => !mayRecurse(address))).toEqual([]);
  const strangers = ['203.0.113.9', '10.88.0.11', '192.168.8.1', '::ffff:203.0.113.9', '2001:db8::1'];
  expect(strangers.filter(mayRecurse)).toEqual([]);

  state.apply([{ key: '/gantry/nodes/node-1', object: node('10.88.0.11', '1') }], 1n);
  expect(mayRecurse('10.88.0.11')).toBe(true);
  state.apply([{ key: '/gantry/nodes/node-1', object: node('10.88.0.12', '2') }], 2n);
  expect([mayRecurse('10.88.0.11'), mayRecurse('10.88.0.12')]).toEqual([false, true]);
  state.apply([{ key: '/gantry/nodes/node-1' }], 3n);
  expect(mayRecurse('10.88.0.12')).toBe(false);
  stop();
});
