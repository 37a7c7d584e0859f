/** What manifests may say: one line a case, the problem as people read it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkManifest } from '../../../../lib/model/check.ts';
import { fromManifest, problemLine, toManifest } from '../../../../lib/model/manifest.ts';

const pod = (spec: object = {}, container: object = {}, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', ...metadata },
  spec: { containers: [{ name: 'c', image: 'i', ...container }], ...spec },
});
const service = (spec: object): object => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec });
const deployment = (spec: object = {}, podSpec: object = {}): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd' },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }], ...podSpec } },
    ...spec,
  },
});

const linesOf = (value: unknown): string[] => fromManifest(value).problems.map(problemLine);

describe('a manifest is refused', () => {
  const cases: readonly (readonly [unknown, ...RegExp[]])[] = [
    [null, /^expected an object with apiVersion, kind and metadata, got nothing$/],
    ['text', /got the string "text"$/],
    [[], /got a list$/],
    [{}, /^kind: required; for example kind: Deployment$/],
    [{ kind: 3 }, /^kind: expected a string, got the number 3/],
    [{ kind: 'pod' }, /^kind: unknown kind "pod"; did you mean Pod\?$/],
    [{ kind: 'Deploymnet' }, /did you mean Deployment\?$/],
    [{ kind: 'Zebra' }, /Gantry has Namespace, Node, Pod/],
    [{ kind: 'Ingress', apiVersion: 'networking.k8s.io/v1' }, /^not supported: kind Ingress, because .* NodePort$/],
    [{ kind: 'Pod' }, /^apiVersion: required; write apiVersion: v1$/],
    [
      { ...deployment(), apiVersion: 'extensions/v1beta1' },
      /^apiVersion: Deployment is in apps\/v1, not in "extensions\/v1beta1"; write apiVersion: apps\/v1$/,
    ],
    [{ apiVersion: 'v1', kind: 'Pod' }, /^metadata: required$/, /^spec: required$/],
    [pod({}, {}, { name: undefined }), /^metadata\.name: required$/],
    [pod({}, {}, { name: 'Web_1' }), /^metadata\.name: "Web_1" is not a name/],
    [
      pod({}, {}, { labels: { a: 1 } }),
      /^metadata\.labels\["a"\]: expected a string, got the number 1; put it in quotes$/,
    ],
    [pod({}, {}, { labels: ['a'] }), /^metadata\.labels: expected an object of names and values, got a list$/],
    [pod({}, {}, { labels: JSON.parse('{"__proto__":"x"}') }), /this name is reserved/],
    [pod({ containers: 'x' }), /^spec\.containers: expected a list, got the string "x"$/],
    [pod({ containers: [] }), /^spec\.containers: required$/],
    [pod({ containers: [null] }), /^spec\.containers\[0\]: expected an object, got nothing$/],
    [pod({ constructor: 'x' }), /^spec\.constructor: unknown field/],
    [pod({ restartPolicy: 'Alwayss' }), /^spec\.restartPolicy: "Alwayss" is not allowed; did you mean Always\?$/],
    [pod({ terminationGracePeriodSeconds: '30' }), /expected a number, got the string "30"; remove the quotes$/],
    [
      pod({ terminationGracePeriodSeconds: 1.5 }),
      /^spec\.terminationGracePeriodSeconds: expected a whole number, got 1\.5$/,
    ],
    [pod({ hostNetwork: 'yes' }), /^spec\.hostNetwork: expected true or false, got the string "yes"$/],
    [pod({}, { imagee: 'x' }), /^spec\.containers\[0\]\.imagee: unknown field; did you mean image\?$/],
    [
      pod({}, { env: [{ name: 'A', value: 8080 }] }),
      /^spec\.containers\[0\]\.env\[0\]\.value: expected a string, got the number 8080; put it in quotes$/,
    ],
    [pod({}, { env: [{ name: 'A', value: true }] }), /got the boolean true; put it in quotes$/],
    [
      pod({}, { resources: { limits: { memory: '12Q' } } }),
      /^spec\.containers\[0\]\.resources\.limits\["memory"\]: "12Q" is not a quantity/,
    ],
    [
      pod({}, { ports: [{ containerPort: 2 ** 31 }] }),
      /^spec\.containers\[0\]\.ports\[0\]\.containerPort: 2147483648 is out of range/,
    ],
    [pod({ hostAliases: [{ ip: '300.1.1.1' }] }), /^spec\.hostAliases\[0\]\.ip: "300\.1\.1\.1" is not an IP address/],
    [deployment({ replicas: 'three' }), /^spec\.replicas: expected a number, got the string "three"$/],
    [
      service({ ports: [{ port: 80, targetPort: 8.5 }] }),
      /^spec\.ports\[0\]\.targetPort: expected a string, got the number 8\.5/,
    ],
    [
      service({ ports: [{ port: 80 }], type: 'LoadBalancer' }),
      /^not supported: spec\.type: LoadBalancer, because .*; use type NodePort/,
    ],
    [
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { a: 'not base64!' } },
      /^data\["a"\]: not base64 text/,
    ],
    [pod({ runtimeClassName: 'high' }), /^not supported: spec\.runtimeClassName, because .*; remove it/],
    [pod({ serviceAccountName: 'robot' }), /^not supported: spec\.serviceAccountName, because .*; remove it$/],
    [pod({ volumes: [{ name: 'v', nfs: { server: 'c' } }] }), /^not supported: spec\.volumes\[0\]\.nfs, because/],
    [
      pod({}, { livenessProbe: { grpc: { port: 1 } } }),
      /^not supported: spec\.containers\[0\]\.livenessProbe\.grpc, because .*; use httpGet/,
    ],
    [
      deployment({ replicas: 'x', templat: {} }),
      /^spec\.replicas: /,
      /^spec\.templat: unknown field; did you mean template\?$/,
    ],
  ];
  it.each(cases)('%j', (value, ...rest) => {
    const patterns = rest as RegExp[];
    const lines = linesOf(value);
    expect(lines).toHaveLength(patterns.length);
    for (const [index, pattern] of patterns.entries()) expect(lines[index]).toMatch(pattern);
    expect(fromManifest(value).object).toBeUndefined();
  });
});

describe('a manifest is accepted', () => {
  const cases: readonly (readonly [string, unknown, object])[] = [
    ['null and empty collections as absent', pod({ nodeSelector: {}, tolerations: null }, { args: [] }), pod()],
    [
      'numbers as quantities',
      pod({}, { resources: { limits: { cpu: 2 } } }),
      pod({}, { resources: { limits: { cpu: '2' } } }),
    ],
    ['status as nothing to read', { ...pod(), status: { phase: 7 } }, pod()],
    [
      'line breaks in base64',
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { a: 'aGVs\nbG8=\n' } },
      { data: { a: 'aGVsbG8=' } },
    ],
    [
      'what kubectl get -o yaml adds to a pod',
      pod(
        {
          serviceAccountName: 'default',
          serviceAccount: 'default',
          priority: 0,
          preemptionPolicy: 'PreemptLowerPriority',
          securityContext: {},
        },
        { terminationMessagePolicy: 'File', resources: {} },
        {
          creationTimestamp: null,
          managedFields: [{ manager: 'kubectl' }],
          uid: 'u',
          resourceVersion: '5',
          selfLink: '/x',
        },
      ),
      pod({ securityContext: {} }, { resources: {} }, { uid: 'u', resourceVersion: '5' }),
    ],
    [
      'what kubectl get -o yaml adds to a service',
      service({
        ports: [{ port: 80 }],
        clusterIPs: ['10.43.0.5'],
        internalTrafficPolicy: 'Cluster',
        ipFamilies: ['IPv4'],
        ipFamilyPolicy: 'SingleStack',
      }),
      service({ ports: [{ port: 80 }], clusterIPs: ['10.43.0.5'] }),
    ],
    [
      "a template's null creationTimestamp",
      deployment({
        template: { metadata: { creationTimestamp: null }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      }),
      deployment({ template: { metadata: {}, spec: { containers: [{ name: 'c', image: 'i' }] } } }),
    ],
  ];
  it.each(cases)('%s', (_what, value, expected) => {
    expect(linesOf(value)).toEqual([]);
    expect(fromManifest(value).object).toMatchObject(expected);
    expect(linesOf(fromManifest(value).object)).toEqual([]);
  });

  it('with generateName instead of a name', () => {
    const { object } = fromManifest(pod({}, {}, { name: undefined, generateName: 'p-' }));
    expect(object?.metadata).toEqual({ generateName: 'p-', name: '' });
  });
});

describe('toManifest', () => {
  it('writes Kubernetes JSON: order, and numbers where a port is one', () => {
    const value = {
      spec: {
        ports: [
          { port: 80, targetPort: 8080 },
          { name: 'b', port: 81, targetPort: 'http' },
        ],
      },
      metadata: { name: 's', labels: { b: '1', a: '2' } },
      kind: 'Service',
      apiVersion: 'v1',
    };
    expect(JSON.stringify(toManifest(fromManifest(value).object!))).toBe(
      '{"apiVersion":"v1","kind":"Service","metadata":{"name":"s","labels":{"a":"2","b":"1"}},"spec":{"ports":[{"port":80,"targetPort":8080},{"name":"b","port":81,"targetPort":"http"}]}}',
    );
  });

  it('keeps status, which fromManifest reads when asked to', () => {
    const value = { ...pod(), status: { phase: 'Running', podIP: '10.42.0.2' } };
    const { object } = fromManifest(value, { readStatus: true });
    expect(toManifest(object!)).toEqual(value);
  });

  it('and fromManifest undo each other', () => {
    const word = fc.constantFrom('a', 'b', '80', '8080', 'x-y');
    const dictionary = fc.dictionary(word, fc.string(), { noNullPrototype: true, minKeys: 1 });
    const any = fc.record({ data: dictionary, name: word }).map(({ data, name }) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name },
      data,
    }));
    const anyService = fc
      .record({ port: fc.nat(65_535), targetPort: fc.oneof(fc.nat(65_535), word) })
      .map((port) => service({ ports: [port] }));
    fc.assert(
      fc.property(fc.oneof(any, anyService), (value) => {
        const { object } = fromManifest(value);
        expect(fromManifest(toManifest(object!)).object).toEqual(object);
      }),
    );
  });

  it('never throws, whatever comes in', () => {
    const kind = fc.constantFrom('Pod', 'Service', 'Deployment', 'Secret', 'x');
    const apiVersion = fc.constantFrom('v1', 'apps/v1');
    const names = [
      'metadata',
      'spec',
      'template',
      'containers',
      'name',
      'ports',
      'data',
      'env',
      'selector',
      'matchLabels',
      'stringData',
      'volumes',
      'strategy',
      'rollingUpdate',
      'resources',
      'limits',
      'labels',
      'tolerations',
      'initContainers',
      'lifecycle',
      'livenessProbe',
      'httpGet',
      'valueFrom',
      'fieldRef',
      'annotations',
      'finalizers',
      'generateName',
      '__proto__',
    ];
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'medium' },
        fc.jsonValue({ maxDepth: 0 }),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...names), tie('tree'), { noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(kind, apiVersion, tree, tree, tree, (k, v, metadata, spec, data) => {
        for (const value of [{ kind: k, apiVersion: v, metadata, spec, data }, metadata]) {
          const { object, problems } = checkManifest(value);
          expect(object === undefined).toBe(problems.length > 0);
        }
      }),
      { numRuns: 300 },
    );
  });
});
