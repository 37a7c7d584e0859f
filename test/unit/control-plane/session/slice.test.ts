import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  completeMessage,
  differenceMessage,
  type SliceDifference,
  sliceDifference,
  sliceOf,
} from '../../../../control-plane/session/slice.ts';
import { MutableClusterState, type StateUpdate } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { configurationOf } from '../../../../lib/model/pod-configuration.ts';
import { applySlice } from '../../../../node-agent/session/slice-state.ts';
import type { KubeObject, Pod, PodSpec } from '../../../../proto/gen/types.ts';

const meta = (name: string, version: number, namespace?: string) => ({
  name,
  uid: `uid-${name}`,
  resourceVersion: String(version),
  ...(namespace && { namespace }),
});

function pod(name: string, nodeName: string | undefined, version: number, spec: Partial<PodSpec> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: meta(name, version, 'default'),
    spec: { containers: [{ name: 'c', image: 'x' }], ...(nodeName && { nodeName }), ...spec },
  };
}

const configMap = (name: string, version: number): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: meta(name, version, 'default'),
});

test('the configuration of a pod is what its volumes and environment name', () => {
  const keys = configurationOf(
    pod('a', 'n', 1, {
      volumes: [
        { name: 'v', configMap: { name: 'volume-map' } },
        { name: 'w', secret: { secretName: 'volume-secret' } },
      ],
      initContainers: [{ name: 'i', image: 'x', envFrom: [{ configMapRef: { name: 'init-map' } }] }],
      containers: [
        {
          name: 'c',
          image: 'x',
          envFrom: [{ secretRef: { name: 'env-secret' } }],
          env: [
            { name: 'A', valueFrom: { configMapKeyRef: { name: 'key-map', key: 'k' } } },
            { name: 'B', valueFrom: { secretKeyRef: { name: 'key-secret', key: 'k' } } },
            { name: 'C', value: 'plain' },
          ],
        },
      ],
    }),
  );
  expect(keys.sort()).toEqual([
    '/gantry/configmaps/default/init-map',
    '/gantry/configmaps/default/key-map',
    '/gantry/configmaps/default/volume-map',
    '/gantry/secrets/default/env-secret',
    '/gantry/secrets/default/key-secret',
    '/gantry/secrets/default/volume-secret',
  ]);
});

describe('a slice', () => {
  test('has the node’s pods and nothing of other nodes', () => {
    const state = new MutableClusterState();
    const objects = [
      pod('mine', 'n1', 1, { volumes: [{ name: 'v', configMap: { name: 'mine' } }] }),
      pod('theirs', 'n2', 2, { volumes: [{ name: 'v', configMap: { name: 'theirs' } }] }),
      pod('pending', undefined, 3),
      configMap('mine', 4),
      configMap('theirs', 5),
    ];
    state.replace(
      objects.map((object) => ({ key: keyOf(object), object })),
      5n,
    );
    expect([...sliceOf(state, 'n1').keys()]).toEqual(['/gantry/pods/default/mine', '/gantry/configmaps/default/mine']);
  });

  /**
   * Whatever happens to the cluster, and however seldom the agent is told: the differences, applied by the agent's own
   * code, make the same slice as a complete one.
   */
  test('kept up by differences equals a complete one', () => {
    const names = fc.constantFrom('a', 'b', 'c');
    const write = fc.record({
      kind: fc.constantFrom('Pod', 'ConfigMap', 'Service', 'Deployment'),
      name: names,
      nodeName: fc.constantFrom('n1', 'n2', undefined),
      names: names,
      remove: fc.boolean(),
      send: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), (writes) => {
        const state = new MutableClusterState();
        state.replace([], 1n);
        let sent = sliceOf(state, 'n1');
        let agent = applySlice(new Map(), completeMessage(sent, 1n)).objects;
        let touched = new Set<string>();
        for (const [index, entry] of writes.entries()) {
          const object = objectOf(entry, index + 2);
          const key = keyOf(object);
          const update: StateUpdate = entry.remove ? { key } : { key, object };
          state.apply([update], BigInt(index + 2));
          touched.add(key);
          if (!entry.send && index < writes.length - 1) continue;
          const difference = sliceDifference(state, 'n1', sent, touched);
          touched = new Set();
          sent = apply(sent, difference);
          const message = differenceMessage(difference, state.revision);
          if (message) agent = applySlice(agent, message).objects;
        }
        expect(new Map([...agent].sort())).toEqual(new Map([...sliceOf(state, 'n1')].sort()));
      }),
      { numRuns: 300 },
    );
  });
});

function objectOf({ kind, name, nodeName, names }: Record<string, unknown>, version: number): KubeObject {
  const volumes = [{ name: 'v', configMap: { name: String(names) } }];
  if (kind === 'Pod') return pod(String(name), nodeName as string | undefined, version, { volumes });
  if (kind === 'ConfigMap') return configMap(String(name), version);
  const metadata = meta(String(name), version, 'default');
  return kind === 'Service'
    ? { apiVersion: 'v1', kind: 'Service', metadata, spec: {} }
    : {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata,
        spec: { selector: {}, template: { spec: { containers: [] } } },
      };
}

function apply(sent: Map<string, KubeObject>, { changed, removed }: SliceDifference): Map<string, KubeObject> {
  const next = new Map(sent);
  for (const object of changed) next.set(keyOf(object), object);
  for (const object of removed) next.delete(keyOf(object));
  return next;
}
