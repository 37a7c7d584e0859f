/** Nodes and pods for scheduler tests and benches. */
import type { Node, Pod } from '../../../../proto/gen/types.ts';

export interface NodeShape {
  readonly cpu?: string;
  readonly memory?: string;
  readonly pods?: string;
  readonly ready?: boolean;
  readonly spec?: Partial<Node['spec']>;
  readonly labels?: Record<string, string>;
}

export function node(name: string, shape: NodeShape = {}): Node {
  const { cpu = '4', memory = '8Gi', pods = '110', ready = true, spec = {}, labels = {} } = shape;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: `uid-${name}`, labels, resourceVersion: '1' },
    spec: { podCIDR: '10.42.0.0/24', ...spec },
    status: {
      allocatable: { cpu, memory, pods },
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }],
      addresses: [{ type: 'InternalIP', address: '10.88.0.11' }],
    },
  };
}

export interface PodShape {
  readonly cpu?: string;
  readonly memory?: string;
  readonly owner?: string;
  readonly spec?: Partial<Pod['spec']>;
  readonly created?: string;
}

export function pod(name: string, shape: PodShape = {}): Pod {
  const { cpu, memory, owner, spec = {}, created = '2026-01-01T00:00:00Z' } = shape;
  const requests = { ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }) };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '1',
      creationTimestamp: created,
      ...(owner !== undefined && {
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }],
      }),
    },
    spec: { containers: [{ name: 'main', image: 'busybox:1', resources: { requests } }], ...spec },
    status: { phase: 'Pending' },
  };
}
