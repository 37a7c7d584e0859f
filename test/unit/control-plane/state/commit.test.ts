import { describe, expect, it } from 'vitest';
import { type CommitParts, commit } from '../../../../control-plane/state/commit.ts';
import { plainCodec } from '../../../../control-plane/state/object-codec.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { podIPKey } from '../../../../lib/model/allocations.ts';
import { keyOf, objectKey } from '../../../../lib/model/keys.ts';
import { controllerReference } from '../../../../lib/model/object.ts';
import { seededRandom } from '../../../../lib/random.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { absent, createRevisionIs, putOf, type Store } from '../../../../lib/store/store.ts';
import type { KubeObject, Pod, ReplicaSet } from '../../../../proto/gen/types.ts';

function setUp(): {
  store: Store;
  parts: CommitParts;
  read: <T extends KubeObject>(key: string) => Promise<T | undefined>;
} {
  const clock = virtualClock();
  const store = createMemoryStore({ clock });
  const parts = { store, codec: plainCodec, clock, random: seededRandom(1) };
  const read = async <T extends KubeObject>(key: string): Promise<T | undefined> => {
    const { kv } = await store.get(key);
    return kv && (plainCodec.decode(key, kv.value, kv.modRevision) as T);
  };
  return { store, parts, read };
}

const template = { spec: { containers: [{ name: 'main', image: 'busybox' }] } };
const replicaSet: ReplicaSet = {
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: { name: 'web', namespace: 'default' },
  spec: { replicas: 1, selector: { matchLabels: { app: 'web' } }, template },
};
const podOf = (owner: ReplicaSet): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: '',
    generateName: `${owner.metadata.name}-`,
    namespace: 'default',
    ownerReferences: [controllerReference(owner)],
  },
  spec: template.spec,
});
const replicaSetKey = keyOf(replicaSet);

async function stored(parts: CommitParts, object: KubeObject): Promise<void> {
  const result = await commit(parts, [{ type: 'create', object }]);
  expect(result.outcome).toBe('done');
}

describe('commit', () => {
  it('gives no two objects of one transaction the same name, whatever chance says', async () => {
    const { parts } = setUp();
    const suffixes = ['aaaaa', 'aaaaa', 'aaaaa', 'bbbbb'];
    const random = { ...parts.random, suffix: () => suffixes.shift()! };
    const two = [0, 1].map(() => ({ type: 'create' as const, object: podOf(replicaSet) }));
    const result = await commit({ ...parts, random }, two);
    const names = result.outcome === 'done' ? result.created.map(({ metadata }) => metadata.name) : [];
    expect(names).toEqual(['web-aaaaa', 'web-bbbbb']);
  });

  it('fills in name, uid, generation and creation time', async () => {
    const { parts, read } = setUp();
    const result = await commit(parts, [{ type: 'create', object: podOf(replicaSet) }]);
    expect(result.outcome).toBe('done');
    const [created] = result.outcome === 'done' ? result.created : [];
    expect(created!.metadata.name).toMatch(/^web-[a-z0-9]{5}$/);
    const pod = await read<Pod>(keyOf(created!));
    expect(pod?.metadata).toMatchObject({ generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' });
    expect(pod?.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('lets a second pass from a stale snapshot lose, so that nothing is made twice', async () => {
    const { store, parts, read } = setUp();
    await stored(parts, replicaSet);
    const owner = (await read<ReplicaSet>(replicaSetKey))!;
    const changes = [{ type: 'create', object: podOf(owner) } as const];
    expect((await commit(parts, changes, owner)).outcome).toBe('done');
    expect((await commit(parts, changes, owner)).outcome).toBe('conflict');
    expect((await store.list('/gantry/pods/')).items).toHaveLength(1);
  });

  it('creates nothing for an owner that is gone', async () => {
    const { parts, read } = setUp();
    await stored(parts, replicaSet);
    const owner = (await read<ReplicaSet>(replicaSetKey))!;
    await commit(parts, [{ type: 'remove', object: owner }]);
    const named = { ...podOf(owner), metadata: { name: 'fixed', namespace: 'default' } };
    expect((await commit(parts, [{ type: 'create', object: named }], owner)).outcome).toBe('conflict');
  });

  it('changes nothing when one of its objects has changed since', async () => {
    const { parts, read } = setUp();
    await stored(parts, replicaSet);
    const stale = (await read<ReplicaSet>(replicaSetKey))!;
    const scaled = { ...stale, spec: { ...stale.spec, replicas: 2 } };
    expect((await commit(parts, [{ type: 'update', object: scaled }])).outcome).toBe('done');
    const other = { ...podOf(stale), metadata: { name: 'other', namespace: 'default' } };
    const late = await commit(parts, [
      { type: 'create', object: other },
      { type: 'update', object: stale },
    ]);
    expect(late.outcome).toBe('conflict');
    expect(await read(objectKey('Pod', 'default', 'other'))).toBeUndefined();
    expect((await read<ReplicaSet>(replicaSetKey))?.spec.replicas).toBe(2);
  });

  it('leaves what somebody holds until they let go, whoever removes it', async () => {
    const { parts, read } = setUp();
    const spec = { ...template.spec, nodeName: 'n1' };
    const held: Pod = {
      ...podOf(replicaSet),
      metadata: { name: 'a', namespace: 'default', finalizers: ['x/y'] },
      spec,
    };
    await stored(parts, held);
    const pod = (await read<Pod>(keyOf(held)))!;
    expect((await commit(parts, [{ type: 'remove', object: pod }])).outcome).toBe('done');
    const marked = (await read<Pod>(keyOf(held)))!;
    expect(marked.metadata).toMatchObject({ deletionGracePeriodSeconds: 0, deletionTimestamp: expect.any(String) });
    expect((await commit(parts, [{ type: 'remove', object: marked }])).outcome).toBe('nothing');
    const free = { ...marked, metadata: { ...marked.metadata, finalizers: [] } };
    await commit(parts, [{ type: 'update', object: free }]);
    await commit(parts, [{ type: 'remove', object: (await read<Pod>(keyOf(held)))! }]);
    expect(await read<Pod>(keyOf(held))).toBeUndefined();
  });

  it('tells a deposed leader from a lost race', async () => {
    const { store, parts } = setUp();
    const key = '/gantry/leader';
    const elected = await store.transact({ compare: [absent(key)], success: [putOf(key, Uint8Array.of(1))] });
    const fenced = { ...parts, fence: createRevisionIs(key, elected.revision) };
    expect((await commit(fenced, [{ type: 'create', object: replicaSet }])).outcome).toBe('done');
    expect((await commit(fenced, [{ type: 'create', object: replicaSet }])).outcome).toBe('conflict');
    const deposed = { ...parts, fence: createRevisionIs(key, elected.revision - 1n) };
    expect((await commit(deposed, [{ type: 'create', object: podOf(replicaSet) }])).outcome).toBe('deposed');
  });

  it('marks a bound pod for its agent, removes an unbound one, and gives back its address', async () => {
    const { store, parts, read } = setUp();
    const bound = { ...podOf(replicaSet), metadata: { name: 'bound', namespace: 'default' } };
    bound.spec = { ...bound.spec, nodeName: 'node-1', terminationGracePeriodSeconds: 7 };
    bound.status = { podIP: '10.42.0.2', hostIP: '10.88.0.3' };
    const waiting = { ...podOf(replicaSet), metadata: { name: 'waiting', namespace: 'default' } };
    await stored(parts, bound);
    await stored(parts, waiting);
    await store.transact({ compare: [], success: [putOf(podIPKey('10.42.0.2'), Uint8Array.of(1))] });
    const boundKey = keyOf(bound);
    const removeBoth = async () => {
      const pods = [await read<Pod>(boundKey), await read<Pod>(keyOf(waiting))].filter((pod) => pod !== undefined);
      return commit(
        parts,
        pods.map((object) => ({ type: 'delete', object })),
      );
    };
    expect((await removeBoth()).outcome).toBe('done');
    const marked = await read<Pod>(boundKey);
    expect(marked?.metadata).toMatchObject({ deletionTimestamp: expect.any(String), deletionGracePeriodSeconds: 7 });
    expect(await read(keyOf(waiting))).toBeUndefined();
    expect((await removeBoth()).outcome).toBe('nothing');
    await commit(parts, [{ type: 'delete', object: marked!, gracePeriodSeconds: 0 }]);
    expect(await read(boundKey)).toBeUndefined();
    expect((await store.get(podIPKey('10.42.0.2'))).kv).toBeUndefined();
  });
});
