/** What is left of a pod on its node while and after it is taken away. */
import { expect, test } from 'vitest';
import { configMap, createTestNode, markDeleted, testContainer, testPod } from './fixture.ts';

const stubborn = testContainer('main', { command: ['sh', '-c', 'trap "" TERM; sleep 9999'] });

test('an address is not attached while a pod that was deleted by force still holds it', async () => {
  const node = createTestNode();
  await node.startAgent();
  const old = testPod('old', { containers: [stubborn], terminationGracePeriodSeconds: 10 });
  node.slice.put(old);
  await node.clock.until(() => node.isReady('old'), 1_000);
  // By force: its object is gone, its address is free, and the next pod has it.
  const next = { ...testPod('next'), status: old.status! };
  node.slice.remove('Pod', 'old');
  node.slice.put(next);
  let shared = false;
  const look = (): boolean => {
    const holders = [...node.network.attached.values()].filter(({ ip }) => ip === old.status!.podIP);
    shared ||= holders.length > 1;
    return node.isReady('next');
  };
  await node.clock.until(look, 60_000);
  expect(shared).toBe(false);
  expect([...node.network.attached.keys()]).toEqual([next.metadata.uid]);
  expect(node.host.containers.size).toBe(1);
});

test('a record that is being written while its pod is cleared away does not come back', async () => {
  const node = createTestNode();
  const { saveRecord } = node.files;
  // A disk that takes its time, now and then a long one.
  node.files.saveRecord = async (record) => {
    await node.clock.sleep(300);
    await saveRecord(record);
  };
  await node.startAgent();
  const pod = testPod('web');
  node.slice.put(pod);
  await node.clock.until(() => node.isReady('web'), 10_000);
  // What changes while the last steps are taken is noted, too.
  const deleted = markDeleted(pod, 0);
  node.slice.put(deleted);
  for (let generation = 2; !node.removed.includes('web'); generation += 1) {
    if (generation > 500) throw new Error('the pod never goes');
    node.slice.put({ ...deleted, metadata: { ...deleted.metadata, generation } });
    await node.clock.advance(20);
  }
  await node.clock.advance(1_000);
  expect(node.files.records.size).toBe(0);
});

test('what a slice older than the pod lacks stays until a newer one lacks it, too', async () => {
  const node = createTestNode();
  await node.startAgent();
  const others = (count: number): void => {
    for (let index = 0; index < count; index += 1) node.slice.put(configMap('other', { value: `${index}` }));
  };
  others(5);
  node.slice.put(testPod('web'));
  await node.clock.until(() => node.isReady('web'), 10_000);
  // The agent ends before its copy of the slice is on disk; then the pod goes by force.
  node.crashAgent();
  node.slice.forget();
  others(1);
  await node.startAgent();
  await node.clock.advance(10_000);
  expect(node.isReady('web')).toBe(true);
  expect(node.host.containers.size).toBe(1);
  others(9);
  await node.clock.until(() => node.removed.includes('web'), 60_000);
  expect(node.host.containers.size).toBe(0);
});
