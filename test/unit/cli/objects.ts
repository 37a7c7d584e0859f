/** Objects as a cluster would hold them, for what ctl prints. */
import type { Deployment, Event, Node, Pod } from '../../../proto/gen/types.ts';

/** 2026-01-01T00:00:00Z */
export const epochMs = 1_767_225_600_000;

/** RFC 3339, so many seconds after the epoch. */
export function at(seconds: number): string {
  return new Date(epochMs + seconds * 1000).toISOString().replace('.000Z', 'Z');
}

export const runningPod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'web-abc',
    namespace: 'default',
    uid: 'uid-web-abc',
    creationTimestamp: at(0),
    labels: { app: 'web', 'pod-template-hash': 'abc' },
    annotations: { note: 'hello', 'gantry.dev/x': 'y' },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-rs', uid: 'uid-rs', controller: true }],
  },
  spec: {
    nodeName: 'node-1',
    containers: [
      {
        name: 'web',
        image: 'nginx:1',
        command: ['nginx', '-g', 'daemon off;'],
        ports: [{ containerPort: 80, protocol: 'TCP' }],
        env: [
          { name: 'PLAIN', value: 'one' },
          { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
          { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'pw', key: 'password' } } },
        ],
        resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { memory: '64Mi' } },
        livenessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 5 },
        volumeMounts: [{ name: 'conf', mountPath: '/etc/conf', readOnly: true }],
      },
    ],
    volumes: [{ name: 'conf', configMap: { name: 'web-conf' } }],
    nodeSelector: { disk: 'ssd' },
    tolerations: [{ key: 'spot', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30 }],
  },
  status: {
    phase: 'Running',
    hostIP: '10.88.0.11',
    podIP: '10.42.0.2',
    podIPs: [{ ip: '10.42.0.2' }],
    startTime: at(1),
    qosClass: 'Burstable',
    conditions: [
      { type: 'PodScheduled', status: 'True' },
      { type: 'Ready', status: 'True' },
    ],
    containerStatuses: [
      {
        name: 'web',
        ready: true,
        restartCount: 2,
        image: 'nginx:1',
        imageID: 'sha256:123',
        containerID: 'runc://abc',
        state: { running: { startedAt: at(60) } },
        lastState: {
          terminated: { exitCode: 137, signal: 9, reason: 'OOMKilled', startedAt: at(2), finishedAt: at(50) },
        },
      },
    ],
  },
};

export const pendingPod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'big', namespace: 'default', uid: 'uid-big', creationTimestamp: at(0) },
  spec: { containers: [{ name: 'main', image: 'busybox:1' }] },
  status: {
    phase: 'Pending',
    conditions: [
      {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message: '0/3 nodes fit: 2 insufficient memory, 1 cordoned',
      },
    ],
  },
};

export const node: Node = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'node-1', uid: 'uid-node-1', creationTimestamp: at(0), labels: { disk: 'ssd' } },
  spec: { podCIDR: '10.42.0.0/24', unschedulable: true, taints: [{ key: 'a', value: 'b', effect: 'NoSchedule' }] },
  status: {
    capacity: { cpu: '2', memory: '4Gi' },
    allocatable: { cpu: '2', memory: '2Gi' },
    conditions: [
      { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'in session', lastTransitionTime: at(5) },
    ],
    addresses: [{ type: 'InternalIP', address: '10.88.0.11' }],
    nodeInfo: { kubeletVersion: 'gantry-0.1.0', architecture: 'amd64' },
  },
};

export const deployment: Deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default', uid: 'uid-web', creationTimestamp: at(0), generation: 2 },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'web', image: 'nginx:1' }] },
    },
  },
  status: { observedGeneration: 2, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3 },
};

export function eventAbout(
  object: { kind: string; metadata: { name: string; uid?: string } },
  parts: Partial<Event>,
): Event {
  const { kind, metadata } = object;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${metadata.name}.1`, namespace: 'default', resourceVersion: '1' },
    involvedObject: { kind, name: metadata.name, ...(metadata.uid !== undefined && { uid: metadata.uid }) },
    type: 'Normal',
    source: { component: 'node-agent' },
    lastTimestamp: at(90),
    firstTimestamp: at(90),
    count: 1,
    ...parts,
  };
}
