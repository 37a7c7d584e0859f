/** How fast a rollout may go: by pods that are available, not by those that are ready. */
import { afterEach, expect, it } from 'vitest';
import { findCondition, setCondition } from '../../../../lib/model/conditions.ts';
import { isDeleting } from '../../../../lib/model/object.ts';
import { isPodAvailable } from '../../../../lib/model/pods.ts';
import type { Deployment, Pod } from '../../../../proto/gen/types.ts';
import { type Cluster, deployment, startCluster, withImage } from './cluster.ts';

let cluster: Cluster;
afterEach(async () => {
  await cluster.stop();
  expect(cluster.problems).toEqual([]);
});

const current = (): Deployment => cluster.state.get('Deployment', 'default', 'web')!;
const imageOf = (pod: Pod): string => pod.spec.containers[0]!.image;
const living = (): Pod[] => cluster.pods().filter((pod) => !isDeleting(pod));
const progressing = () => findCondition(current().status?.conditions, 'Progressing');
const isOver = (): boolean =>
  progressing()?.reason === 'NewReplicaSetAvailable' && living().every((pod) => imageOf(pod) === 'echo:2');
const strategy = { rollingUpdate: { maxSurge: '1', maxUnavailable: '0' } };
const minReadySeconds = 30;

async function begin(): Promise<void> {
  cluster = await startCluster();
  await cluster.create(deployment('web', { minReadySeconds, strategy, progressDeadlineSeconds: 60 }));
  await cluster.until(() => progressing()?.reason === 'NewReplicaSetAvailable', 'revision 1');
  await cluster.edit('Deployment', 'web', (object) => withImage(object, 'echo:2'));
}

it('an old pod goes only when a new one has been ready for minReadySeconds', async () => {
  await begin();
  const fewest: number[] = [];
  cluster.state.onChange(() => {
    fewest.push(living().filter((pod) => isPodAvailable(pod, minReadySeconds, cluster.clock.nowMs())).length);
  });
  const startedMs = cluster.clock.nowMs();
  await cluster.until(isOver, 'the rollout', 300_000);
  // One after the other: each is waited for, and the deadline begins anew with each.
  expect(cluster.clock.nowMs() - startedMs).toBeGreaterThanOrEqual(3 * minReadySeconds * 1000);
  expect(cluster.clock.nowMs() - startedMs).toBeLessThan(3 * minReadySeconds * 1000 + 10_000);
  expect(Math.min(...fewest)).toBeGreaterThanOrEqual(3);
});

it('a pod that loses its readiness begins anew', async () => {
  await begin();
  await cluster.clock.advance(20_000);
  const young = living().find((pod) => imageOf(pod) === 'echo:2')!;
  cluster.isBroken = (pod) => pod.metadata.uid === young.metadata.uid;
  await cluster.edit('Pod', young.metadata.name, (pod) => ({
    ...pod,
    status: {
      ...pod.status,
      conditions: setCondition(pod.status?.conditions, { type: 'Ready', status: 'False' }, cluster.clock.nowMs()),
    },
  }));
  await cluster.clock.advance(15_000); // it would be available by now
  expect(living().filter((pod) => imageOf(pod) === 'echo:1')).toHaveLength(3);
  cluster.isBroken = () => false;
  await cluster.edit('Pod', young.metadata.name, (pod) => ({
    ...pod,
    metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, seen: 'x' } },
  }));
  await cluster.clock.advance(25_000);
  expect(living().filter((pod) => imageOf(pod) === 'echo:1')).toHaveLength(3);
  await cluster.clock.advance(10_000);
  expect(living().filter((pod) => imageOf(pod) === 'echo:1')).toHaveLength(2);
});
