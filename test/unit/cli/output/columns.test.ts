/** Golden tables of `ctl get`, and the words of a pod's STATUS. */
import { describe, expect, it } from 'vitest';
import { objectTable, type TableOptions } from '../../../../cli/output/objects.ts';
import { podState, restarts } from '../../../../cli/output/pod-state.ts';
import type {
  ContainerStatus,
  EndpointSlice,
  KubeObject,
  Pod,
  ReplicaSet,
  Service,
} from '../../../../proto/gen/types.ts';
import { at, deployment, epochMs, eventAbout, node, pendingPod, runningPod } from '../objects.ts';

const options: TableOptions = {
  wide: false,
  headers: true,
  showNamespace: false,
  showLabels: false,
  showKind: false,
  nowMs: epochMs + 100_000,
};
const wide = { ...options, wide: true };

function table(objects: readonly KubeObject[], given: TableOptions = options): string[] {
  return objectTable(objects[0]!.kind, objects, given).trimEnd().split('\n');
}

describe('ctl get', () => {
  it('pods', () => {
    expect(table([runningPod, pendingPod])).toEqual([
      'NAME      READY   STATUS    RESTARTS      AGE',
      'web-abc   1/1     Running   2 (50s ago)   100s',
      'big       0/1     Pending   0             100s',
    ]);
  });

  it('pods of a lost node, which its agent had said were ready', () => {
    const taken = { type: 'Ready', status: 'False' as const, reason: 'NodeNotReady', message: 'Node node-1 is lost' };
    const lost: Pod = { ...runningPod, status: { ...runningPod.status, conditions: [taken] } };
    expect(table([lost])[1]).toMatch(/^web-abc +0\/1 +Running /);
    const probing = { ...taken, reason: 'ContainersNotReady' };
    expect(table([{ ...lost, status: { ...lost.status, conditions: [probing] } }])[1]).toMatch(/^web-abc +1\/1 /);
    expect(table([{ ...lost, metadata: { ...lost.metadata, deletionTimestamp: at(0) } }])[1]).toMatch(
      /^web-abc +0\/1 +Terminating /,
    );
  });

  it('pods -o wide, -A, --show-labels', () => {
    expect(table([runningPod], { ...wide, showNamespace: true, showLabels: true })).toEqual([
      'NAMESPACE   NAME      READY   STATUS    RESTARTS      AGE    IP          NODE     LABELS',
      'default     web-abc   1/1     Running   2 (50s ago)   100s   10.42.0.2   node-1   app=web,pod-template-hash=abc',
    ]);
  });

  it('nodes', () => {
    expect(table([node])).toEqual([
      'NAME     STATUS                     ROLES    AGE    VERSION',
      'node-1   Ready,SchedulingDisabled   <none>   100s   gantry-0.1.0',
    ]);
  });

  it('nodes that somebody has declared out of service', () => {
    const taints = [{ key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' as const }];
    expect(table([{ ...node, spec: { taints } }])[1]).toMatch(/^node-1 +Ready,OutOfService /);
  });

  it('deployments, with the kind when there are several', () => {
    expect(table([deployment])).toEqual([
      'NAME   READY   UP-TO-DATE   AVAILABLE   AGE',
      'web    3/3     3            3           100s',
    ]);
    expect(table([deployment], { ...options, showKind: true, headers: false })).toEqual([
      'deployment.apps/web   3/3   3   3   100s',
    ]);
  });

  it('replicasets -o wide', () => {
    const replicaSet: ReplicaSet = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: 'web-1', namespace: 'default', creationTimestamp: at(0) },
      spec: { ...deployment.spec, replicas: 2 },
      status: { replicas: 2, readyReplicas: 1 },
    };
    expect(table([replicaSet], wide)).toEqual([
      'NAME    DESIRED   CURRENT   READY   AGE    CONTAINERS   IMAGES    SELECTOR',
      'web-1   2         2         1       100s   web          nginx:1   app=web',
    ]);
  });

  it('services and endpoints', () => {
    const service: Service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'default', creationTimestamp: at(0) },
      spec: {
        type: 'NodePort',
        clusterIP: '10.43.0.5',
        selector: { app: 'web' },
        ports: [
          { port: 80, nodePort: 30_080, protocol: 'TCP' },
          { port: 53, protocol: 'UDP' },
        ],
      },
    };
    expect(table([service], wide)).toEqual([
      'NAME   TYPE       CLUSTER-IP   EXTERNAL-IP   PORT(S)               AGE    SELECTOR',
      'web    NodePort   10.43.0.5    <none>        80:30080/TCP,53/UDP   100s   app=web',
    ]);
    const address = (n: number, ready: boolean) => ({ addresses: [`10.42.0.${n}`], conditions: { ready } });
    const slice: EndpointSlice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-x1', labels: { 'kubernetes.io/service-name': 'web' }, creationTimestamp: at(0) },
      addressType: 'IPv4',
      endpoints: [address(2, true), address(3, false), address(4, true), address(5, true), address(6, true)],
      ports: [{ port: 80 }],
    };
    expect(table([slice])).toEqual([
      'NAME   ENDPOINTS                                            AGE',
      'web    10.42.0.2:80,10.42.0.4:80,10.42.0.5:80 + 1 more...   100s',
    ]);
    expect(table([{ ...slice, endpoints: [address(3, false)] }])[1]).toBe('web    <none>      100s');
  });

  it('events', () => {
    const event = eventAbout(runningPod, { reason: 'Started', message: 'Started container web' });
    expect(table([event])).toEqual([
      'LAST SEEN   TYPE     REASON    OBJECT        MESSAGE',
      '10s         Normal   Started   pod/web-abc   Started container web',
    ]);
  });
});

describe("a pod's STATUS", () => {
  const withStatus = (status: Partial<NonNullable<Pod['status']>>, parts: Partial<Pod> = {}): Pod => ({
    ...runningPod,
    ...parts,
    status: { ...runningPod.status, containerStatuses: [], conditions: [], ...status },
  });
  const container = (state: NonNullable<ContainerStatus['state']>, ready = false): ContainerStatus => ({
    name: 'web',
    ready,
    state,
  });
  const twoInits = {
    spec: {
      ...runningPod.spec,
      initContainers: [
        { name: 'a', image: 'x' },
        { name: 'b', image: 'x' },
      ],
    },
  };

  it.each<[string, Pod]>([
    ['Running', withStatus({ containerStatuses: [container({ running: {} }, true)] })],
    ['Completed', withStatus({ containerStatuses: [container({ terminated: { exitCode: 0, reason: 'Completed' } })] })],
    ['Error', withStatus({ containerStatuses: [container({ terminated: { exitCode: 1, reason: 'Error' } })] })],
    ['ExitCode:3', withStatus({ containerStatuses: [container({ terminated: { exitCode: 3 } })] })],
    ['Signal:9', withStatus({ containerStatuses: [container({ terminated: { exitCode: 137, signal: 9 } })] })],
    ['CrashLoopBackOff', withStatus({ containerStatuses: [container({ waiting: { reason: 'CrashLoopBackOff' } })] })],
    ['Evicted', withStatus({ phase: 'Failed', reason: 'Evicted' })],
    [
      'Init:0/2',
      withStatus({ initContainerStatuses: [container({ running: {} }), container({ waiting: {} })] }, twoInits),
    ],
    [
      'Init:1/2',
      withStatus(
        { initContainerStatuses: [container({ terminated: { exitCode: 0 } }), container({ running: {} })] },
        twoInits,
      ),
    ],
    [
      'Init:Error',
      withStatus({ initContainerStatuses: [container({ terminated: { exitCode: 1, reason: 'Error' } })] }),
    ],
    [
      'NotReady',
      withStatus({
        containerStatuses: [
          container({ running: {} }, true),
          container({ terminated: { exitCode: 0, reason: 'Completed' } }),
        ],
      }),
    ],
    ['Terminating', { ...runningPod, metadata: { ...runningPod.metadata, deletionTimestamp: at(3) } }],
  ])('%s', (word, pod) => {
    expect(podState(pod)).toBe(word);
  });

  it('counts restarts with the last end', () => {
    expect(restarts(runningPod, epochMs + 3_650_000)).toBe('2 (60m ago)');
    expect(restarts(pendingPod, epochMs)).toBe('0');
  });
});
