/** Kubernetes' rules, one line a case: schema and rules together, as people meet them. */
import { describe, expect, it } from 'vitest';
import { checkManifest } from '../../../../lib/model/check.ts';
import { withDefaults } from '../../../../lib/model/defaults.ts';
import { fromManifest, problemLine } from '../../../../lib/model/manifest.ts';
import { validate } from '../../../../lib/model/validation.ts';
import type { KubeObject, Pod } from '../../../../proto/gen/types.ts';

const linesOf = (value: unknown): string[] => checkManifest(value).problems.map(problemLine);

const container = (parts: object = {}): object => ({ name: 'c', image: 'i', ...parts });
const pod = (spec: object = {}, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', ...metadata },
  spec: { containers: [container()], ...spec },
});
const podWith = (parts: object, spec: object = {}): object => pod({ containers: [container(parts)], ...spec });
const deployment = (spec: object = {}, podSpec: object = {}): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd' },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [container()], ...podSpec } },
    ...spec,
  },
});
const service = (spec: object = {}, name = 's'): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { ports: [{ port: 80 }], ...spec },
});
const configMap = (parts: object): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'c' },
  ...parts,
});
const rolling = (rollingUpdate: object): object => deployment({ strategy: { rollingUpdate } });
const c0 = 'spec\\.containers\\[0\\]';
const line = (path: string, text: string): RegExp => new RegExp(`^${path}: .*${text}`);

describe('refused', () => {
  const cases: readonly (readonly [object, ...RegExp[]])[] = [
    // metadata
    [pod({}, { labels: { 'a b': 'x' } }), line('metadata\\.labels\\["a b"\\]', 'is not a key')],
    [pod({}, { labels: { a: '-x' } }), line('metadata\\.labels\\["a"\\]', 'is not a label value')],
    [pod({}, { annotations: { a: 'x'.repeat(300_000) } }), line('metadata\\.annotations', 'at most 262144')],
    [pod({}, { generateName: 'Big-', name: undefined }), line('metadata\\.generateName', 'cannot begin a name')],
    [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n', namespace: 'm' } },
      line('metadata\\.namespace', 'does not live in a namespace'),
    ],
    [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a.b' } }, line('metadata\\.name', 'is not a name')],
    [service({}, '1web'), line('metadata\\.name', 'beginning with a letter')],
    // containers
    [pod({ containers: [container(), container()] }), line('spec\\.containers\\[1\\]', 'container "c" is there twice')],
    [pod({ initContainers: [container()] }), line('spec\\.initContainers\\[0\\]\\.name', 'also in containers')],
    [
      pod({ initContainers: [container({ name: 'i', readinessProbe: { tcpSocket: { port: 1 } } })] }),
      line('spec\\.initContainers\\[0\\]\\.readinessProbe', 'runs to its end'),
    ],
    [podWith({ image: 'a b' }), line(`${c0}\\.image`, 'not an image name')],
    [podWith({ workingDir: 'x' }), line(`${c0}\\.workingDir`, 'must begin with "/"')],
    [podWith({ ports: [{ containerPort: 0 }] }), line(`${c0}\\.ports\\[0\\]\\.containerPort`, 'from 1 to 65535')],
    [podWith({ ports: [{ containerPort: 70_000 }] }), line(`${c0}\\.ports\\[0\\]\\.containerPort`, 'from 1 to 65535')],
    [podWith({ ports: [{ containerPort: 1, name: 'Web' }] }), line(`${c0}\\.ports\\[0\\]\\.name`, 'not a port name')],
    [podWith({ ports: [{ containerPort: 1 }, { containerPort: 1 }] }), line(`${c0}\\.ports\\[1\\]`, 'there twice')],
    [
      pod({
        containers: [
          container({ ports: [{ containerPort: 1, hostPort: 9 }] }),
          container({ name: 'd', ports: [{ containerPort: 2, hostPort: 9 }] }),
        ],
      }),
      line('spec\\.containers\\[1\\]\\.ports\\[0\\]', 'hostPort 9 is there twice'),
    ],
    [
      podWith({ ports: [{ containerPort: 1, hostPort: 2 }] }, { hostNetwork: true }),
      line(`${c0}\\.ports\\[0\\]\\.hostPort`, 'must equal containerPort'),
    ],
    [
      podWith({ ports: [{ containerPort: 70_000 }] }, { hostNetwork: true }),
      line(`${c0}\\.ports\\[0\\]\\.containerPort`, '70000 is not allowed'),
    ],
    // environment
    [podWith({ env: [{ name: '1A' }] }), line(`${c0}\\.env\\[0\\]\\.name`, 'not a variable name')],
    [podWith({ env: [{ name: 'A' }, { name: 'A' }] }), line(`${c0}\\.env\\[1\\]`, 'variable "A" is there twice')],
    [
      podWith({ env: [{ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] }),
      line(`${c0}\\.env\\[0\\]`, 'value and valueFrom'),
    ],
    [podWith({ env: [{ name: 'A', valueFrom: {} }] }), line(`${c0}\\.env\\[0\\]\\.valueFrom`, 'needs one of')],
    [
      podWith({ env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.foo' } } }] }),
      line(`${c0}\\.env\\[0\\]\\.valueFrom\\.fieldRef\\.fieldPath`, 'use one of metadata.name'),
    ],
    [
      podWith({ env: [{ name: 'A', valueFrom: { resourceFieldRef: { resource: 'limits.gpu' } } }] }),
      line(`${c0}\\.env\\[0\\]\\.valueFrom\\.resourceFieldRef\\.resource`, 'use one of limits.cpu'),
    ],
    [podWith({ envFrom: [{}] }), line(`${c0}\\.envFrom\\[0\\]`, 'needs one of configMapRef, secretRef')],
    // resources
    [
      podWith({ resources: { limits: { cpu: '1' }, requests: { cpu: '2' } } }),
      line(`${c0}\\.resources\\.requests\\["cpu"\\]`, '2 is more than the limit 1'),
    ],
    [
      podWith({ resources: { limits: { memory: '-1' } } }),
      line(`${c0}\\.resources\\.limits\\["memory"\\]`, 'negative'),
      line(`${c0}\\.resources\\.requests\\["memory"\\]`, 'negative'),
    ],
    [
      podWith({ resources: { requests: { 'nvidia.com/gpu': 1 } } }),
      line(`${c0}\\.resources\\.requests\\["nvidia.com/gpu"\\]`, 'does not know this resource'),
    ],
    // volumes
    [
      podWith({ volumeMounts: [{ name: 'v', mountPath: '/x' }] }),
      line(`${c0}\\.volumeMounts\\[0\\]\\.name`, 'no volume is called "v"'),
    ],
    [
      podWith({ volumeMounts: [{ name: 'v', mountPath: 'x' }] }, { volumes: [{ name: 'v' }] }),
      line(`${c0}\\.volumeMounts\\[0\\]\\.mountPath`, 'must begin with "/"'),
    ],
    [
      podWith({ volumeMounts: [{ name: 'v', mountPath: '/x', subPath: '../y' }] }, { volumes: [{ name: 'v' }] }),
      line(`${c0}\\.volumeMounts\\[0\\]\\.subPath`, 'must not contain "\\.\\."'),
    ],
    [
      podWith(
        {
          volumeMounts: [
            { name: 'v', mountPath: '/x' },
            { name: 'v', mountPath: '/x' },
          ],
        },
        { volumes: [{ name: 'v' }] },
      ),
      line(`${c0}\\.volumeMounts\\[1\\]`, 'there twice'),
    ],
    [pod({ volumes: [{ name: 'v' }, { name: 'v' }] }), line('spec\\.volumes\\[1\\]', 'volume "v" is there twice')],
    [
      pod({ volumes: [{ name: 'v', emptyDir: {}, hostPath: { path: '/x' } }] }),
      line('spec\\.volumes\\[0\\]', 'has emptyDir and hostPath'),
    ],
    [pod({ volumes: [{ name: 'v', configMap: {} }] }), line('spec\\.volumes\\[0\\]\\.configMap\\.name', 'required')],
    [
      pod({ volumes: [{ name: 'v', secret: { secretName: 's', defaultMode: 644 } }] }),
      line('spec\\.volumes\\[0\\]\\.secret\\.defaultMode', 'write 0644, or its decimal 420'),
    ],
    [pod({ volumes: [{ name: 'v', hostPath: { path: 'x/../y' } }] }), /must begin/, /must not contain/],
    // probes
    [podWith({ livenessProbe: {} }), line(`${c0}\\.livenessProbe`, 'needs one of exec, httpGet, tcpSocket')],
    [
      podWith({ livenessProbe: { exec: { command: ['x'] }, tcpSocket: { port: 1 } } }),
      line(`${c0}\\.livenessProbe`, 'has exec and tcpSocket'),
    ],
    [
      podWith({ livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 } }),
      line(`${c0}\\.livenessProbe\\.successThreshold`, 'must be 1'),
    ],
    [
      podWith({ readinessProbe: { tcpSocket: { port: 0 }, periodSeconds: 0 } }),
      line(`${c0}\\.readinessProbe\\.tcpSocket\\.port`, 'from 1'),
      line(`${c0}\\.readinessProbe\\.periodSeconds`, 'at least 1'),
    ],
    [
      podWith({ readinessProbe: { httpGet: { port: 'web' } } }),
      line(`${c0}\\.readinessProbe\\.httpGet\\.port`, 'no port of this container is called "web"'),
    ],
    [podWith({ lifecycle: { preStop: {} } }), line(`${c0}\\.lifecycle\\.preStop`, 'needs one of')],
    // the pod
    [
      deployment({}, { nodeName: 'n' }),
      /^not supported: spec\.template\.spec\.nodeName, because .*kubernetes\.io\/hostname: n/,
    ],
    [pod({ hostUsers: false, hostPID: true }), line('spec\\.hostUsers', 'cannot be false with hostPID')],
    [pod({ dnsPolicy: 'None' }), line('spec\\.dnsConfig\\.nameservers', 'required')],
    [pod({ tolerations: [{}] }), line('spec\\.tolerations\\[0\\]\\.operator', 'must be Exists')],
    [
      pod({ tolerations: [{ key: 'a', operator: 'Exists', value: 'x' }] }),
      line('spec\\.tolerations\\[0\\]\\.value', 'takes no value'),
    ],
    [
      pod({ tolerations: [{ key: 'a', effect: 'NoSchedule', tolerationSeconds: 1 }] }),
      line('spec\\.tolerations\\[0\\]\\.effect', 'must be NoExecute'),
    ],
    [pod({ terminationGracePeriodSeconds: -1 }), line('spec\\.terminationGracePeriodSeconds', 'at least 0')],
    [
      podWith({ securityContext: { runAsUser: 0, runAsNonRoot: true } }),
      line(`${c0}\\.securityContext\\.runAsUser`, '0 is root'),
    ],
    [
      podWith({ securityContext: { capabilities: { add: ['net_admin'] } } }),
      line(`${c0}\\.securityContext\\.capabilities\\.add\\[0\\]`, 'not a capability'),
    ],
    // workloads
    [deployment({ selector: {} }), line('spec\\.selector', 'selects nothing')],
    [
      deployment({ selector: { matchLabels: { a: 'c' } } }),
      line('spec\\.template\\.metadata\\.labels', 'does not match'),
    ],
    [
      deployment({ selector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }),
      line('spec\\.selector\\.matchExpressions\\[0\\]\\.values', 'required'),
      /does not match/,
    ],
    [deployment({}, { restartPolicy: 'Never' }), line('spec\\.template\\.spec\\.restartPolicy', 'always restart')],
    [deployment({ replicas: -1 }), line('spec\\.replicas', 'at least 0')],
    [deployment({ minReadySeconds: 700 }), line('spec\\.progressDeadlineSeconds', 'more than minReadySeconds')],
    [rolling({ maxSurge: 0, maxUnavailable: 0 }), line('spec\\.strategy\\.rollingUpdate', 'cannot both be 0')],
    [rolling({ maxSurge: 'x' }), line('spec\\.strategy\\.rollingUpdate\\.maxSurge', 'neither a number of pods')],
    [rolling({ maxUnavailable: '101%' }), line('spec\\.strategy\\.rollingUpdate\\.maxUnavailable', 'more than 100%')],
    [
      deployment({ strategy: { type: 'Recreate', rollingUpdate: { maxSurge: 1 } } }),
      line('spec\\.strategy\\.rollingUpdate', 'not allowed with type Recreate'),
    ],
    // services
    [service({ ports: [] }), line('spec\\.ports', 'required')],
    [
      service({ ports: [{ port: 80 }, { port: 81 }] }),
      line('spec\\.ports\\[0\\]\\.name', 'more than one port'),
      line('spec\\.ports\\[1\\]\\.name', 'more than one'),
    ],
    [
      service({
        ports: [
          { port: 80, name: 'a' },
          { port: 80, name: 'b' },
        ],
      }),
      line('spec\\.ports\\[1\\]', 'port "80/TCP" is there twice'),
    ],
    [
      service({ ports: [{ port: 80, nodePort: 30_000 }] }),
      line('spec\\.ports\\[0\\]\\.nodePort', 'only with type NodePort'),
    ],
    [
      service({ type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] }),
      line('spec\\.ports\\[0\\]\\.nodePort', 'from 30000 to 32767'),
    ],
    [service({ type: 'NodePort', clusterIP: 'None' }), line('spec\\.clusterIP', 'cannot be headless')],
    [service({ clusterIP: 'x' }), line('spec\\.clusterIP', 'neither None nor an IPv4')],
    [service({ type: 'ExternalName' }), line('spec\\.externalName', 'required')],
    // the rest
    [configMap({ data: { 'a/b': 'x' } }), line('data\\["a/b"\\]', 'is not a key')],
    [configMap({ data: { a: 'x' }, binaryData: { a: 'eA==' } }), line('binaryData\\["a"\\]', 'is also in data')],
    [configMap({ data: { a: 'x'.repeat(2 ** 20 + 1) } }), line('data', 'at most 1 MiB')],
    [
      deployment(
        {},
        { nodeSelector: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, 'v'.repeat(60)])) },
      ),
      /^the object has \d+ bytes; at most 1048576/,
    ],
    // schema and rules together
    [
      deployment({ replicas: 'x', selector: { matchLabels: { a: 'c' } } }),
      /^spec\.replicas: expected a number/,
      line('spec\\.template\\.metadata\\.labels', 'does not match'),
    ],
  ];
  it.each(cases.map((entry) => [JSON.stringify(entry[0]).slice(0, 150), entry] as const))(
    '%s',
    (_name, [value, ...patterns]) => {
      const lines = linesOf(value);
      expect(lines).toHaveLength(patterns.length);
      for (const [index, pattern] of patterns.entries()) expect(lines[index]).toMatch(pattern);
    },
  );
});

describe('accepted', () => {
  it.each([
    [
      podWith({
        env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app.kubernetes.io/name']" } } }],
      }),
    ],
    [podWith({ ports: [{ containerPort: 53, protocol: 'UDP' }, { containerPort: 53 }] })],
    [podWith({ ports: [{ containerPort: 80, name: 'http' }], readinessProbe: { httpGet: { port: 'http' } } })],
    [pod({ hostNetwork: true, tolerations: [{ operator: 'Exists' }] })],
    [deployment({ strategy: { type: 'Recreate' } })],
    [rolling({ maxSurge: '50%', maxUnavailable: 0 })],
    [service({ clusterIP: 'None', ports: [] })],
    [service({ type: 'ExternalName', externalName: 'example.org', ports: [] })],
    [
      service({
        ports: [
          { port: 53, name: 'a' },
          { port: 53, protocol: 'UDP', name: 'b' },
        ],
      }),
    ],
    [
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'e' },
        addressType: 'IPv4',
        endpoints: [{ addresses: ['10.0.0.1'] }],
        ports: [{ port: 80 }],
      },
    ],
  ])('%j', (value) => {
    expect(linesOf(value)).toEqual([]);
  });
});

describe('changes', () => {
  const read = (value: unknown): KubeObject => withDefaults(fromManifest(value).object!);
  const changeLines = (before: object, after: object): string[] => validate(read(after), read(before)).map(problemLine);
  const bound = (object: KubeObject): KubeObject =>
    ({ ...object, spec: { ...(object as Pod).spec, nodeName: 'n' } }) as KubeObject;

  it.each([
    [pod(), pod({ nodeSelector: { a: 'b' } }), [/^spec\.nodeSelector: cannot change/]],
    [podWith({ args: ['a'] }), podWith({ args: ['b'] }), [/^spec\.containers\[0\]\.args\[0\]: cannot change/]],
    [podWith({ image: 'i' }), podWith({ image: 'i:2' }), []],
    [podWith({ image: 'i:1' }), podWith({ image: 'i:2' }), []],
    [pod(), pod({ tolerations: [{ operator: 'Exists' }] }), []],
    [pod({ tolerations: [{ operator: 'Exists' }] }), pod(), [/^spec\.tolerations: cannot change/]],
    [deployment(), deployment({ replicas: 3 }), []],
    [service({ clusterIP: '10.43.0.5' }), service({ clusterIP: '10.43.0.6' }), [/^spec\.clusterIP: never changes/]],
    [
      configMap({ immutable: true, data: { a: '1' } }),
      configMap({ data: { a: '2' } }),
      [/^data: cannot change/, /^immutable: cannot be taken back/],
    ],
    [
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, type: 'x' },
      [/^type: never changes/],
    ],
  ] as const)('%j to %j', (before, after, patterns) => {
    const lines = changeLines(before, after);
    expect(lines).toHaveLength(patterns.length);
    for (const [index, pattern] of patterns.entries()) expect(lines[index]).toMatch(pattern);
  });

  it('lets no client choose the node of a new pod', () => {
    expect(checkManifest(pod({ nodeName: 'n' })).problems).toEqual([]);
    expect(validate(bound(read(pod()))).map(problemLine)).toEqual([
      expect.stringMatching(/^not supported: spec\.nodeName/),
    ]);
  });

  it('keeps the node of a bound pod', () => {
    expect(validate(bound(read(pod())), bound(read(pod())))).toEqual([]);
    expect(validate(read(pod()), bound(read(pod()))).map(problemLine)).toEqual([
      expect.stringMatching(/^spec\.nodeName: cannot change/),
    ]);
  });
});
