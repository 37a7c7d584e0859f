/** The bounds of a rolling update, in numbers and with everything running. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundsOf } from '../../../../control-plane/controllers/deployment/bounds.ts';
import { rollingUpdate, type Size } from '../../../../control-plane/controllers/deployment/rolling-update.ts';
import { isPodActive, isPodReady } from '../../../../lib/model/pods.ts';
import { deployment, startCluster, withImage } from './cluster.ts';

const size = fc
  .tuple(fc.nat(10), fc.nat(10), fc.nat(10))
  .map(([wanted, active, available]): Size => ({ wanted, active, available: Math.min(active, available) }));

describe('the arithmetic of a rolling update', () => {
  it.each([
    // replicas, surge, unavailable, newest, old -> newest, old
    ['starts with the surge', 4, 1, 1, [0, 0, 0], [[4, 4, 4]], 1, [3]],
    ['fills the room that an old pod leaves only once that pod is going', 4, 1, 1, [1, 1, 0], [[3, 4, 4]], 1, [3]],
    ['goes on when the old pod has gone', 4, 1, 1, [1, 1, 0], [[3, 3, 3]], 2, [3]],
    ['gives up old pods as new ones become available', 4, 1, 1, [2, 2, 2], [[3, 3, 3]], 2, [1]],
    ['never gives up a working pod for one that does not work', 4, 1, 0, [1, 1, 0], [[4, 4, 4]], 1, [4]],
    ['gives up old pods that do not work first', 4, 1, 1, [1, 1, 1], [[4, 4, 2]], 1, [2]],
    ['without surge lets one go first', 3, 0, 1, [0, 0, 0], [[3, 3, 3]], 0, [2]],
    ['shrinks the newest to what is wanted', 2, 1, 0, [5, 5, 5], [[0, 0, 0]], 2, [0]],
    [
      'empties the oldest first',
      3,
      1,
      0,
      [3, 3, 3],
      [
        [1, 1, 1],
        [1, 1, 1],
      ],
      3,
      [0, 0],
    ],
  ] as const)('%s', (_name, replicas, maxSurge, maxUnavailable, newest, old, wantedNewest, wantedOld) => {
    const sizeOf = ([wanted, active, available]: readonly [number, number, number]): Size => ({
      wanted,
      active,
      available,
    });
    const sizes = rollingUpdate(sizeOf(newest), old.map(sizeOf), { replicas, maxSurge, maxUnavailable });
    expect(sizes).toEqual({ newest: wantedNewest, old: wantedOld });
  });

  it('never makes room that is not there, nor gives up pods that are needed', () => {
    fc.assert(
      fc.property(
        size,
        fc.array(size, { maxLength: 4 }),
        fc.nat(10),
        fc.nat(4),
        fc.nat(4),
        (newest, old, replicas, maxSurge, off) => {
          const maxUnavailable = Math.min(off, replicas);
          const sizes = rollingUpdate(newest, old, { replicas, maxSurge, maxUnavailable });
          const kept = (of: Size, wanted: number): number => Math.min(of.available, wanted);
          const before = kept(newest, newest.wanted) + old.reduce((sum, each) => sum + kept(each, each.wanted), 0);
          const after = kept(newest, newest.wanted) + old.reduce((sum, each, i) => sum + kept(each, sizes.old[i]!), 0);
          expect(after).toBeGreaterThanOrEqual(Math.min(before, replicas - maxUnavailable));
          old.forEach(({ wanted }, i) => {
            expect(sizes.old[i]).toBeLessThanOrEqual(wanted);
            expect(sizes.old[i]).toBeGreaterThanOrEqual(0);
          });
          const present = [newest, ...old].reduce((sum, each) => sum + Math.max(each.wanted, each.active), 0);
          const grown = Math.max(0, sizes.newest - newest.wanted);
          expect(grown).toBeLessThanOrEqual(Math.max(0, replicas + maxSurge - present));
        },
      ),
    );
  });
});

describe('the bounds of a strategy', () => {
  it.each([
    [10, undefined, undefined, 3, 2],
    [10, '0', '0', 0, 1],
    [4, '50%', '50%', 2, 2],
    [3, '1', '100%', 1, 3],
    [0, '25%', '25%', 0, 0],
    [3, '25%', '25%', 1, 0],
    [2, '0%', '25%', 0, 1],
  ])('of %d replicas with surge %s and unavailable %s', (replicas, maxSurge, maxUnavailable, surge, unavailable) => {
    const rollingUpdate = { ...(maxSurge && { maxSurge }), ...(maxUnavailable && { maxUnavailable }) };
    const object = deployment('web', { replicas, strategy: { type: 'RollingUpdate', rollingUpdate } });
    expect(boundsOf(object)).toEqual({ replicas, maxSurge: surge, maxUnavailable: unavailable });
  });
});

describe('a rolling update of a running cluster', () => {
  it('respects its bounds at every step, and ends', async () => {
    const amount = fc.oneof(
      fc.nat(4).map(String),
      fc.nat(100).map((percent) => `${percent}%`),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 8 }),
        amount,
        amount,
        fc.nat(1000),
        (replicas, maxSurge, maxUnavailable, seed) => rollOut(replicas, maxSurge, maxUnavailable, seed),
      ),
      { numRuns: 25 },
    );
  }, 30_000);
});

async function rollOut(replicas: number, maxSurge: string, maxUnavailable: string, seed: number): Promise<void> {
  const cluster = await startCluster({ seed, agentMs: 2000 });
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } } as const;
  const object = deployment('web', { replicas, strategy });
  const bounds = boundsOf(object);
  await cluster.create(object);
  const ready = (image: string): number =>
    cluster.pods().filter((pod) => isPodActive(pod) && isPodReady(pod) && pod.spec.containers[0]!.image === image)
      .length;
  await cluster.until(() => ready('echo:1') === replicas, 'the first rollout');

  const violations: string[] = [];
  cluster.state.onChange(() => {
    const active = cluster.pods().filter(isPodActive);
    const available = active.filter(isPodReady).length;
    if (active.length > replicas + bounds.maxSurge) violations.push(`${active.length} pods`);
    if (available < replicas - bounds.maxUnavailable) violations.push(`${available} available`);
  });
  await cluster.edit('Deployment', 'web', (current) => withImage(current, 'echo:2'));
  await cluster.until(() => ready('echo:2') === replicas && ready('echo:1') === 0, 'the second rollout', 120_000);
  // A change of mind in the middle.
  await cluster.edit('Deployment', 'web', (current) => withImage(current, 'echo:3'));
  await cluster.clock.advance(1500);
  await cluster.edit('Deployment', 'web', (current) => withImage(current, 'echo:4'));
  await cluster.until(() => ready('echo:4') === replicas && cluster.pods().length === replicas, 'the last', 120_000);
  await cluster.stop();
  expect(violations).toEqual([]);
  expect(cluster.problems).toEqual([]);
}
