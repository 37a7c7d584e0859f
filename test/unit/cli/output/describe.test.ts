/** Golden descriptions. */
import { describe, expect, it } from 'vitest';
import { alignTabs } from '../../../../cli/output/align.ts';
import { configMapLines, secretLines } from '../../../../cli/output/describe/data.ts';
import { eventLines, eventsOf } from '../../../../cli/output/describe/events.ts';
import { serviceLines } from '../../../../cli/output/describe/network.ts';
import { bytesText, nodeLines, podAmounts } from '../../../../cli/output/describe/node.ts';
import { podLines } from '../../../../cli/output/describe/pod.ts';
import { deploymentLines } from '../../../../cli/output/describe/workload.ts';
import type { Event, ReplicaSet, Secret, Service } from '../../../../proto/gen/types.ts';
import { at, deployment, epochMs, eventAbout, node, pendingPod, runningPod } from '../objects.ts';

const nowMs = epochMs + 100_000;

describe('ctl describe', () => {
  it('pod', () => {
    expect(alignTabs(podLines(runningPod, nowMs))).toBe(`Name:         web-abc
Namespace:    default
Node:         node-1/10.88.0.11
Start Time:   Thu, 01 Jan 2026 00:00:01 +0000
Labels:       app=web
              pod-template-hash=abc
Annotations:  gantry.dev/x: y
              note: hello
Status:       Running
IP:           10.42.0.2
IPs:
  IP:           10.42.0.2
Controlled By:  ReplicaSet/web-rs
Containers:
  web:
    Container ID:  runc://abc
    Image:         nginx:1
    Image ID:      sha256:123
    Port:          80/TCP
    Host Port:     0/TCP
    Command:
      nginx
      -g
      daemon off;
    State:          Running
      Started:      Thu, 01 Jan 2026 00:01:00 +0000
    Last State:     Terminated
      Reason:       OOMKilled
      Exit Code:    137
      Signal:       9
      Started:      Thu, 01 Jan 2026 00:00:02 +0000
      Finished:     Thu, 01 Jan 2026 00:00:50 +0000
    Ready:          True
    Restart Count:  2
    Limits:
      memory:  64Mi
    Requests:
      cpu:     10m
      memory:  16Mi
    Liveness:  http-get http://:http/healthz delay=0s timeout=1s period=5s #success=1 #failure=3
    Environment:
      PLAIN:     one
      POD_IP:    10.42.0.2 (v1:status.podIP)
      PASSWORD:  <set to the key 'password' in secret 'pw'>  Optional: false
    Mounts:
      /etc/conf from conf (ro)
Conditions:
  Type          Status
  PodScheduled  True
  Ready         True
Volumes:
  conf:
    Type:        ConfigMap (a volume populated by a ConfigMap)
    Name:        web-conf
    Optional:    false
QoS Class:       Burstable
Node-Selectors:  disk=ssd
Tolerations:     spot:NoExecute op=Exists for 30s
`);
  });

  it('a pending pod says why', () => {
    const text = alignTabs(podLines(pendingPod, nowMs));
    expect(text).toContain('Node:         <none>\n');
    expect(text).toContain('Status:       Pending\n');
    expect(text).toContain('Reason:       Unschedulable\n');
    expect(text).toContain('Message:      0/3 nodes fit: 2 insufficient memory, 1 cordoned\n');
  });

  it('a pod of a lost node says that it is lost', () => {
    const conditions = [
      { type: 'Ready', status: 'False', reason: 'NodeNotReady', message: 'Node node-1 is lost' } as const,
    ];
    const text = alignTabs(podLines({ ...runningPod, status: { ...runningPod.status, conditions } }, nowMs));
    expect(text).toMatch(/\nStatus: +Running\nReason: +NodeNotReady\nMessage: +Node node-1 is lost\n/);
  });

  it('a pod on its way out', () => {
    const metadata = { ...runningPod.metadata, deletionTimestamp: at(90), deletionGracePeriodSeconds: 30 };
    const text = alignTabs(podLines({ ...runningPod, metadata }, nowMs));
    expect(text).toMatch(/^Status: +Terminating \(lasts 10s\)$/m);
    expect(text).toMatch(/^Termination Grace Period: +30s$/m);
  });

  it('a waiting container says why', () => {
    const waiting = { reason: 'ImagePullBackOff', message: 'not found\nin the registry' };
    const status = { ...runningPod.status, containerStatuses: [{ name: 'web', state: { waiting } }] };
    const text = alignTabs(podLines({ ...runningPod, status }, nowMs));
    expect(text).toContain('    State:          Waiting\n      Reason:       ImagePullBackOff\n');
    expect(text).toContain('      Message:      not found in the registry\n');
  });

  it('deployment', () => {
    const replicaSet: ReplicaSet = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: 'web-new',
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'uid-web', controller: true }],
      },
      spec: {
        ...deployment.spec,
        template: {
          ...deployment.spec.template,
          metadata: { labels: { app: 'web', 'pod-template-hash': 'new' } },
        },
      },
      status: { replicas: 3 },
    };
    const other = {
      ...replicaSet,
      metadata: { ...replicaSet.metadata, name: 'web-old' },
      spec: {
        ...replicaSet.spec,
        replicas: 1,
        template: { spec: { containers: [{ name: 'web', image: 'nginx:0' }] } },
      },
      status: { replicas: 1 },
    };
    const status = {
      ...deployment.status,
      unavailableReplicas: 1,
      conditions: [
        {
          type: 'Progressing',
          status: 'False' as const,
          reason: 'ProgressDeadlineExceeded',
          message: 'ReplicaSet "web-new" has timed out progressing',
        },
      ],
    };
    expect(alignTabs(deploymentLines({ ...deployment, status }, [other, replicaSet]))).toBe(`Name:                   web
Namespace:              default
CreationTimestamp:      Thu, 01 Jan 2026 00:00:00 +0000
Labels:                 <none>
Annotations:            <none>
Selector:               app=web
Replicas:               3 desired | 3 updated | 3 total | 3 available | 1 unavailable
StrategyType:           RollingUpdate
MinReadySeconds:        0
RollingUpdateStrategy:  25% max unavailable, 25% max surge
Pod Template:
  Labels:  app=web
  Containers:
   web:
    Image:         nginx:1
    Port:          <none>
    Host Port:     <none>
    Environment:   <none>
    Mounts:        <none>
  Volumes:         <none>
  Node-Selectors:  <none>
  Tolerations:     <none>
Conditions:
  Type           Status  Reason
  ----           ------  ------
  Progressing    False   ProgressDeadlineExceeded
Message:         ReplicaSet "web-new" has timed out progressing
OldReplicaSets:  web-old (1/1 replicas created)
NewReplicaSet:   web-new (3/3 replicas created)
`);
  });

  it('node, with what its pods ask for', () => {
    const finished = { ...runningPod, status: { phase: 'Succeeded' as const } };
    const elsewhere = { ...runningPod, spec: { ...runningPod.spec, nodeName: 'node-2' } };
    const text = alignTabs(nodeLines(node, [runningPod, finished, elsewhere], nowMs));
    expect(text).toContain(`Taints:             a=b:NoSchedule
Unschedulable:      true
Conditions:
  Type   Status  LastTransitionTime               Reason        Message
  ----   ------  ------------------               ------        -------
  Ready  True    Thu, 01 Jan 2026 00:00:05 +0000  KubeletReady  in session
`);
    expect(text).toContain('Non-terminated Pods:          (1 in total)\n');
    expect(text).toMatch(/ {2}default +web-abc +10m \(0%\) +0 \(0%\) +16Mi \(0%\) +64Mi \(3%\) +100s\n/);
    expect(text).toContain('  cpu       10m (0%)   0 (0%)\n  memory    16Mi (0%)  64Mi (3%)\n');
  });

  it('node that was declared out of service names the way back, once it is back', () => {
    const taints = [{ key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' as const }];
    const declared = { ...node, spec: { taints } };
    expect(nodeLines(node, [], nowMs).join('\n')).not.toContain('Out Of Service');
    expect(nodeLines(declared, [], nowMs)).toContain(
      'Out Of Service:\tit is back, and was declared out of service; withdraw that with: ctl node in-service node-1',
    );
    const lost = { ...declared, status: { conditions: [{ type: 'Ready', status: 'Unknown' as const }] } };
    expect(nodeLines(lost, [], nowMs)).toContain('Out Of Service:\ttrue');
  });

  it('counts the largest init container against all containers together', () => {
    const container = (name: string, cpu: string) => ({ name, image: 'x', resources: { requests: { cpu } } });
    const spec = {
      containers: [container('a', '100m'), container('b', '200m')],
      initContainers: [container('i', '1')],
    };
    expect(podAmounts({ ...pendingPod, spec }, 'cpu')).toEqual({ requests: 1000, limits: 0 });
  });

  it.each([
    [0, '0'],
    [1023, '1023'],
    [65_536, '64Ki'],
    [2 ** 31, '2Gi'],
    [1536 * 1024 * 1024, '1536Mi'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(bytesText(bytes)).toBe(text);
  });

  it('service', () => {
    const service: Service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        type: 'NodePort',
        clusterIP: '10.43.0.5',
        selector: { app: 'web' },
        ports: [{ name: 'http', port: 80, targetPort: '8080', nodePort: 30_080, protocol: 'TCP' }],
      },
    };
    const slice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.42.0.2'] }],
      ports: [
        { name: 'http', port: 8080 },
        { name: 'other', port: 9 },
      ],
    } as const;
    const lines = alignTabs(serviceLines(service, [structuredClone(slice) as never]));
    expect(lines).toContain('Port:              http  80/TCP\n');
    expect(lines).toContain('TargetPort:        8080/TCP\nNodePort:          http  30080/TCP\n');
    expect(lines).toContain('Endpoints:         10.42.0.2:8080\n');
  });

  it("never shows a secret's values", () => {
    const secret: Secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'pw' },
      data: { password: Buffer.from('hunter2').toString('base64') as never },
    };
    const text = alignTabs(secretLines(secret));
    expect(text).toContain('password:  7 bytes\n');
    expect(text).not.toContain('hunter2');
    expect(text).not.toContain(Buffer.from('hunter2').toString('base64'));
  });

  it('configmap', () => {
    const text = alignTabs(
      configMapLines({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { 'a.conf': 'x\ty\nz' } }),
    );
    expect(text).toContain('Data\n====\na.conf:\n----\nx        y\nz\n\n');
  });
});

describe('events of a description', () => {
  const about = (parts: Partial<Event>): Event => eventAbout(runningPod, parts);

  it('are in order, with repetitions counted', () => {
    const first = about({ reason: 'Pulling', message: 'Pulling image', lastTimestamp: at(60) });
    const repeated = about({
      reason: 'BackOff',
      message: 'Back-off\nrestarting',
      type: 'Warning',
      count: 3,
      firstTimestamp: at(70),
    });
    expect(alignTabs(eventLines(eventsOf(runningPod, [repeated, first]), nowMs))).toBe(`Events:
  Type     Reason   Age                From        Message
  ----     ------   ---                ----        -------
  Normal   Pulling  40s                node-agent  Pulling image
  Warning  BackOff  10s (x3 over 30s)  node-agent  Back-off restarting
`);
  });

  it('are of this object alone, not of one that had its name', () => {
    const other = about({ involvedObject: { kind: 'Pod', name: 'web-abc', uid: 'uid-before' } });
    const elsewhere = about({ involvedObject: { kind: 'Pod', name: 'web-abc', namespace: 'other' } });
    const node_ = about({ involvedObject: { kind: 'Node', name: 'web-abc' } });
    expect(eventsOf(runningPod, [other, elsewhere, node_])).toEqual([]);
    expect(eventLines([], nowMs)).toEqual(['Events:\t<none>']);
  });

  it('of one second come in the order in which they happened, whoever wrote them together', () => {
    const event = (name: string, eventTime: string, more: Partial<Event> = {}): Event =>
      about({ metadata: { name, resourceVersion: '9' }, eventTime, ...more });
    const [started, created] = [event('a', '2026-01-01T00:00:00.900Z'), event('b', '2026-01-01T00:00:00.100Z')];
    expect(eventsOf(runningPod, [started, created]).map(({ metadata }) => metadata.name)).toEqual(['b', 'a']);
    // Of one that was seen again the newest time has whole seconds only.
    const again = event('c', '2025-12-31T00:00:00.000Z', { count: 2, metadata: { name: 'c', resourceVersion: '10' } });
    expect(eventsOf(runningPod, [again, started]).map(({ metadata }) => metadata.name)).toEqual(['a', 'c']);
  });

  it('of one second come in the order of writing', () => {
    const event = (name: string, resourceVersion: string): Event => about({ metadata: { name, resourceVersion } });
    const sorted = eventsOf(runningPod, [event('b', '10'), event('a', '9')]);
    expect(sorted.map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
  });
});
