/** The list of control planes, and which of them may be taken away. */
import { afterAll, describe, expect, test } from 'vitest';
import { type MembershipHandlers, membershipHandlers } from '../../../control-plane/membership.ts';
import { replicaKey } from '../../../control-plane/replicas.ts';
import { followStore } from '../../../control-plane/state/follow.ts';
import { plainCodec } from '../../../control-plane/state/object-codec.ts';
import { systemClock } from '../../../lib/clock.ts';
import { GantryError } from '../../../lib/errors.ts';
import { silentLog } from '../../../lib/log.ts';
import type { EtcdMember, EtcdMembers } from '../../../lib/store/etcd-members.ts';
import { createMemoryStore } from '../../../lib/store/memory.ts';
import { putOf } from '../../../lib/store/store.ts';
import { admin } from './api/harness.ts';

interface Cluster {
  readonly handlers: MembershipHandlers;
  /** Numbers of the members that do not answer; their replicas neither. */
  readonly dead: Set<number>;
  /** Awake, but not in touch with the others. */
  readonly behind: Set<number>;
  readonly removed: string[];
  etcdLeader: number;
  keys(): Promise<string[]>;
}

const ending = new AbortController();
afterAll(() => ending.abort());

const member = (number: number, changes: Partial<EtcdMember> = {}): EtcdMember => ({
  id: `${number}`,
  name: `cp-${number}`,
  peerUrl: `https://10.0.0.${number}:2380`,
  clientAddress: `10.0.0.${number}:2379`,
  isLearner: false,
  ...changes,
});

async function cluster(given: readonly EtcdMember[], options: { external?: boolean } = {}): Promise<Cluster> {
  const store = createMemoryStore({ clock: systemClock });
  for (const { id } of given) {
    await store.transact({ compare: [], success: [putOf(replicaKey(`cp-${id}`), Buffer.from(`10.0.0.${id}:6443`))] });
  }
  const state = followStore({ store, codec: plainCodec, clock: systemClock, log: silentLog, signal: ending.signal });
  await state.whenSynced();
  const dead = new Set<number>();
  const behind = new Set<number>();
  const removed: string[] = [];
  const numberAt = (address: string): number => Number(/\.(\d+):/.exec(address)?.[1]);
  let left = given;
  const members: EtcdMembers = {
    list: async () => left,
    addLearner: async () => [],
    promote: async () => {},
    setPeerUrl: async () => {},
    async remove(id) {
      removed.push(id);
      left = left.filter((one) => one.id !== id);
    },
    async standing(address) {
      const number = numberAt(address);
      if (dead.has(number) || Number.isNaN(number)) throw new GantryError('unavailable', 'no answer');
      return { id: `${number}`, isLeader: number === result.etcdLeader, hasLeader: true };
    },
    async caughtUp(address) {
      if (behind.has(numberAt(address))) throw new GantryError('unavailable', 'no answer');
    },
    async moveLeader(_from, id) {
      result.etcdLeader = Number(id);
    },
  };
  const result: Cluster = {
    dead,
    behind,
    removed,
    etcdLeader: 2,
    handlers: membershipHandlers({
      ...{ state, store, clock: systemClock, log: silentLog },
      ...(!options.external && { members }),
      leader: () => 'cp-1',
      isServing: async (address) => !dead.has(numberAt(address)),
    }),
    keys: async () => (await store.list('/gantry/control-planes/')).items.map(({ key }) => key.split('/').at(-1)!),
  };
  return result;
}

describe('the control planes', () => {
  test('are listed with who leads, who serves, and what their etcd members are', async () => {
    const { handlers, dead } = await cluster([member(2), member(1), member(3), member(4, { isLearner: true })]);
    dead.add(3);
    const { controlPlanes } = await handlers.ListControlPlanes({}, admin);
    expect(controlPlanes).toEqual([
      { name: 'cp-1', address: '10.0.0.1:6443', ready: true, leader: true, etcd: 'follower' },
      { name: 'cp-2', address: '10.0.0.2:6443', ready: true, leader: false, etcd: 'leader' },
      { name: 'cp-3', address: '10.0.0.3:6443', ready: false, leader: false, etcd: 'unreachable' },
      { name: 'cp-4', address: '10.0.0.4:6443', ready: true, leader: false, etcd: 'learner' },
    ]);
  });

  test('a member that is awake, but not in touch with the others yet, does not count', async () => {
    const { handlers, behind } = await cluster([member(1), member(2), member(3)]);
    behind.add(3);
    const { controlPlanes } = await handlers.ListControlPlanes({}, admin);
    expect(controlPlanes!.map(({ etcd }) => etcd)).toEqual(['follower', 'leader', 'unreachable']);
    await expect(handlers.RemoveControlPlane({ name: 'cp-2' }, admin)).rejects.toThrow('no majority');
  });

  test('a member that has never started is the replica on its host', async () => {
    const { handlers } = await cluster([member(1), member(2, { name: '', clientAddress: '', isLearner: true })]);
    const { controlPlanes } = await handlers.ListControlPlanes({}, admin);
    expect(controlPlanes!.map(({ name, etcd }) => [name, etcd])).toEqual([
      ['cp-1', 'follower'],
      ['cp-2', 'learner'],
    ]);
  });

  test('one is removed with its member and its key: a dead one, and a living one that leads etcd', async () => {
    const all = await cluster([member(1), member(2), member(3)]);
    all.dead.add(3);
    const { warnings } = await all.handlers.RemoveControlPlane({ name: 'cp-3' }, admin);
    expect(warnings).toEqual([expect.stringMatching(/cp-3 will not start again.*keys of the cluster/)]);
    const living = await all.handlers.RemoveControlPlane({ name: 'cp-2' }, admin);
    expect(living.warnings).toEqual([expect.stringMatching(/cp-2 ends by itself/)]);
    expect([all.removed, await all.keys(), all.etcdLeader]).toEqual([['3', '2'], ['cp-1'], 1]);
  });

  test('one that was removed half is removed whole', async () => {
    const all = await cluster([member(1), member(2), member(3)]);
    await all.handlers.RemoveControlPlane({ name: 'cp-3' }, admin);
    await expect(all.handlers.RemoveControlPlane({ name: 'cp-3' }, admin)).rejects.toThrow(
      'there is no control plane "cp-3"; there are cp-1, cp-2',
    );
  });

  test('is refused when those that are left could not go on', async () => {
    const three = await cluster([member(1), member(2), member(3)]);
    three.dead.add(3);
    await expect(three.handlers.RemoveControlPlane({ name: 'cp-2' }, admin)).rejects.toThrow(
      'without cp-2 there would be no majority (1 of the 2 etcd members that would be left answers, 2 needed); ' +
        'start cp-3 again, or remove cp-3 first',
    );
    expect([three.removed, await three.keys()]).toEqual([[], ['cp-1', 'cp-2', 'cp-3']]);

    const one = await cluster([member(1)]);
    await expect(one.handlers.RemoveControlPlane({ name: 'cp-1' }, admin)).rejects.toThrow('is the only control plane');
    const learner = await cluster([member(1), member(2, { isLearner: true })]);
    await expect(learner.handlers.RemoveControlPlane({ name: 'cp-1' }, admin)).rejects.toThrow('let another one join');
    await learner.handlers.RemoveControlPlane({ name: 'cp-2' }, admin);
    expect(learner.removed).toEqual(['2']);
  });

  test('with an etcd of its own a cluster loses the replica alone', async () => {
    const { handlers, keys, removed } = await cluster([member(1), member(2)], { external: true });
    const { controlPlanes } = await handlers.ListControlPlanes({}, admin);
    expect(controlPlanes!.map(({ etcd }) => etcd)).toEqual([undefined, undefined]);
    await handlers.RemoveControlPlane({ name: 'cp-2' }, admin);
    expect([removed, await keys()]).toEqual([[], ['cp-1']]);
  });
});
