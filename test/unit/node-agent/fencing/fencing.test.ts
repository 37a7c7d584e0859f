/** What an agent does with pods that must not run twice, over the fake watchdog of its machine. */
import { describe, expect, it } from 'vitest';
import type { VirtualClock } from '../../../../lib/clock-virtual.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { createFakeWatchdog } from '../../../../node-agent/fencing/fake.ts';
import { createFencing, type LeaseFollower, type PodFencing } from '../../../../node-agent/fencing/fencing.ts';
import type { Pod } from '../../../../proto/gen/types.ts';
import { createTestNode, markDeleted, type TestNode, testPod } from '../pods/fixture.ts';

function member(name: string, annotations: Record<string, string> = {}): Pod {
  const pod = testPod(name);
  const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'uid-db', controller: true };
  return { ...pod, metadata: { ...pod.metadata, annotations, ownerReferences: [owner] } };
}
const strict = member('strict-0');
const stopAfter = member('db-0', { 'gantry.dev/fencing': 'stop-after' });
const patient = member('slow-0', { 'gantry.dev/fencing': 'stop-after', 'gantry.dev/stop-after-seconds': '60' });

describe('an agent', () => {
  interface Setting {
    readonly node: TestNode;
    /** Of the newest agent. */
    lease(): PodFencing & LeaseFollower;
    /** A session opens, with everything. */
    contact(): void;
    running(): string[];
  }
  async function setting(): Promise<Setting> {
    let newest: (PodFencing & LeaseFollower) | undefined;
    const node = createTestNode({
      fencing({ host, clock }) {
        const watchdog = createFakeWatchdog({ clock, kill: (uid) => host.killPod(uid) });
        return () => {
          newest = createFencing(watchdog);
          return newest;
        };
      },
    });
    await node.startAgent();
    return {
      node,
      lease: () => newest!,
      contact() {
        newest!.welcomed('1');
        newest!.acknowledged(newest!.nowMs());
        newest!.sliceApplied('1');
      },
      running: () =>
        [...node.host.containers.values()]
          .filter(({ status }) => status.state === 'running')
          .map(({ config }) => config.podUid)
          .sort(),
    };
  }
  const uid = (pod: Pod): string => pod.metadata.uid!;

  it('starts a pod that must not run twice only upon word of today, any other at once', async () => {
    const { node, contact, running } = await setting();
    const web = testPod('web');
    node.slice.put(strict, stopAfter, web);
    await node.clock.advance(5_000);
    expect(running()).toEqual([uid(web)]);
    contact();
    await node.clock.advance(1_000);
    expect(running()).toEqual([uid(web), uid(strict), uid(stopAfter)].sort());
  });

  it('without contact stops those of stop-after for good, each in its time, and says why', async () => {
    const { node, contact, running } = await setting();
    contact();
    node.slice.put(strict, stopAfter, patient);
    await node.clock.advance(9_000);
    expect(running()).toHaveLength(3);
    await node.clock.advance(2_000);
    expect(running()).toEqual([uid(strict), uid(patient)].sort());
    expect(node.status('db-0')).toMatchObject({ phase: 'Failed', reason: 'Fenced' });
    expect(node.status('db-0')?.message).toContain('no contact with the control plane for 10 s');
    // Word that comes too late does not bring it back, and the agent clears up what is left.
    contact();
    await node.clock.advance(60_000);
    expect(running()).toEqual([uid(strict)]);
    expect(node.status('db-0')?.phase).toBe('Failed');
    expect([...node.host.sandboxes.keys()]).toEqual([uid(strict)]);
    node.slice.put(markDeleted(stopAfter));
    await node.clock.until(() => node.removed.includes('db-0'), 2_000);
  });

  it('that is dead does not matter: the next one reports the pod stopped', async () => {
    const { node, contact, running } = await setting();
    contact();
    node.slice.put(stopAfter);
    await node.clock.advance(1_000);
    node.crashAgent();
    await node.clock.advance(10_000);
    expect(running()).toEqual([]);
    await node.startAgent();
    contact();
    await node.clock.advance(1_000);
    expect(node.status('db-0')).toMatchObject({ phase: 'Failed', reason: 'Fenced' });
    expect(running()).toEqual([]);
  });

  it('that is back in time keeps the pod, and restarts its containers meanwhile', async () => {
    const { node, contact, running, lease } = await setting();
    contact();
    node.slice.put(stopAfter);
    await node.clock.advance(1_000);
    node.crashAgent();
    await node.clock.advance(7_000);
    await node.startAgent();
    node.host.exit(`${uid(stopAfter)}-main-0`, 1);
    await node.clock.advance(500);
    expect(running()).toEqual([uid(stopAfter)]);
    contact();
    for (let beat = 0; beat < 20; beat += 1) {
      lease().acknowledged(lease().nowMs());
      await node.clock.advance(1_000);
    }
    expect(running()).toEqual([uid(stopAfter)]);
    expect(node.status('db-0')?.phase).toBe('Running');
  });

  it('never starts what was created in time and is due too late', async () => {
    const { node, contact, running } = await setting();
    contact();
    node.slice.put(stopAfter);
    await node.clock.until(() => node.host.sandboxes.size > 0, 1_000);
    node.crashAgent();
    await node.clock.advance(9_900);
    await node.startAgent();
    await node.clock.advance(5_000);
    expect(running()).toEqual([]);
    expect(node.status('db-0')).toMatchObject({ phase: 'Failed', reason: 'Fenced' });
  });
});

describe('word of today', () => {
  const start = (): { fencing: PodFencing & LeaseFollower; clock: VirtualClock } => {
    const clock = virtualClock();
    return { fencing: createFencing(createFakeWatchdog({ clock, kill() {} })), clock };
  };

  it('is a slice no older than the session', () => {
    const { fencing } = start();
    fencing.welcomed('100');
    fencing.acknowledged(fencing.nowMs());
    expect(fencing.sliceApplied('99')).toBe(false);
    expect(fencing.permission(strict)).toBe('wait');
    expect(fencing.sliceApplied('100')).toBe(true);
    expect([strict, stopAfter].map((pod) => fencing.permission(pod))).toEqual(['free', 'free']);
    fencing.welcomed('101');
    expect(fencing.permission(strict)).toBe('wait');
  });

  it('ends with a lapse of contact, after which only a new session counts', async () => {
    const { fencing, clock } = start();
    fencing.welcomed('1');
    expect(fencing.acknowledged(0)).toBe(true);
    fencing.sliceApplied('1');
    await clock.advance(4_999);
    expect(fencing.acknowledged(4_000)).toBe(true);
    await clock.advance(5_000);
    expect(fencing.acknowledged(9_000)).toBe(false);
    expect(fencing.permission(strict)).toBe('wait');
    fencing.welcomed('2');
    expect(fencing.acknowledged(9_500)).toBe(true);
    fencing.sliceApplied('2');
    expect(fencing.permission(strict)).toBe('free');
  });

  it('is nothing to a pod that has not begun when contact has ended', async () => {
    const { fencing, clock } = start();
    fencing.welcomed('1');
    fencing.acknowledged(0);
    fencing.sliceApplied('1');
    await clock.advance(10_000);
    expect(fencing.permission(stopAfter)).toBe('wait');
    expect(fencing.permission(patient)).toBe('free');
  });
});
