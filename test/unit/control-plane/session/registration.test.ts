import { beforeEach, describe, expect, test, vi } from 'vitest';
import { CidrPicture, nodeCidrs } from '../../../../control-plane/session/node-cidr.ts';
import { NodeRanges } from '../../../../control-plane/session/node-ranges.ts';
import { type RegistrationDependencies, registerNode } from '../../../../control-plane/session/registration.ts';
import { plainCodec } from '../../../../control-plane/state/object-codec.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { nodeCIDRPrefix } from '../../../../lib/model/allocations.ts';
import { systemRandom } from '../../../../lib/random.ts';
import { createMemoryStore, type MemoryStore } from '../../../../lib/store/memory.ts';
import { deleteOf } from '../../../../lib/store/store.ts';

describe('node ranges', () => {
  test('divide the cluster CIDR from its network address on', () => {
    const all = [...nodeCidrs('10.42.5.7/16')];
    expect(all).toHaveLength(256);
    expect(all.slice(0, 2)).toEqual(['10.42.0.0/24', '10.42.1.0/24']);
    expect(all.at(-1)).toBe('10.42.255.0/24');
    expect([...nodeCidrs('192.168.7.0/24')]).toEqual(['192.168.7.0/24']);
    expect([...nodeCidrs('10.0.0.0/8')].at(-1)).toBe('10.255.255.0/24');
    expect([...nodeCidrs('172.16.0.0/22')]).toEqual([
      '172.16.0.0/24',
      '172.16.1.0/24',
      '172.16.2.0/24',
      '172.16.3.0/24',
    ]);
  });

  test.each(['10.42.0.0', '10.42.0.0/25', '10.0.0.0/7', '300.0.0.0/16', 'fd00::/64', ''])('%j is refused', (cidr) => {
    expect(() => [...nodeCidrs(cidr)]).toThrow(/cannot be divided among nodes/);
  });

  test('one’s own first, then a free one, then that of a node that is gone', () => {
    const owner = (nodeName: string, modRevision: bigint) => ({ nodeName, modRevision });
    const owners = new Map([
      [`${nodeCIDRPrefix}10.0.0.0`, owner('gone', 3n)],
      [`${nodeCIDRPrefix}10.0.1.0`, owner('here', 4n)],
      [`${nodeCIDRPrefix}10.0.2.0`, owner('mine', 5n)],
    ]);
    const exists = (name: string): boolean => name !== 'gone';
    const choose = (name: string, cidr: string) => new CidrPicture(cidr, owners, exists).choose(name);
    expect(choose('mine', '10.0.0.0/22')).toEqual({ podCIDR: '10.0.2.0/24', replaces: 5n });
    expect(choose('new', '10.0.0.0/22')).toEqual({ podCIDR: '10.0.3.0/24', replaces: 0n });
    expect(choose('new', '10.0.0.0/23')).toEqual({ podCIDR: '10.0.0.0/24', replaces: 3n });
    expect(choose('new', '10.0.1.0/24')).toBeUndefined();
  });
});

describe('registering', () => {
  let store: MemoryStore;
  let dependencies: RegistrationDependencies;
  beforeEach(() => {
    store = createMemoryStore({ clock: systemClock });
    dependencies = { store, codec: plainCodec, clock: systemClock, random: systemRandom, clusterCIDR: '10.42.0.0/22' };
  });
  const register = (name: string) => registerNode({ name, machineID: 'm' }, dependencies);

  test('many nodes at once gives each a range of its own, and no more than there are', async () => {
    const nodes = await Promise.all(['a', 'b', 'c', 'd'].map(register));
    expect(new Set(nodes.map(({ spec }) => spec.podCIDR)).size).toBe(4);
    await expect(register('e')).rejects.toThrow(/no range left for node e; delete nodes that are gone/);
  });

  test('many nodes at once reads the ranges once for all of them', async () => {
    const ranges = new NodeRanges({ ...dependencies, clusterCIDR: '10.42.0.0/16' });
    const list = vi.spyOn(store, 'list');
    const names = Array.from({ length: 50 }, (_, index) => `node-${index}`);
    const wide = { ...dependencies, clusterCIDR: '10.42.0.0/16' };
    const nodes = await Promise.all(names.map((name) => registerNode({ name, machineID: name }, wide, ranges)));
    expect(new Set(nodes.map(({ spec }) => spec.podCIDR)).size).toBe(50);
    expect(list).toHaveBeenCalledTimes(2);
  });

  test('a node that goes and comes back within that second keeps its range', async () => {
    const ranges = new NodeRanges(dependencies);
    const again = () => registerNode({ name: 'a', machineID: 'm' }, dependencies, ranges);
    const { spec } = await again();
    await store.transact({ compare: [], success: [deleteOf('/gantry/nodes/a')] });
    expect((await again()).spec).toEqual(spec);
  });

  test('again changes nothing, also when the first answer was lost', async () => {
    store.loseAnswers(1);
    const first = await register('a');
    const { revision } = await store.status();
    expect(await register('a')).toEqual(first);
    expect((await store.status()).revision).toBe(revision);
  });

  test('after the node was deleted gives it back its old range', async () => {
    await register('a');
    const { spec } = await register('b');
    await store.transact({ compare: [], success: [deleteOf('/gantry/nodes/b')] });
    expect((await register('b')).spec).toEqual(spec);
  });

  test.each(['', 'UPPER', '-a', 'a/b', 'a b', 'x'.repeat(64)])('under the name %j is refused', async (name) => {
    await expect(register(name)).rejects.toThrow(/cannot be a node's name/);
  });

  test.each(['', 'a..b', 'a.-b', 'A', 'a/b', 'x'.repeat(64)])('%j cannot be a name', async (name) => {
    await expect(register(name)).rejects.toThrow(/cannot be a node's name/);
    expect((await store.list('/')).items).toEqual([]);
  });
});
