/** Deployments that roll out with their configuration; with the real controllers over the memory store. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configuredTemplate } from '../../../../control-plane/controllers/configuration/copies.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { commit } from '../../../../control-plane/state/commit.ts';
import { sealedCodec } from '../../../../control-plane/state/object-codec.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { findCondition } from '../../../../lib/model/conditions.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { isPodActive, isPodReady } from '../../../../lib/model/pods.ts';
import { copyNamesOf, withOriginalNames } from '../../../../lib/model/rollouts.ts';
import { createKeyring } from '../../../../lib/model/stored.ts';
import { seededRandom } from '../../../../lib/random.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import type { KeyValue } from '../../../../lib/store/store.ts';
import type {
  ConfigMap,
  Container,
  DaemonSet,
  Deployment,
  KubeObject,
  Pod,
  Secret,
  StatefulSet,
} from '../../../../proto/gen/types.ts';
import { type Cluster, deployment, startCluster, withImage } from './cluster.ts';

const optIn = { 'gantry.dev/rollout-on-config-change': 'true' };
const metadata = (name: string) => ({ name, namespace: 'default' });
const settings = (data: Record<string, string>, name = 'settings'): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: metadata(name),
  data,
});
const secret = (text: string): Secret => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: metadata('credentials'),
  type: 'Opaque',
  data: { password: Buffer.from(text).toString('base64') },
});

/** `reads`: what its container takes its environment from. */
function web(reads: Partial<Container>, annotations: Record<string, string> = optIn): Deployment {
  const object = deployment('web', { replicas: 2, progressDeadlineSeconds: 20 });
  const [container] = object.spec.template.spec.containers;
  const spec = { ...object.spec.template.spec, containers: [{ ...container!, ...reads }] };
  const template = { ...object.spec.template, spec };
  return { ...object, metadata: { ...object.metadata, annotations }, spec: { ...object.spec, template } };
}
const fromSettings: Partial<Container> = { envFrom: [{ configMapRef: { name: 'settings' } }] };

let cluster: Cluster;
beforeEach(async () => {
  cluster = await startCluster();
});
afterEach(async () => {
  await cluster.stop();
  expect(cluster.problems).toEqual([]);
});

const current = (): Deployment => cluster.state.get('Deployment', 'default', 'web')!;
const progressing = () => findCondition(current().status?.conditions, 'Progressing');
const active = (): readonly Pod[] => cluster.pods().filter(isPodActive);
const configMapOf = (pod: Pod): ConfigMap | undefined =>
  cluster.state.get('ConfigMap', 'default', pod.spec.containers[0]!.envFrom![0]!.configMapRef!.name!);
const read = (pod: Pod): string => JSON.stringify(configMapOf(pod)?.data ?? null);
const allRead = (data: Record<string, string>): boolean =>
  active().length === 2 &&
  active().every((pod) => isPodReady(pod) && read(pod) === JSON.stringify(data)) &&
  current().status?.updatedReplicas === 2;
const copies = (): string[] =>
  cluster.state
    .list('ConfigMap')
    .filter(({ metadata: { annotations } }) => annotations?.['gantry.dev/copy-of'] !== undefined)
    .map(({ data }) => JSON.stringify(data));
const revision = (): string | undefined => current().metadata.annotations?.['deployment.kubernetes.io/revision'];
const setData = (data: Record<string, string>): Promise<void> =>
  cluster.edit('ConfigMap', 'settings', (object) => ({ ...object, data }));
const annotate = (annotations: Record<string, string>): Promise<void> =>
  cluster.edit('Deployment', 'web', (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, ...annotations } },
  }));
const replicaSetOf = (number: string) =>
  cluster.state
    .list('ReplicaSet')
    .find(({ metadata: { annotations } }) => annotations?.['deployment.kubernetes.io/revision'] === number)!;

describe('a Deployment that opted in', () => {
  it('rolls out changed content, and finds the former ReplicaSet again with the former content', async () => {
    await cluster.create(settings({ color: 'red' }), web(fromSettings));
    await cluster.until(() => allRead({ color: 'red' }), 'revision 1');
    const { spec } = current();
    await setData({ color: 'green' });
    await cluster.until(() => allRead({ color: 'green' }), 'revision 2');
    expect(revision()).toBe('2');
    const said = (): readonly string[] =>
      cluster.state
        .list('Event')
        .flatMap(({ reason, message = '' }) => (reason === 'ConfigurationChanged' ? [message] : []));
    await cluster.until(() => said().length === 1, 'the event');
    expect(said()).toEqual(['ConfigMap settings changed: rolling out revision 2']);
    expect(current().spec).toEqual(spec);
    await setData({ color: 'red' });
    await cluster.until(() => allRead({ color: 'red' }), 'the first ReplicaSet again');
    expect(revision()).toBe('3');
    expect(cluster.state.list('ReplicaSet')).toHaveLength(2);
    expect(copies().sort()).toEqual(['{"color":"green"}', '{"color":"red"}']);
  });

  it('keeps each pod on the content of its revision, and the copies only as long as a revision names them', async () => {
    const object = web(fromSettings);
    await cluster.create(settings({ n: '0' }), { ...object, spec: { ...object.spec, revisionHistoryLimit: 1 } });
    for (let n = 0; n < 4; n += 1) {
      await setData({ n: `${n}` });
      await cluster.until(() => allRead({ n: `${n}` }), `content ${n}`);
    }
    await cluster.until(() => copies().length === 2, 'the outlived copies are gone');
    expect(copies().sort()).toEqual(['{"n":"2"}', '{"n":"3"}']);
    const copy = configMapOf(active()[0]!)!;
    expect(copy).toMatchObject({
      immutable: true,
      metadata: { ownerReferences: [{ kind: 'Deployment', name: 'web' }] },
    });
    await cluster.remove('Deployment', 'web');
    await cluster.until(() => copies().length === 0 && cluster.pods().length === 0, 'everything goes with it');
    expect(cluster.state.get('ConfigMap', 'default', 'settings')?.data).toEqual({ n: '3' });
  });

  it('goes back to the content of the last good revision when a rollout of content fails', async () => {
    await cluster.create(
      settings({ color: 'red' }),
      web(fromSettings, { ...optIn, 'gantry.dev/auto-rollback': 'true' }),
    );
    await cluster.until(() => allRead({ color: 'red' }), 'revision 1');
    cluster.isBroken = (pod) => read(pod).includes('bad');
    await setData({ color: 'bad' });
    const isBack = (): boolean => findCondition(current().status?.conditions, 'RolledBack')?.status === 'True';
    await cluster.until(isBack, 'the way back');
    expect(active().map(read)).toEqual(['{"color":"red"}', '{"color":"red"}']);
    await cluster.clock.advance(60_000);
    expect(active().map(read)).toEqual(['{"color":"red"}', '{"color":"red"}']);
    await setData({ color: 'blue' });
    await cluster.until(() => allRead({ color: 'blue' }), 'better content');
    expect(current().status?.rollback).toBeUndefined();
  });

  it('runs the content of a former revision on request, until content or template change', async () => {
    await cluster.create(settings({ color: 'red' }), web(fromSettings));
    await cluster.until(() => allRead({ color: 'red' }), 'revision 1');
    await setData({ color: 'green' });
    await cluster.until(() => allRead({ color: 'green' }), 'revision 2');
    await annotate({ 'gantry.dev/undo-to': replicaSetOf('1').metadata.name });
    await cluster.until(() => allRead({ color: 'red' }), 'the former content');
    expect(current().metadata.annotations?.['gantry.dev/undo-to']).toBeUndefined();
    expect(current().status?.rollback).toMatchObject({ reason: 'Undo' });
    expect(progressing()?.reason).toBe('NewReplicaSetAvailable');
    expect(cluster.state.get('ConfigMap', 'default', 'settings')?.data).toEqual({ color: 'green' });
    await cluster.clock.advance(60_000);
    expect(allRead({ color: 'red' })).toBe(true);
    await setData({ color: 'blue' });
    await cluster.until(() => allRead({ color: 'blue' }), 'newer content');
    expect(current().status?.rollback).toBeUndefined();
  });

  it('says of content that it has changed when it has, not of a way back and of one back from there', async () => {
    await cluster.create(settings({ color: 'red' }), web(fromSettings));
    await cluster.until(() => allRead({ color: 'red' }), 'revision 1');
    await setData({ color: 'green' });
    await cluster.until(() => allRead({ color: 'green' }), 'revision 2');
    const green = replicaSetOf('2').metadata.name;
    await annotate({ 'gantry.dev/undo-to': replicaSetOf('1').metadata.name });
    await cluster.until(() => allRead({ color: 'red' }) && revision() === '3', 'the former content');
    await annotate({ 'gantry.dev/undo-to': green });
    await cluster.until(() => allRead({ color: 'green' }) && revision() === '4', 'the content of now');
    const said = cluster.state.list('Event').filter(({ reason }) => reason === 'ConfigurationChanged');
    expect(said.map(({ message }) => message)).toEqual(['ConfigMap settings changed: rolling out revision 2']);
  });

  it('says so when it is to go back to what there is not', async () => {
    await cluster.create(settings({ color: 'red' }), web(fromSettings));
    await cluster.until(() => allRead({ color: 'red' }), 'revision 1');
    await annotate({ 'gantry.dev/undo-to': 'web-never' });
    await cluster.until(
      () => cluster.state.list('Event').some(({ reason }) => reason === 'RollbackRevisionNotFound'),
      'the answer',
    );
    expect(current().metadata.annotations?.['gantry.dev/undo-to']).toBeUndefined();
    expect(allRead({ color: 'red' })).toBe(true);
  });

  it('waits for what is missing, says what, and begins when it is there', async () => {
    await cluster.create(web(fromSettings));
    await cluster.until(() => progressing()?.reason === 'ConfigurationMissing', 'the reason');
    expect(progressing()?.message).toContain('ConfigMap "settings" not found');
    expect(cluster.state.list('ReplicaSet')).toHaveLength(0);
    await cluster.until(() => progressing()?.reason === 'ProgressDeadlineExceeded', 'the deadline');
    expect(progressing()?.message).toContain('ConfigMap "settings" not found');
    await cluster.create(settings({ color: 'red' }));
    await cluster.until(() => allRead({ color: 'red' }), 'the rollout');
    expect(revision()).toBe('1');
  });

  it('runs on with its copy when the original is deleted, and waits with another template', async () => {
    await cluster.create(settings({ color: 'red' }), web(fromSettings));
    await cluster.until(() => allRead({ color: 'red' }), 'revision 1');
    await cluster.remove('ConfigMap', 'settings');
    await cluster.clock.advance(5_000);
    expect(allRead({ color: 'red' })).toBe(true);
    expect(progressing()?.reason).toBe('NewReplicaSetAvailable');
    const said = () => cluster.state.list('Event').filter(({ reason }) => reason === 'ConfigurationMissing');
    expect(said()).toMatchObject([{ type: 'Warning', involvedObject: { kind: 'Deployment', name: 'web' } }]);
    expect(said()[0]?.message).toMatch(/^ConfigMap "settings" not found: pods run on with a copy of the content; /);
    const [{ metadata: before }] = said() as [KubeObject];
    for (const pod of active()) await cluster.remove('Pod', pod.metadata.name);
    await cluster.clock.advance(5_000);
    expect(allRead({ color: 'red' })).toBe(true);
    expect(said().map(({ metadata }) => metadata.resourceVersion)).toEqual([before.resourceVersion]);
    await cluster.edit('Deployment', 'web', (object) => withImage(object, 'echo:2'));
    await cluster.until(() => progressing()?.reason === 'ConfigurationMissing', 'the reason');
    expect(active().map(read)).toEqual(['{"color":"red"}', '{"color":"red"}']);
    expect(current().status?.updatedReplicas).toBe(0);
    await cluster.create(settings({ color: 'red' }));
    await cluster.until(() => allRead({ color: 'red' }) && active().every(isEcho2), 'the rollout');
  });

  it('makes no copies and no revision while paused', async () => {
    await cluster.create(settings({ color: 'red' }), web(fromSettings));
    await cluster.until(() => allRead({ color: 'red' }), 'revision 1');
    await cluster.edit('Deployment', 'web', (object) => ({ ...object, spec: { ...object.spec, paused: true } }));
    await setData({ color: 'green' });
    await cluster.clock.advance(5_000);
    expect(copies()).toEqual(['{"color":"red"}']);
    await cluster.edit('Deployment', 'web', (object) => ({ ...object, spec: { ...object.spec, paused: false } }));
    await cluster.until(() => allRead({ color: 'green' }), 'revision 2');
  });

  it('makes a copy again that somebody deleted', async () => {
    await cluster.create(settings({ color: 'red' }), web(fromSettings));
    await cluster.until(() => allRead({ color: 'red' }), 'revision 1');
    const {
      metadata: { name },
    } = configMapOf(active()[0]!)!;
    await cluster.remove('ConfigMap', name);
    await cluster.until(() => cluster.state.get('ConfigMap', 'default', name) !== undefined, 'it is there again');
    expect(cluster.state.list('ReplicaSet')).toHaveLength(1);
  });

  it('takes a template that names a copy as it is, and keeps that copy', async () => {
    const object = web(fromSettings);
    await cluster.create(settings({ color: 'red' }), { ...object, spec: { ...object.spec, revisionHistoryLimit: 0 } });
    await cluster.until(() => allRead({ color: 'red' }), 'revision 1');
    const [first] = cluster.state.list('ReplicaSet');
    await setData({ color: 'green' });
    await cluster.until(() => allRead({ color: 'green' }), 'revision 2');
    await setData({ color: 'red' });
    await cluster.until(() => allRead({ color: 'red' }), 'the first content');
    const { name } = configMapOf(active()[0]!)!.metadata;
    // As kubectl rollout undo writes it: what the ReplicaSet has, copies and all.
    await cluster.edit('Deployment', 'web', (old) => {
      const { metadata: _hashed, spec } = first!.spec.template;
      return { ...old, spec: { ...old.spec, template: { ...old.spec.template, spec } } };
    });
    await setData({ color: 'blue' });
    await cluster.clock.advance(60_000);
    expect(active().map(read)).toEqual(['{"color":"red"}', '{"color":"red"}']);
    expect(cluster.state.get('ConfigMap', 'default', name)).toBeDefined();
  });

  it('comes to rest', async () => {
    await cluster.create(settings({ color: 'red' }), web(fromSettings));
    await cluster.until(() => allRead({ color: 'red' }), 'revision 1');
    await cluster.clock.advance(5_000);
    const before = cluster.state.revision;
    await cluster.clock.advance(60_000);
    expect(cluster.state.revision).toBe(before);
  });
});

describe.each(['StatefulSet', 'DaemonSet'] as const)('a %s that opted in', (kind) => {
  const workload = (): StatefulSet | DaemonSet => {
    const { spec, metadata } = web(fromSettings);
    const { selector, template } = spec;
    const head = { apiVersion: 'apps/v1', metadata } as const;
    return kind === 'StatefulSet'
      ? { ...head, kind, spec: { selector, template, replicas: 2 } }
      : { ...head, kind, spec: { selector, template } };
  };
  const count = kind === 'StatefulSet' ? 2 : 3; // a DaemonSet has one on every node
  const here = (): StatefulSet | DaemonSet => cluster.state.get(kind, 'default', 'web')!;
  const reads = (data: Record<string, string>): boolean =>
    active().length === count && active().every((pod) => isPodReady(pod) && read(pod) === JSON.stringify(data));
  const revisions = () =>
    cluster.state.list('ControllerRevision').toSorted((a, b) => (a.revision ?? 0) - (b.revision ?? 0));

  it('rolls out changed content, finds the former one again, and goes back to it on request', async () => {
    await cluster.create(settings({ color: 'red' }), workload());
    await cluster.until(() => reads({ color: 'red' }), 'revision 1');
    const { spec } = here();
    await setData({ color: 'green' });
    await cluster.until(() => reads({ color: 'green' }), 'revision 2');
    expect(revisions()).toHaveLength(2);
    const said = (): boolean => cluster.state.list('Event').some(({ reason }) => reason === 'ConfigurationChanged');
    await cluster.until(said, 'the event');
    const [red] = revisions();
    await cluster.edit(kind, 'web', (object) => ({
      ...object,
      metadata: { ...object.metadata, annotations: { ...optIn, 'gantry.dev/undo-to': red!.metadata.name } },
    }));
    await cluster.until(() => reads({ color: 'red' }), 'the former content');
    expect(here()).toMatchObject({ spec, status: { rollback: { reason: 'Undo', revision: red!.metadata.name } } });
    expect(here().metadata.annotations).toEqual(optIn);
    const noted = revisions().at(-1)!.metadata.annotations?.['gantry.dev/rollout-cause'];
    await cluster.clock.advance(60_000);
    expect(reads({ color: 'red' })).toBe(true);
    await setData({ color: 'blue' });
    await cluster.until(() => reads({ color: 'blue' }), 'newer content');
    expect(here().status?.rollback).toBeUndefined();
    await setData({ color: 'red' });
    await cluster.until(() => reads({ color: 'red' }), 'the first revision again');
    expect(revisions()).toHaveLength(3);
    const causes = revisions().map(({ metadata }) => metadata.annotations?.['gantry.dev/rollout-cause']);
    const content = /^ConfigMap settings changed to \w{10}$/;
    expect(causes).toEqual(Array(3).fill(expect.stringMatching(content)));
    expect(noted).toBe('undo to revision 1');
  });

  it('waits for what is missing, and runs on with its copy', async () => {
    await cluster.create(workload());
    const missing = (): boolean => cluster.state.list('Event').some(({ reason }) => reason === 'ConfigurationMissing');
    await cluster.until(missing, 'the event');
    expect(active()).toEqual([]);
    await cluster.create(settings({ color: 'red' }));
    await cluster.until(() => reads({ color: 'red' }), 'the rollout');
    await cluster.remove('ConfigMap', 'settings');
    const isGone = (): boolean =>
      cluster.state.list('Event').some(({ message }) => message?.includes('pods run on with a copy') === true);
    await cluster.until(isGone, 'the event about its loss');
    const [victim] = active();
    await cluster.remove('Pod', victim!.metadata.name);
    await cluster.until(() => reads({ color: 'red' }) && !active().includes(victim!), 'its successor');
    await cluster.remove(kind, 'web');
    await cluster.until(() => cluster.pods().length === 0 && copies().length === 0, 'the end');
  });
});

it('nothing happens without the annotation', async () => {
  await cluster.create(settings({ color: 'red' }), web(fromSettings, {}));
  const names = (): string[] => active().map(({ metadata: { name } }) => name);
  await cluster.until(() => active().length === 2 && active().every(isPodReady), 'the pods');
  const before = names();
  await setData({ color: 'green' });
  await cluster.clock.advance(10_000);
  expect(names()).toEqual(before);
  expect(cluster.state.list('ConfigMap')).toHaveLength(1);
  expect(cluster.state.configuredBy('/gantry/configmaps/default/settings')).toEqual([]);
});

describe('the template of a workload that opted in', () => {
  const everywhere = web({
    env: [
      { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } },
      { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'credentials', key: 'password' } } },
      { name: 'PLAIN', value: 'x' },
    ],
    envFrom: [{ configMapRef: { name: 'settings' } }, { secretRef: { name: 'credentials' }, prefix: 'P_' }],
  });
  everywhere.spec.template.spec = {
    ...everywhere.spec.template.spec,
    initContainers: [{ name: 'first', image: 'echo:1', envFrom: [{ configMapRef: { name: 'settings' } }] }],
    volumes: [
      { name: 'a', configMap: { name: 'settings', items: [{ key: 'color', path: 'c' }] } },
      { name: 'b', secret: { secretName: 'credentials', defaultMode: 0o400 } },
      { name: 'c', emptyDir: {} },
      { name: 'd', configMap: { name: 'extra', optional: true } },
    ],
  };

  function configured(...objects: KubeObject[]) {
    const state = new MutableClusterState();
    const all = [everywhere, ...objects];
    state.replace(
      all.map((object) => ({ key: keyOf(object), object })),
      1n,
    );
    return configuredTemplate(state, everywhere);
  }

  it('names copies of ConfigMaps and Secrets, wherever they are named, and leads back to what was written', () => {
    const { template, names, missing, waitsFor } = configured(settings({ color: 'red' }), secret('a'));
    expect(waitsFor).toBeUndefined();
    expect(Object.keys(names).sort()).toEqual(['ConfigMap/extra', 'ConfigMap/settings', 'Secret/credentials']);
    expect(missing.map(({ object }) => [object.kind, object.metadata.name])).toEqual([
      ['ConfigMap', names['ConfigMap/settings']],
      ['Secret', names['Secret/credentials']],
    ]);
    const text = JSON.stringify(template);
    for (const original of ['"settings"', '"credentials"', '"extra"']) expect(text).not.toContain(original);
    expect(text.split(names['ConfigMap/settings']!)).toHaveLength(5);
    expect(text.split(names['Secret/credentials']!)).toHaveLength(4);
    expect(missing[1]!.object).toMatchObject({
      kind: 'Secret',
      type: 'Opaque',
      immutable: true,
      data: secret('a').data,
    });
    const annotation = JSON.stringify(names);
    const revisionOf = {
      ...everywhere,
      metadata: { ...metadata('x'), annotations: { 'gantry.dev/configuration-copies': annotation } },
    };
    expect(withOriginalNames(template, copyNamesOf(revisionOf))).toEqual(everywhere.spec.template);
  });

  it('has copies of Secrets that are sealed in the store, as any Secret is', async () => {
    const { missing } = configured(settings({ color: 'red' }), secret('a secret to keep'));
    const store = createMemoryStore({ clock: virtualClock() });
    const random = seededRandom(1);
    const codec = sealedCodec(createKeyring(new Uint8Array(32).fill(7), random));
    await commit({ store, codec, clock: virtualClock(), random }, missing, undefined);
    const { items } = await store.list('/gantry/secrets/default/web-credentials-');
    expect(items).toHaveLength(1);
    const [{ key, value, modRevision }] = items as [KeyValue];
    expect(Buffer.from(value).includes('a secret to keep')).toBe(false);
    expect(codec.decode(key, value, modRevision)).toMatchObject({ data: secret('a secret to keep').data });
    await store.close();
  });

  it('is another with other content, and with something optional that was absent', () => {
    const named = (...objects: KubeObject[]) => configured(...objects).names;
    const first = named(settings({ color: 'red' }), secret('a'));
    expect(named(settings({ color: 'red' }), secret('a'))).toEqual(first);
    const other = named(settings({ color: 'red' }), secret('b'));
    expect(other['ConfigMap/settings']).toBe(first['ConfigMap/settings']);
    expect(other['Secret/credentials']).not.toBe(first['Secret/credentials']);
    const extra = named(settings({ color: 'red' }), secret('a'), settings({ a: 'b' }, 'extra'));
    expect(extra['ConfigMap/extra']).not.toBe(first['ConfigMap/extra']);
  });

  it('tells all that is missing and not optional', () => {
    expect(configured().waitsFor).toContain('ConfigMap "settings" and Secret "credentials" not found');
  });
});

function isEcho2(pod: Pod): boolean {
  return pod.spec.containers[0]!.image === 'echo:2';
}
