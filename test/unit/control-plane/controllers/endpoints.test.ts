import { describe, expect, it } from 'vitest';
import { groupEndpoints } from '../../../../control-plane/controllers/endpoint-slice/endpoints.ts';
import { reconcileEndpointSlices } from '../../../../control-plane/controllers/endpoint-slice/reconcile.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import type { EndpointSlice, KubeObject, Pod, Service } from '../../../../proto/gen/types.ts';

interface PodFacts {
  readonly ip?: string;
  readonly ready?: boolean;
  readonly deleting?: boolean;
  readonly phase?: 'Running' | 'Succeeded';
  readonly port?: number;
  readonly hostname?: string;
  readonly subdomain?: string;
}

function pod(name: string, facts: PodFacts = {}): Pod {
  const {
    ip = '10.42.1.2',
    ready = true,
    deleting = false,
    phase = 'Running',
    port = 8080,
    hostname,
    subdomain,
  } = facts;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      labels: { app: 'web' },
      ...(deleting && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    },
    spec: {
      nodeName: 'node-1',
      containers: [{ name: 'main', image: 'echo', ports: [{ name: 'http', containerPort: port }] }],
      ...(hostname && { hostname }),
      ...(subdomain && { subdomain }),
    },
    status: { phase, ...(ip && { podIP: ip }), conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}

const service = (spec: Partial<Service['spec']> = {}): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default', uid: 'uid-service', labels: { team: 'a' } },
  spec: {
    selector: { app: 'web' },
    clusterIP: '10.43.0.9',
    ports: [{ name: 'web', port: 80, targetPort: 'http' }],
    ...spec,
  },
});

function snapshotOf(...objects: KubeObject[]): MutableClusterState {
  const state = new MutableClusterState();
  state.replace(
    objects.map((object) => ({ key: keyOf(object), object })),
    1n,
  );
  return state;
}

function slicesAfter(state: MutableClusterState, of: Service): EndpointSlice[] {
  return reconcileEndpointSlices(state, of).changes.map(({ object }) => object as EndpointSlice);
}

describe('endpoints', () => {
  it.each<[string, PodFacts, object | undefined]>([
    ['a ready pod', {}, { ready: true, serving: true, terminating: false }],
    ['one that is not ready', { ready: false }, { ready: false, serving: false, terminating: false }],
    ['one that is stopping', { deleting: true }, { ready: false, serving: true, terminating: true }],
    ['one without an address', { ip: '' }, undefined],
    ['one that has finished', { phase: 'Succeeded' }, undefined],
  ])('of %s', (_name, facts, conditions) => {
    const [group] = groupEndpoints(service(), [pod('a', facts)]);
    expect(group?.endpoints[0]?.conditions).toEqual(conditions);
  });

  it('publishes pods that are not ready when the service says so', () => {
    const [group] = groupEndpoints(service({ publishNotReadyAddresses: true }), [pod('a', { ready: false })]);
    expect(group?.endpoints[0]?.conditions).toEqual({ ready: true, serving: false, terminating: false });
  });

  it('names the pod, its node, and its host name under its own headless service only', () => {
    const named = groupEndpoints(service({ clusterIP: 'None' }), [pod('a', { hostname: 'first', subdomain: 'web' })]);
    expect(named[0]?.endpoints[0]).toMatchObject({
      addresses: ['10.42.1.2'],
      hostname: 'first',
      nodeName: 'node-1',
      targetRef: { kind: 'Pod', namespace: 'default', name: 'a', uid: 'uid-a' },
    });
    const other = groupEndpoints(service(), [pod('a', { hostname: 'first', subdomain: 'elsewhere' })]);
    expect(other[0]?.endpoints[0]).not.toHaveProperty('hostname');
  });

  it('resolves named ports in each pod, and keeps pods apart whose numbers differ', () => {
    const groups = groupEndpoints(service(), [pod('a'), pod('b', { port: 9090 }), pod('c')]);
    const shown = groups.map(({ ports, endpoints }) => [
      ports[0]?.port,
      endpoints.map(({ targetRef }) => targetRef?.name),
    ]);
    expect(shown).toEqual([
      [8080, ['a', 'c']],
      [9090, ['b']],
    ]);
  });
});

describe('the slices of a service', () => {
  it('are labelled, owned, and named alike by whoever makes them', () => {
    const [first] = slicesAfter(snapshotOf(pod('a')), service());
    const [second] = slicesAfter(snapshotOf(pod('a')), service());
    expect(first?.metadata).toMatchObject({
      name: expect.stringMatching(/^web-[0-9a-f]{5}$/),
      labels: { team: 'a', 'kubernetes.io/service-name': 'web' },
      ownerReferences: [{ kind: 'Service', name: 'web', uid: 'uid-service', controller: true }],
    });
    expect(second?.metadata.name).toBe(first?.metadata.name);
  });

  it('are left alone while they say the same, and rewritten when they do not', () => {
    const [made] = slicesAfter(snapshotOf(pod('a')), service());
    const stored = { ...made!, metadata: { ...made!.metadata, uid: 'u', resourceVersion: '7', generation: 1 } };
    expect(reconcileEndpointSlices(snapshotOf(pod('a'), stored), service()).changes).toEqual([]);
    const [change] = reconcileEndpointSlices(snapshotOf(pod('a', { ready: false }), stored), service()).changes;
    expect(change).toMatchObject({
      type: 'update',
      object: { metadata: { name: made!.metadata.name, resourceVersion: '7' } },
    });
  });

  it('hold a thousand endpoints each, and go when they are not needed', () => {
    const pods = Array.from({ length: 1500 }, (_, i) => pod(`p${i}`, { ip: `10.42.${i >> 8}.${i & 255}` }));
    const slices = slicesAfter(snapshotOf(...pods), service());
    expect(slices.map(({ endpoints }) => endpoints?.length)).toEqual([1000, 500]);
    expect(new Set(slices.map(({ metadata }) => metadata.name)).size).toBe(2);
    const changes = reconcileEndpointSlices(snapshotOf(pod('a'), ...slices), service()).changes;
    expect(changes.map(({ type }) => type).sort()).toEqual(['remove', 'update']);
  });

  it('stay with one empty slice when no pod matches', () => {
    const [slice] = slicesAfter(snapshotOf(), service());
    expect(slice?.endpoints).toEqual([]);
  });

  it('are not made for a service without a selector, and those of others are left alone', () => {
    const { selector: _none, ...spec } = service().spec;
    const manual = { ...service(), spec };
    const byHand: EndpointSlice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
    };
    expect(reconcileEndpointSlices(snapshotOf(byHand), manual).changes).toEqual([]);
    expect(reconcileEndpointSlices(snapshotOf(byHand, pod('a')), service()).changes.map(({ type }) => type)).toEqual([
      'create',
    ]);
  });
});
