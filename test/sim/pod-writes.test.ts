/**
 * What a pod costs the store, from its creation until it is ready, with the real control plane and real agents: a number
 * of writes that does not depend on how many pods there are, in transactions that many of them share.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { allocationRoot } from '../../lib/model/allocations.ts';
import { kindPrefix } from '../../lib/model/keys.ts';
import type { WatchEvent } from '../../lib/store/store.ts';
import type { Deployment } from '../../proto/gen/types.ts';
import { SimCluster } from './cluster.ts';
import { authority } from './run.ts';
import { World } from './world.ts';

/** As docs/architecture.md says: created, bound, and what its agent reports (containers made; ready). */
const writesOfAPod = 4;
const nodes = 3;
/** Of test/sim/replica.ts; half as many bindings. */
const podsPerTransaction = 40;

interface Cost {
  /** Writes of each pod's own key. */
  readonly ofPods: readonly number[];
  readonly ofAddresses: readonly number[];
  /** Revisions that wrote pods or addresses, and that wrote anything but Events. */
  readonly podTransactions: number;
  readonly transactions: number;
}

async function costOf(replicas: number): Promise<Cost> {
  const world = new World(11);
  const cluster = new SimCluster(world, { replicas: 1, nodes, users: 1, mostPods: 100, authority: await authority() });
  cluster.start();
  await world.run(10_000, () => cluster.problems().length === 0 && world.nowMs > 5_000);
  const { revision } = await cluster.etcd.memory.status();
  cluster.users[0]!.apply(deployment(replicas));
  const pods = async () => (await cluster.etcd.memory.list(kindPrefix('Pod'))).items;
  await world.run(world.nowMs + 1_000);
  await world.run(world.nowMs + 60_000, () => cluster.problems().length === 0);
  await world.run(world.nowMs + 5_000);
  expect(cluster.problems()).toEqual([]);
  expect(cluster.violations).toEqual([]);
  expect(await pods()).toHaveLength(replicas);

  const events = await eventsAfter(cluster, revision);
  const perKey = Map.groupBy(events, ({ key }) => key);
  const writes = (prefix: string) => [...perKey].flatMap(([key, all]) => (key.startsWith(prefix) ? [all.length] : []));
  const revisions = (matches: (key: string) => boolean) =>
    new Set(events.filter(({ key }) => matches(key)).map(({ modRevision }) => modRevision)).size;
  const isPods = (key: string): boolean => key.startsWith(kindPrefix('Pod')) || key.startsWith(allocationRoot);
  return {
    ofPods: writes(kindPrefix('Pod')),
    ofAddresses: writes(allocationRoot),
    podTransactions: revisions(isPods),
    transactions: revisions((key) => !key.startsWith(kindPrefix('Event'))),
  };
}

async function eventsAfter({ etcd }: SimCluster, revision: bigint): Promise<WatchEvent[]> {
  const { revision: last } = await etcd.memory.status();
  const found: WatchEvent[] = [];
  const { signal } = new AbortController();
  for await (const batch of etcd.memory.watch('/', { fromRevision: revision + 1n, signal })) {
    if (batch.kind !== 'events') throw new Error('compacted');
    found.push(...batch.events);
    if (batch.revision >= last) return found;
  }
  return found;
}

const deployment = (replicas: number): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default' },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'main', image: 'web:1', resources: { requests: { cpu: '1m' } } }] },
    },
  },
});

describe('what a pod costs the store', () => {
  let few: Cost;
  let many: Cost;
  beforeAll(async () => {
    few = await costOf(5);
    many = await costOf(80);
  });

  it('is a bounded number of writes, one of its address among them, however many there are', () => {
    for (const { ofPods, ofAddresses } of [few, many]) {
      expect(Math.max(...ofPods)).toBeLessThanOrEqual(writesOfAPod);
      expect(Math.min(...ofPods)).toBeGreaterThanOrEqual(2);
      expect(new Set(ofAddresses)).toEqual(new Set([1]));
    }
  });

  it('shares its transactions with others: of controllers and scheduler by batches, of agents by what comes together', () => {
    const pods = many.ofPods.length;
    const created = Math.ceil(pods / podsPerTransaction);
    const bound = created + Math.ceil(pods / (podsPerTransaction / 2));
    const reported = pods / 2;
    expect(many.podTransactions).toBeLessThanOrEqual(created + bound + reported);
    // What counts them (ReplicaSet, Deployment) is each written as often as it sees something new, not for each pod.
    expect(many.transactions - many.podTransactions).toBeLessThanOrEqual(2 * many.podTransactions + nodes);
    expect(many.podTransactions / pods).toBeLessThan(few.podTransactions / few.ofPods.length / 3);
  });
});
