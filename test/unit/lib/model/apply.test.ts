/** Apply as people rely on it: tables for the merge, properties for what must hold whatever was applied. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applied, fieldSetsOf, withChangesDisowned } from '../../../../lib/model/apply.ts';
import { withDefaults } from '../../../../lib/model/defaults.ts';
import { fromManifest, problemLine, toManifest } from '../../../../lib/model/manifest.ts';
import { validate } from '../../../../lib/model/validation.ts';
import type { ConfigMap, Container, Deployment, KubeObject, Service } from '../../../../proto/gen/types.ts';

function read<T extends KubeObject>(value: unknown): T {
  const { object, problems } = fromManifest(value);
  expect(problems.map(problemLine)).toEqual([]);
  return object as T;
}

interface Parts {
  readonly spec?: object;
  readonly podSpec?: object;
  readonly container?: object;
}

function deployment({ spec, podSpec, container }: Parts = {}): Deployment {
  return read({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      ...spec,
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { ...podSpec, containers: [{ name: 'web', image: 'nginx:1', ...container }] },
      },
    },
  });
}

/** As admission does: merge, then default. */
function apply<T extends KubeObject>(live: T | undefined, manifest: T, manager = 'ctl'): T {
  return withDefaults(applied(live, manifest, manager)) as T;
}

const webOf = (object: Deployment): Container => object.spec.template.spec.containers[0]!;

describe('apply', () => {
  it('removes a field that the manager leaves out, back to its default', () => {
    const first = apply(undefined, deployment({ spec: { replicas: 3 }, container: { args: ['-v'] } }));
    const second = apply(first, deployment());
    expect(second.spec.replicas).toBe(1);
    expect(webOf(second).args).toBeUndefined();
  });

  it('keeps what another manager applied', () => {
    const first = apply(undefined, deployment());
    const scaler = { ...deployment(), spec: { replicas: 5 } } as unknown as Deployment;
    const scaled = apply(first, scaler, 'scaler');
    expect(scaled.spec.replicas).toBe(5);
    expect(apply(scaled, deployment()).spec.replicas).toBe(5);
  });

  it('keeps a field that was scaled by hand once the manifest no longer speaks of it', () => {
    const first = apply(undefined, deployment({ spec: { replicas: 3 } }));
    const scaled = withChangesDisowned(first, { ...first, spec: { ...first.spec, replicas: 7 } });
    expect(apply(scaled, deployment({ spec: { replicas: 3 } })).spec.replicas).toBe(3);
    expect(apply(scaled, deployment()).spec.replicas).toBe(7);
  });

  it('takes a probe away as a whole, defaults and all', () => {
    const probe = { readinessProbe: { httpGet: { port: 80 } } };
    const first = apply(undefined, deployment({ container: probe }));
    expect(webOf(first).readinessProbe?.periodSeconds).toBe(10);
    expect(webOf(apply(first, deployment())).readinessProbe).toBeUndefined();
  });

  it('exchanges one probe handler, one volume source, one env source for another', () => {
    const before = deployment({
      container: {
        readinessProbe: { httpGet: { port: 80 } },
        env: [{ name: 'A', value: '1' }],
      },
      podSpec: { volumes: [{ name: 'data' }] },
    });
    const after = deployment({
      container: {
        readinessProbe: { tcpSocket: { port: 80 } },
        env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
      },
      podSpec: { volumes: [{ name: 'data', configMap: { name: 'c' } }] },
    });
    const created = withDefaults(before);
    for (const result of [apply(apply(undefined, before), after), apply(created, after)]) {
      expect(validate(result)).toEqual([]);
      expect(toManifest(result)).toMatchObject(toManifest(after));
    }
  });

  it('lets derived defaults follow what they are derived from', () => {
    const big = deployment({ container: { resources: { limits: { cpu: '2' } } } });
    const small = deployment({ container: { resources: { limits: { cpu: '1' } }, image: 'nginx' } });
    const result = apply(apply(undefined, big), small);
    expect(webOf(result).resources?.requests).toEqual({ cpu: '1' });
    expect(webOf(result).imagePullPolicy).toBe('Always');
    const onHost = apply(result, deployment({ podSpec: { hostNetwork: true } }));
    expect(onHost.spec.template.spec.hostUsers).toBe(true);
    expect(validate(onHost)).toEqual([]);
  });

  it('changes the strategy to Recreate and back', () => {
    const recreate = apply(apply(undefined, deployment()), deployment({ spec: { strategy: { type: 'Recreate' } } }));
    expect(recreate.spec.strategy).toEqual({ type: 'Recreate' });
    expect(apply(recreate, deployment()).spec.strategy).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' },
    });
  });

  it('merges containers by name and leaves a container of another writer where it is', () => {
    const first = apply(undefined, deployment());
    const containers = [{ name: 'proxy', image: 'p:1' }, ...first.spec.template.spec.containers];
    const spec = { ...first.spec.template.spec, containers };
    const injected = { ...first, spec: { ...first.spec, template: { ...first.spec.template, spec } } };
    const result = apply(withChangesDisowned(first, injected), deployment({ container: { image: 'nginx:2' } }));
    expect(result.spec.template.spec.containers.map(({ name, image }) => `${name} ${image}`)).toEqual([
      'proxy p:1',
      'web nginx:2',
    ]);
  });

  it('removes a port that was applied and keeps an allocated nodePort of one that stays', () => {
    const service = (ports: object[]): Service =>
      read({ apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { type: 'NodePort', ports } });
    const first = apply(
      undefined,
      service([
        { name: 'a', port: 80 },
        { name: 'b', port: 81 },
      ]),
    );
    const allocated = {
      ...first,
      spec: { ...first.spec, ports: first.spec.ports!.map((port, index) => ({ ...port, nodePort: 30_000 + index })) },
    };
    const result = apply(allocated, service([{ name: 'a', port: 80, targetPort: 8080 }]));
    expect(result.spec.ports).toEqual([{ name: 'a', port: 80, protocol: 'TCP', targetPort: '8080', nodePort: 30_000 }]);
  });

  it('keeps values of Secrets out of the field sets', () => {
    const secret = read({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      stringData: { password: 'hunter2' },
    });
    const result = apply(undefined, secret);
    expect(JSON.stringify(result.metadata.annotations)).not.toContain('hunter2');
    expect(fieldSetsOf(result).get('ctl')).toEqual({ metadata: {}, data: { password: 1 } });
  });
});

const word = fc.constantFrom('a', 'b', 'c', 'd');
const text = fc.constantFrom('1', '2', '3');
const dictionary = fc.dictionary(word, text, { noNullPrototype: true });
const configMap = fc
  .record({ labels: dictionary, annotations: dictionary, data: dictionary })
  .map(({ labels, annotations, data }) =>
    read<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', labels, annotations }, data }),
  );
const container = fc.record(
  {
    image: fc.constantFrom('i', 'i:1'),
    args: fc.array(text, { maxLength: 2 }),
    env: fc.uniqueArray(fc.record({ name: word, value: text }), { selector: (entry) => entry.name }),
    resources: fc.record({ limits: fc.dictionary(fc.constantFrom('cpu', 'memory'), text, { noNullPrototype: true }) }),
    readinessProbe: fc.constantFrom({ tcpSocket: { port: 80 } }, { exec: { command: ['x'] }, periodSeconds: 3 }),
  },
  { requiredKeys: ['image'] },
);
const anyDeployment = fc
  .record({
    spec: fc.record({ replicas: fc.nat(3), paused: fc.boolean() }, { requiredKeys: [] }),
    podSpec: fc.record({ hostNetwork: fc.boolean(), nodeSelector: dictionary }, { requiredKeys: [] }),
    container,
  })
  .map(deployment);
const manifest: fc.Arbitrary<KubeObject> = fc.oneof(configMap, anyDeployment);
const pair = fc.oneof(fc.tuple(configMap, configMap), fc.tuple(anyDeployment, anyDeployment));

describe('apply, whatever the manifest', () => {
  it('is valid, and applying again changes nothing', () => {
    fc.assert(
      fc.property(manifest, (object) => {
        const once = apply(undefined, object);
        expect(validate(once)).toEqual([]);
        expect(apply(once, object)).toEqual(once);
      }),
    );
  });

  it('ends in what a fresh apply of the last manifest gives, when nobody else wrote', () => {
    fc.assert(
      fc.property(pair, ([first, second]) => {
        expect(apply(apply<KubeObject>(undefined, first), second)).toEqual(apply<KubeObject>(undefined, second));
      }),
    );
  });

  it('leaves every entry of another manager alone unless it speaks of it itself', () => {
    fc.assert(
      fc.property(configMap, configMap, configMap, (theirs, mine, later) => {
        const both = apply(apply(undefined, theirs, 'them'), mine);
        const result = apply(both, later);
        for (const [key, value] of Object.entries(theirs.data ?? {})) {
          const taken = mine.data?.[key] !== undefined && mine.data[key] !== value;
          if (!taken && later.data?.[key] === undefined) expect(result.data?.[key]).toBe(value);
        }
        expect(result.data ?? {}).toMatchObject(later.data ?? {});
      }),
    );
  });

  it('removes exactly what it applied before', () => {
    fc.assert(
      fc.property(configMap, configMap, (mine, unowned) => {
        const cleared = read<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } });
        const result = apply(apply(unowned, mine), cleared);
        const left = Object.entries(unowned.data ?? {}).filter(([key]) => mine.data?.[key] === undefined);
        expect(result.data ?? {}).toEqual(Object.fromEntries(left));
      }),
    );
  });
});
