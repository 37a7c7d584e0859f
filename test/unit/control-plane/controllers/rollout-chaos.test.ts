/**
 * Users who change templates, content, sizes and their minds, in any order, over images and content that do not work.
 * Whatever they do: no more pods than allowed, each pod on the content of its revision, and in the end what was asked
 * for, or the way back, and nothing left over.
 */
import { expect, it } from 'vitest';
import { findCondition } from '../../../../lib/model/conditions.ts';
import { isDeleting } from '../../../../lib/model/object.ts';
import { isPodActive, isPodReady } from '../../../../lib/model/pods.ts';
import { copyNamesOf } from '../../../../lib/model/rollouts.ts';
import { type Random, seededRandom } from '../../../../lib/random.ts';
import type { ConfigMap, Deployment, Pod } from '../../../../proto/gen/types.ts';
import { type Cluster, deployment, startCluster, withImage } from './cluster.ts';

const name = 'web';
const images = ['echo:1', 'echo:2', 'echo:3', 'broken:1'];
const colors = ['red', 'green', 'blue', 'bad'];

function web(): Deployment {
  const object = deployment(name, { replicas: 3, progressDeadlineSeconds: 15, revisionHistoryLimit: 2 });
  const [container] = object.spec.template.spec.containers;
  const containers = [{ ...container!, envFrom: [{ configMapRef: { name: 'settings' } }] }];
  const template = { ...object.spec.template, spec: { ...object.spec.template.spec, containers } };
  const annotations = { 'gantry.dev/auto-rollback': 'true', 'gantry.dev/rollout-on-config-change': 'true' };
  return { ...object, metadata: { ...object.metadata, annotations }, spec: { ...object.spec, template } };
}
const settings = (color: string): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'settings', namespace: 'default' },
  data: { color },
});

const pick = <T>(random: Random, values: readonly T[]): T => values[Math.floor(random.next() * values.length)]!;

function actions(cluster: Cluster, random: Random): readonly (() => Promise<void>)[] {
  const edit = (change: (object: Deployment) => Deployment) => cluster.edit('Deployment', name, change);
  const spec = (parts: Partial<Deployment['spec']>) =>
    edit((object) => ({ ...object, spec: { ...object.spec, ...parts } }));
  const color = async (): Promise<void> => {
    const data = { color: pick(random, colors) };
    if (cluster.state.get('ConfigMap', 'default', 'settings')) {
      await cluster.edit('ConfigMap', 'settings', (object) => ({ ...object, data }));
    } else await cluster.create(settings(data.color));
  };
  return [
    () => edit((object) => withImage(object, pick(random, images))),
    color,
    color,
    () => spec({ replicas: Math.floor(random.next() * 5) }),
    () => spec({ paused: random.next() < 0.5 }),
    () => spec({ strategy: { type: pick(random, ['RollingUpdate', 'Recreate']) } }),
    async () => {
      const revisions = cluster.state.list('ReplicaSet');
      if (revisions.length === 0) return;
      const to = pick(random, revisions).metadata.name;
      const annotate = (object: Deployment): Deployment => {
        const annotations = { ...object.metadata.annotations, 'gantry.dev/undo-to': to };
        return { ...object, metadata: { ...object.metadata, annotations } };
      };
      await edit(annotate);
    },
    async () => {
      const pods = cluster.pods().filter(isPodActive);
      if (pods.length > 0) await cluster.remove('Pod', pick(random, pods).metadata.name);
    },
    () => cluster.remove('ConfigMap', 'settings'),
  ];
}

async function run(seed: number): Promise<void> {
  const cluster = await startCluster({ seed });
  const random = seededRandom(seed);
  const current = (): Deployment => cluster.state.get('Deployment', 'default', name)!;
  const read = (pod: Pod): string | undefined =>
    cluster.state.get('ConfigMap', 'default', pod.spec.containers[0]!.envFrom![0]!.configMapRef!.name!)?.data?.color;
  cluster.brokenImages.add('broken:1');
  cluster.isBroken = (pod) => (read(pod) ?? 'bad') === 'bad';
  await cluster.create(settings('red'), web());
  const violations: string[] = [];
  let mostWanted = 3;
  cluster.state.onChange(() => {
    const active = cluster.pods().filter(isPodActive).length;
    const wanted = cluster.state.list('ReplicaSet').reduce((sum, { spec }) => sum + (spec.replicas ?? 1), 0);
    mostWanted = Math.max(mostWanted, current()?.spec.replicas ?? 0);
    if (active > mostWanted + 2) violations.push(`${active} pods, of ${mostWanted}`);
    if (wanted > 2 * mostWanted + 2) violations.push(`${wanted} wanted, of ${mostWanted}`);
  });
  for (let step = 0; step < 25; step += 1) {
    await pick(random, actions(cluster, random))();
    await cluster.clock.advance(random.next() * 12_000);
  }
  // Whoever paused it goes on, and what is missing comes back.
  await cluster.edit('Deployment', name, (object) => ({
    ...object,
    metadata: { ...object.metadata, generation: (object.metadata.generation ?? 1) + 1 },
    spec: { ...object.spec, paused: false, replicas: 3 },
  }));
  if (!cluster.state.get('ConfigMap', 'default', 'settings')) await cluster.create(settings('green'));
  const state = (): string => {
    const { conditions, observedGeneration } = current().status ?? {};
    if (observedGeneration !== current().metadata.generation) return 'unseen';
    const [progressing, back] = ['Progressing', 'RolledBack'].map((type) => findCondition(conditions, type));
    return back?.reason ?? progressing?.reason ?? 'none';
  };
  const isSettled = (): boolean =>
    ['NewReplicaSetAvailable', 'RolledBack', 'RollbackFailed', 'ProgressDeadlineExceeded'].includes(state());
  await cluster.until(isSettled, `seed ${seed}: an end`, 120_000);
  await cluster.clock.advance(60_000);

  const told = `seed ${seed}, ${state()}: ${findCondition(current().status?.conditions, 'Progressing')?.message}`;
  const ready = cluster.pods().filter((pod) => isPodReady(pod) && !isDeleting(pod));
  const good = state() === 'NewReplicaSetAvailable' || state() === 'RolledBack';
  if (good) expect(ready.length, told).toBe(3);
  expect(new Set(ready.map((pod) => `${pod.spec.containers[0]!.image} ${read(pod)}`)).size, told).toBeLessThanOrEqual(
    good ? 1 : 2,
  );
  if (state() === 'NewReplicaSetAvailable' && current().status?.rollback === undefined) {
    expect(ready[0]!.spec.containers[0]!.image, told).toBe(current().spec.template.spec.containers[0]!.image);
    expect(read(ready[0]!), told).toBe(cluster.state.get('ConfigMap', 'default', 'settings')?.data?.color);
  }
  // A deadline that was missed has a way back, unless nothing but the failing one ever worked.
  if (state() === 'ProgressDeadlineExceeded') expect(told).toMatch(/no earlier revision was complete/);
  const named = new Set(cluster.state.list('ReplicaSet').flatMap((one) => Object.values(copyNamesOf(one))));
  const copies = cluster.state.list('ConfigMap').filter(({ metadata }) => metadata.annotations?.['gantry.dev/copy-of']);
  expect(copies.filter(({ metadata }) => !named.has(metadata.name)).length, told).toBeLessThanOrEqual(1); // of what is passed over
  if (good) expect(cluster.state.list('ReplicaSet').length, told).toBeLessThanOrEqual(3);
  expect(violations, told).toEqual([]);
  const before = cluster.state.revision;
  await cluster.clock.advance(600_000);
  const written = [...cluster.state.all()].filter(
    ([, { kind, metadata }]) => kind !== 'Event' && BigInt(metadata.resourceVersion!) > before,
  );
  expect(
    written.map(([key]) => key),
    told,
  ).toEqual([]);
  expect(cluster.problems, told).toEqual([]);
  await cluster.stop();
}

it.each(Array.from({ length: 20 }, (_, index) => index + 1))('seed %i', run);
