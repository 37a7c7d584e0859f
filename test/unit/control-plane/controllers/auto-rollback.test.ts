/** Rollouts that miss their deadline, and the way back by itself; with the real controllers over the memory store. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findCondition } from '../../../../lib/model/conditions.ts';
import { isPodActive, isPodReady } from '../../../../lib/model/pods.ts';
import type { Condition, Deployment, Pod, ReplicaSet } from '../../../../proto/gen/types.ts';
import { type Cluster, deployment, startCluster, withImage } from './cluster.ts';

let cluster: Cluster;
beforeEach(async () => {
  cluster = await startCluster();
  cluster.brokenImages.add('echo:bad').add('echo:worse');
});
afterEach(async () => {
  await cluster.stop();
  expect(cluster.problems).toEqual([]);
});

const auto = { 'gantry.dev/auto-rollback': 'true' };
const current = (): Deployment => cluster.state.get('Deployment', 'default', 'web')!;
const condition = (type: string): Condition | undefined => findCondition(current().status?.conditions, type);
const active = (): readonly Pod[] => cluster.pods().filter(isPodActive);
const imageOf = (pod: Pod): string => pod.spec.containers[0]!.image;
const allRun = (image: string): boolean =>
  active().length === 3 && active().every((pod) => imageOf(pod) === image && isPodReady(pod));
const replicaSetOf = (image: string): ReplicaSet =>
  cluster.state.list('ReplicaSet').find(({ spec }) => spec.template.spec.containers[0]!.image === image)!;
const revisionOf = (image: string): string =>
  replicaSetOf(image).metadata.annotations!['deployment.kubernetes.io/revision']!;
const events = (reason: string) => cluster.state.list('Event').filter((event) => event.reason === reason);
const change = (to: (object: Deployment) => Deployment): Promise<void> => cluster.edit('Deployment', 'web', to);
const isBack = (): boolean => condition('RolledBack')?.status === 'True' && events('DeploymentRollback').length > 0;

async function complete(spec: Partial<Deployment['spec']> = {}, annotations: Record<string, string> = auto) {
  const object = deployment('web', { progressDeadlineSeconds: 20, ...spec });
  await cluster.create({ ...object, metadata: { ...object.metadata, annotations } });
  await cluster.until(() => allRun('echo:1') && current().status?.completeReplicaSet !== undefined, 'revision 1');
}

describe('a rollout that misses its deadline', () => {
  it('says which pod and why, in its condition and in one event', async () => {
    await complete({}, {});
    await change((object) => withImage(object, 'echo:bad'));
    await cluster.until(() => active().some((pod) => imageOf(pod) === 'echo:bad'), 'a pod of revision 2');
    const bad = active().find((pod) => imageOf(pod) === 'echo:bad')!;
    const waiting = { reason: 'CrashLoopBackOff', message: 'back-off 20s restarting failed container=main' };
    await cluster.edit('Pod', bad.metadata.name, (pod) => ({
      ...pod,
      status: {
        ...pod.status,
        containerStatuses: [
          { name: 'main', state: { waiting }, lastState: { terminated: { exitCode: 3, reason: 'Error' } } },
        ],
      },
    }));
    await cluster.until(() => condition('Progressing')?.status === 'False', 'the deadline');
    const why = `${bad.metadata.name}: CrashLoopBackOff: ${waiting.message}; last exit code 3 (Error)`;
    expect(condition('Progressing')?.message).toContain(`has timed out progressing: 1 of 1 pods are not ready; ${why}`);
    await cluster.clock.advance(60_000);
    expect(events('ProgressDeadlineExceeded')).toMatchObject([{ type: 'Warning', count: 1 }]);
    expect(events('ProgressDeadlineExceeded')[0]!.message).toContain(why);
    expect(revisionOf('echo:bad')).toBe('2');
    expect(current().status?.rollback).toBeUndefined(); // nobody asked for it
  });
});

describe('with gantry.dev/auto-rollback', () => {
  it('goes back to the last complete revision, says so, and leaves the spec alone', async () => {
    await complete();
    await change((object) => withImage(object, 'echo:bad'));
    const { spec } = current();
    await cluster.until(isBack, 'the way back');
    expect(allRun('echo:1')).toBe(true);
    expect(current().spec).toEqual(spec);
    expect([revisionOf('echo:bad'), revisionOf('echo:1')]).toEqual(['2', '3']);
    expect(current().metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3');
    expect(current().status).toMatchObject({ updatedReplicas: 0, availableReplicas: 3 });
    const [event] = events('DeploymentRollback');
    const name = replicaSetOf('echo:1').metadata.name;
    const done = `rolled back from revision 2 to revision 1 (ReplicaSet "${name}"), now revision 3`;
    expect(event).toMatchObject({ type: 'Warning', count: 1, message: expect.stringContaining(done) });
    expect(condition('Progressing')).toMatchObject({ status: 'False', reason: 'ProgressDeadlineExceeded' });
    expect(condition('Progressing')?.message).toContain(done);
    expect(condition('RolledBack')?.message).toContain('Runs revision 3');
  });

  it('does not try the failed template again, comes to rest, and rolls out the next one', async () => {
    await complete();
    await change((object) => withImage(object, 'echo:bad'));
    await cluster.until(isBack, 'the way back');
    await cluster.clock.advance(10_000);
    const { revision } = cluster.state;
    await cluster.clock.advance(3_000_000);
    expect(cluster.state.revision).toBe(revision);
    await cluster.remove('Pod', active()[0]!.metadata.name); // its successor is of the former template too
    await cluster.until(() => allRun('echo:1'), 'the successor');
    expect(condition('RolledBack')?.status).toBe('True');
    await change((object) => ({ ...object, spec: { ...object.spec, replicas: 2 } }));
    await cluster.until(() => active().length === 2, 'fewer');
    await change((object) => ({ ...object, spec: { ...object.spec, replicas: 3 } }));
    await cluster.until(() => allRun('echo:1'), 'more again');
    await change((object) => withImage(object, 'echo:2'));
    await cluster.until(() => allRun('echo:2'), 'the next template');
    await cluster.until(() => condition('Progressing')?.reason === 'NewReplicaSetAvailable', 'its end');
    expect(current().status?.rollback).toBeUndefined();
    expect(condition('RolledBack')).toBeUndefined();
    // What was passed over may be tried again, once something else was wanted in between.
    cluster.brokenImages.delete('echo:bad');
    await change((object) => withImage(object, 'echo:bad'));
    await cluster.until(() => allRun('echo:bad'), 'the mended one');
  });

  it('stops when the former revision fails as well', async () => {
    await complete();
    await change((object) => withImage(object, 'echo:bad'));
    await cluster.until(() => active().some((pod) => imageOf(pod) === 'echo:bad'), 'revision 2');
    cluster.brokenImages.add('echo:1');
    for (const pod of active()) await cluster.remove('Pod', pod.metadata.name);
    await cluster.until(() => condition('RolledBack')?.reason === 'RollbackFailed', 'the second failure', 120_000);
    expect(condition('RolledBack')?.message).toMatch(
      /has timed out as well: .* pods are not ready; web-.*nothing more is tried/,
    );
    await cluster.clock.advance(5_000);
    const { revision } = cluster.state;
    await cluster.clock.advance(3_000_000);
    expect(cluster.state.revision).toBe(revision);
    expect(events('RollbackFailed')).toMatchObject([{ count: 1 }]);
    expect(events('DeploymentRollback')).toMatchObject([{ count: 1 }]);
  });

  it('has nothing to go back to when no revision was ever complete, and says so', async () => {
    const object = deployment('web', { progressDeadlineSeconds: 20, image: 'echo:bad' });
    await cluster.create({ ...object, metadata: { ...object.metadata, annotations: auto } });
    await cluster.until(() => condition('Progressing')?.status === 'False', 'the deadline');
    expect(condition('Progressing')?.message).toContain('no earlier revision was complete to go back to');
    await change((old) => withImage(old, 'echo:worse'));
    await cluster.until(
      () =>
        condition('Progressing')?.message?.includes(replicaSetOf('echo:worse').metadata.name) === true &&
        condition('Progressing')?.status === 'False',
      'the deadline of revision 2',
    );
    expect(current().status?.rollback).toBeUndefined(); // revision 1 never was complete either
  });

  it('passes over revisions that failed: two bad ones in a row lead back to the good one', async () => {
    await complete();
    await change((object) => withImage(object, 'echo:bad'));
    await cluster.until(isBack, 'the way back');
    await change((object) => withImage(object, 'echo:worse'));
    await cluster.until(() => condition('RolledBack') === undefined, 'another attempt');
    await cluster.until(isBack, 'the way back again');
    expect(allRun('echo:1')).toBe(true);
    await cluster.until(() => events('DeploymentRollback').length === 2, 'the second event');
  });

  it('does nothing while paused', async () => {
    await complete();
    await change((object) => withImage(object, 'echo:bad'));
    await cluster.until(() => active().some((pod) => imageOf(pod) === 'echo:bad'), 'revision 2');
    await change((object) => ({ ...object, spec: { ...object.spec, paused: true } }));
    await cluster.clock.advance(600_000);
    expect(current().status?.rollback).toBeUndefined();
    expect(active().some((pod) => imageOf(pod) === 'echo:bad')).toBe(true);
    await change(({ spec: { paused: _paused, ...spec }, ...object }) => ({ ...object, spec }));
    await cluster.until(isBack, 'the way back');
  });

  it('works with Recreate and without history', async () => {
    await complete({ strategy: { type: 'Recreate' }, revisionHistoryLimit: 0 });
    await change((object) => withImage(object, 'echo:bad'));
    await cluster.until(isBack, 'the way back', 120_000);
    expect(allRun('echo:1')).toBe(true);
    await cluster.clock.advance(60_000);
    expect(allRun('echo:1')).toBe(true); // also when the failed ReplicaSet has gone
    expect(cluster.state.list('ReplicaSet')).toHaveLength(1);
  });
});
