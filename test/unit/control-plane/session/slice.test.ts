import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigurationUsers } from '../../../../control-plane/session/configuration-users.ts';
import { SharedSlice } from '../../../../control-plane/session/shared-slice.ts';
import { ownSlice } from '../../../../control-plane/session/slice.ts';
import { SliceFeed, type SliceFeedOptions } from '../../../../control-plane/session/slice-feed.ts';
import {
  MutableClusterState,
  type ObjectChange,
  type StateUpdate,
} from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { configurationOf } from '../../../../lib/model/pod-configuration.ts';
import { SliceParts } from '../../../../node-agent/session/slice-parts.ts';
import { applySlice, type SliceObjects } from '../../../../node-agent/session/slice-state.ts';
import type { KubeObject, Pod, PodSpec, SessionDown, SharedPosition } from '../../../../proto/gen/types.ts';

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
    expect([...ownSlice(state, 'n1').keys()]).toEqual(['/gantry/pods/default/mine', '/gantry/configmaps/default/mine']);
  });

  /**
   * Whatever happens to the cluster, however seldom the agent is told, and in however many parts: what it has made of it
   * with its own code is what a session that begins now would be told.
   */
  test('kept up by differences equals a complete one', () => {
    const names = fc.constantFrom('a', 'b', 'c');
    const write = fc.record({
      kind: fc.constantFrom('Pod', 'ConfigMap', 'Service', 'Node', 'Deployment'),
      name: names,
      nodeName: fc.constantFrom('n1', 'n2', undefined),
      names: names,
      remove: fc.boolean(),
      publish: fc.boolean(),
      send: fc.boolean(),
      /** How many messages still come through before the connection breaks. */
      breaks: fc.option(fc.nat(2)),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), fc.boolean(), (writes, inParts) => {
        const { state, shared, session } = sessionOf('n1', inParts);
        for (const [index, entry] of writes.entries()) {
          const object = objectOf(entry, index + 2);
          const key = keyOf(object);
          const update: StateUpdate = entry.remove ? { key } : { key, object };
          state.apply([update], BigInt(index + 2));
          if (entry.publish) shared.publish(state.revision);
          if (entry.breaks !== null) session.reconnect(entry.breaks);
          if (entry.send) session.send();
        }
        shared.publish(state.revision);
        session.send();
        const fresh = new AgentEnd({ nodeName: 'n1', snapshot: state, shared, inParts: !inParts });
        fresh.send();
        expect(sortedOf(session.objects)).toEqual(sortedOf(fresh.objects));
        const wanted = [...ownSlice(state, 'n1').keys(), ...['Node', 'Service'].flatMap((kind) => keysOf(state, kind))];
        expect([...fresh.objects.keys()].sort()).toEqual(wanted.sort());
      }),
      { numRuns: 300 },
    );
  });
});

describe('what every node sees', () => {
  const service = (name: string, version: number) => objectOf({ kind: 'Service', name }, version);
  const put = (object: KubeObject): StateUpdate => ({ key: keyOf(object), object });

  test('is the same message for all that have read equally far', () => {
    const { state, shared, session } = sessionOf('n1', true);
    const other = new AgentEnd({ nodeName: 'n2', snapshot: state, shared, inParts: true });
    session.send();
    other.send();
    state.apply([put(service('a', 2)), put(service('b', 2))], 2n);
    shared.publish(2n);
    session.send();
    other.send();
    expect(session.received.at(-1)?.slice?.objects).toHaveLength(2);
    expect(session.received.at(-1)).toBe(other.received.at(-1));
  });

  test('leaves out of a Node what only its own agent and the control plane care for', () => {
    const { state, shared, session } = sessionOf('n1', true);
    const node = (version: number, free: string): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { ...meta('n2', version), labels: { zone: 'z' } },
      spec: { podCIDR: '10.42.1.0/24', unschedulable: true },
      status: {
        allocatable: { cpu: free },
        addresses: [{ type: 'InternalIP', address: '10.0.0.2' }],
        nodeInfo: { machineID: 'm', overlayMAC: '02:00:00:00:00:02' },
      },
    });
    session.send();
    state.apply([put(node(2, '1'))], 2n);
    shared.publish(2n);
    session.send();
    expect(session.objects.get('/gantry/nodes/n2')).toEqual({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n2', uid: 'uid-n2', resourceVersion: '2' },
      spec: { podCIDR: '10.42.1.0/24' },
      status: {
        addresses: [{ type: 'InternalIP', address: '10.0.0.2' }],
        nodeInfo: { overlayMAC: '02:00:00:00:00:02' },
      },
    });
    const before = session.received.length;
    state.apply([put(node(3, '2'))], 3n);
    shared.publish(3n);
    session.send();
    expect(session.received.length).toBe(before);
  });

  test('is told anew to a session that lags too far behind', () => {
    const { state, shared, session } = sessionOf('n1', true);
    session.send();
    for (let version = 2; version < 9_000; version += 1) {
      state.apply([put(service(`s${version % 7}`, version))], BigInt(version));
      shared.publish(BigInt(version));
    }
    session.send();
    expect(session.received.at(-1)?.slice?.complete).toBe(true);
    expect([...session.objects.keys()].sort()).toEqual(keysOf(state, 'Service').sort());
    expect(session.objects.get('/gantry/services/default/s0')?.metadata.resourceVersion).toBe('8995');
  });

  test('is not told again to an agent that has it from a former session, only what has changed', () => {
    const { state, shared, session } = sessionOf('n1', true);
    state.apply([put(service('a', 2)), put(service('b', 2)), put(pod('own', 'n1', 2))], 2n);
    shared.publish(2n);
    session.send();
    state.apply([put(service('b', 3)), { key: keyOf(pod('own', 'n1', 2)) }], 3n);
    shared.publish(3n);
    session.reconnect();
    session.send();
    expect(session.received.map(({ slice }) => [slice?.complete, slice?.keepsShared, slice?.objects?.length])).toEqual([
      [true, true, 0],
      [false, undefined, 1],
    ]);
    expect([...session.objects.keys()].sort()).toEqual(keysOf(state, 'Service').sort());
    expect(session.objects.get('/gantry/services/default/b')?.metadata.resourceVersion).toBe('3');
  });

  test('is told whole to an agent that had read another log, or further than this one goes', () => {
    const { state, shared } = sessionOf('n1', true);
    state.apply([put(service('a', 2))], 2n);
    shared.publish(2n);
    for (const known of [{ log: 'another', position: 1 }, { log: 'log', position: 2 }, { log: 'log' }]) {
      const feed = new SliceFeed({ nodeName: 'n1', snapshot: state, shared, inParts: false, known });
      expect(feed.next()?.slice).toMatchObject({ complete: true, shared: { log: 'log', position: 1 } });
    }
  });

  test('comes in messages of bounded size', () => {
    const { state, shared } = sessionOf('n1', true);
    const services = Array.from({ length: 1_000 }, (_, index) => put(service(`s${index}`, 2)));
    state.apply(services, 2n);
    shared.publish(2n);
    const late = new AgentEnd({ nodeName: 'n1', snapshot: state, shared, inParts: true });
    late.send();
    expect(late.objects.size).toBe(1_000);
    expect(Math.max(...late.received.map(({ slice }) => slice?.objects?.length ?? 0))).toBeLessThanOrEqual(250);
  });
});

/** The agent's end of a session: what it is told, and what its own code makes of it. */
class AgentEnd {
  objects: SliceObjects = new Map();
  received: SessionDown[] = [];
  feed: SliceFeed;
  #shared: SharedPosition | undefined;
  readonly #options: SliceFeedOptions;
  #parts = new SliceParts();

  constructor(options: SliceFeedOptions) {
    this.#options = options;
    this.feed = new SliceFeed(options);
  }

  send(most = Number.POSITIVE_INFINITY): void {
    for (let count = 0; count < most; count += 1) {
      const message = this.feed.next();
      if (!message) return;
      this.received.push(message);
      const slice = this.#parts.take(message.slice!);
      if (!slice) continue;
      this.objects = applySlice(this.objects, slice).objects;
      if (slice.shared) this.#shared = slice.shared;
    }
  }

  /** After so many messages; it says how far it has come. */
  reconnect(after = 0): void {
    this.send(after);
    this.received = [];
    this.#parts = new SliceParts();
    this.feed = new SliceFeed({ ...this.#options, ...(this.#shared && { known: this.#shared }) });
  }
}

/** As the leader wires it. */
function sessionOf(nodeName: string, inParts: boolean) {
  const state = new MutableClusterState();
  state.replace([], 1n);
  const shared = new SharedSlice(state, 'log');
  const users = new ConfigurationUsers(state);
  const session = new AgentEnd({ nodeName, snapshot: state, shared, inParts });
  state.onChange((changes) => {
    for (const change of changes) {
      users.apply(change);
      if (podIsOn(nodeName, change)) session.feed.touch(change.key);
    }
    for (const { key } of changes) if ([...users.of(key)].includes(nodeName)) session.feed.touch(key);
    shared.apply(changes);
  });
  return { state, shared, session };
}

const podIsOn = (nodeName: string, { object, previous }: ObjectChange): boolean =>
  [object, previous].some((side) => side?.kind === 'Pod' && side.spec.nodeName === nodeName);

const keysOf = (state: MutableClusterState, kind: string): string[] =>
  state.list(kind as 'Node').map((object) => keyOf(object));

const sortedOf = (objects: SliceObjects): Map<string, KubeObject> => new Map([...objects].sort());

function objectOf({ kind, name, nodeName, names }: Record<string, unknown>, version: number): KubeObject {
  const volumes = [{ name: 'v', configMap: { name: String(names) } }];
  if (kind === 'Pod') return pod(String(name), nodeName as string | undefined, version, { volumes });
  if (kind === 'ConfigMap') return configMap(String(name), version);
  if (kind === 'Node') {
    const spec = { podCIDR: `10.42.${String(names).charCodeAt(0)}.0/24` };
    return { apiVersion: 'v1', kind: 'Node', metadata: meta(String(name), version), spec };
  }
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
