/** The scheduler's loop on the memory store: what lands, and what must not. */
import { describe, expect, it } from 'vitest';
import { createEventRecorder } from '../../../../control-plane/events/recorder.ts';
import { runScheduler } from '../../../../control-plane/scheduler/loop.ts';
import { followStore } from '../../../../control-plane/state/follow.ts';
import { plainCodec } from '../../../../control-plane/state/object-codec.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { GantryError } from '../../../../lib/errors.ts';
import { silentLog } from '../../../../lib/log.ts';
import { podIPKey, podIPPrefix } from '../../../../lib/model/allocations.ts';
import { decodeObject, encodeObject } from '../../../../lib/model/codec.ts';
import { keyOf, kindPrefix } from '../../../../lib/model/keys.ts';
import { seededRandom } from '../../../../lib/random.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { createRevisionIs, putOf, type Store, type Transaction } from '../../../../lib/store/store.ts';
import type { Event, KubeObject, Pod } from '../../../../proto/gen/types.ts';
import { node, pod } from './objects.ts';

const leaderKey = '/gantry/leader';

async function withScheduler(
  test: (store: Store, refused: () => number) => Promise<void>,
  largestTransactionBytes = Number.POSITIVE_INFINITY,
  meanwhile: (store: Store, transaction: Transaction) => Promise<void> = async () => {},
): Promise<void> {
  const store = createMemoryStore({ clock: systemClock });
  let refused = 0;
  const countingStore: Store = Object.create(store, {
    transact: {
      value: async (transaction: Transaction) => {
        const bytes = transaction.success.reduce((sum, step) => sum + (step.kind === 'put' ? step.value.length : 0), 0);
        if (bytes > largestTransactionBytes) throw new GantryError('invalidArgument', 'larger than etcd accepts');
        await meanwhile(store, transaction);
        const result = await store.transact(transaction);
        if (!result.succeeded) refused += 1;
        return result;
      },
    },
  });
  const stop = new AbortController();
  const { revision } = await store.transact({ compare: [], success: [putOf(leaderKey, Buffer.from('me'))] });
  const random = seededRandom(7);
  const state = followStore({ store, codec: plainCodec, clock: systemClock, log: silentLog, signal: stop.signal });
  await state.whenSynced();
  const events = createEventRecorder({ store, clock: systemClock, random, log: silentLog });
  const fence = createRevisionIs(leaderKey, revision);
  const scheduler = runScheduler({
    state,
    store: countingStore,
    fence,
    defaultStrategy: 'least-loaded',
    podsPerTransaction: 100,
    events,
    clock: systemClock,
    random,
    log: silentLog,
    signal: stop.signal,
  });
  try {
    await test(store, () => refused);
  } finally {
    stop.abort(new Error('test over'));
    await scheduler;
    await state.finished;
  }
}

const put = (store: Store, ...objects: KubeObject[]) =>
  store.transact({ compare: [], success: objects.map((object) => putOf(keyOf(object), encodeObject(object))) });

async function pods(store: Store): Promise<Pod[]> {
  const { items } = await store.list(kindPrefix('Pod'));
  return items.map((item) => decodeObject('Pod', item.value, item.modRevision));
}

const isPreempted = ({ reason }: Event): boolean => reason === 'Preempted';

describe('the scheduling loop', () => {
  it('binds pods with unique addresses that are taken in the same revision', async () => {
    await withScheduler(async (store) => {
      await put(
        store,
        node('n1', { spec: { podCIDR: '10.42.1.0/24' } }),
        node('n2', { spec: { podCIDR: '10.42.2.0/24' } }),
      );
      await put(store, ...Array.from({ length: 70 }, (_, i) => pod(`p${i}`, { owner: 'rs' })));
      await expect.poll(async () => (await pods(store)).filter((entry) => entry.spec.nodeName).length).toBe(70);
      const bound = await pods(store);
      expect(new Set(bound.map((entry) => entry.status!.podIP)).size).toBe(70);
      for (const entry of bound) {
        const { kv } = await store.get(podIPKey(entry.status!.podIP!));
        expect(Buffer.from(kv!.value).toString()).toBe(entry.metadata.uid);
        expect(kv!.modRevision.toString()).toBe(entry.metadata.resourceVersion);
        expect(entry.status!.podIP).toMatch(entry.spec.nodeName === 'n1' ? /^10\.42\.1\./ : /^10\.42\.2\./);
      }
    });
  });

  it('says why a pod waits, once, and binds it when a node appears', async () => {
    await withScheduler(async (store) => {
      await put(store, pod('a'));
      const condition = async () => (await pods(store))[0]!.status?.conditions?.[0];
      await expect.poll(condition).toMatchObject({ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' });
      await put(store, node('n1'));
      await expect.poll(condition).toMatchObject({ type: 'PodScheduled', status: 'True' });
      const reasons = async () =>
        (await store.list(kindPrefix('Event'))).items.map((item) => decodeObject('Event', item.value).reason);
      // Events are written beside the binding: the last of them tells that none is still to come.
      await expect.poll(reasons).toContain('Scheduled');
      expect((await reasons()).filter((reason) => reason === 'FailedScheduling')).toHaveLength(1);
    });
  });

  it('makes room for a pod of a better class, and binds it when the victim has gone', async () => {
    await withScheduler(async (store) => {
      const better = {
        apiVersion: 'scheduling.k8s.io/v1',
        kind: 'PriorityClass',
        metadata: { name: 'better' },
        value: 5,
      };
      await put(store, node('n1', { cpu: '2' }), pod('small', { cpu: '2', spec: { nodeName: 'n1' } }));
      await put(store, pod('vip', { cpu: '2', spec: { priorityClassName: 'better' } }));
      const named = async (name: string) => (await pods(store)).find(({ metadata }) => metadata.name === name);
      const message = async () => (await named('vip'))!.status?.conditions?.[0]?.message;
      await expect.poll(message).toContain('there is no PriorityClass "better"');
      await put(store, better as KubeObject);
      await expect.poll(async () => (await named('small'))!.metadata.deletionTimestamp).toBeDefined();
      expect((await named('vip'))!.status).toMatchObject({ nominatedNodeName: 'n1' });
      const small = await named('small');
      await store.transact({ compare: [], success: [{ kind: 'delete', key: keyOf(small!) }] });
      await expect.poll(async () => (await named('vip'))!.spec.nodeName).toBe('n1');
      const vip = (await named('vip'))!;
      expect(vip.spec.priority).toBe(5);
      expect(vip.status!.nominatedNodeName).toBeUndefined();
      const events = await store.list(kindPrefix('Event'));
      const preempted = events.items.map((item) => decodeObject('Event', item.value)).find(isPreempted);
      expect(preempted).toMatchObject({
        message: 'Preempted by pod default/vip (priority 5) on node n1',
        involvedObject: { name: 'small' },
      });
    });
  });

  it('fills the addresses of a node and no more: the others go elsewhere, or are told why not', async () => {
    await withScheduler(async (store, refused) => {
      await put(store, node('n1', { spec: { podCIDR: '10.42.1.0/29' } })); // five pods
      await put(store, ...Array.from({ length: 7 }, (_, i) => pod(`p${i}`, { owner: 'rs' })));
      const bound = async () => (await pods(store)).filter((entry) => entry.spec.nodeName);
      await expect.poll(async () => (await bound()).length).toBe(5);
      const messages = async () =>
        (await pods(store)).flatMap(({ spec, status }) =>
          spec.nodeName ? [] : (status?.conditions?.[0]?.message ?? []),
        );
      await expect.poll(messages).toEqual(Array(2).fill('0/1 nodes fit: 1 without a free pod address in 10.42.1.0/29'));
      await put(store, node('n2', { spec: { podCIDR: '10.42.2.0/29' } }));
      await expect.poll(async () => (await bound()).length).toBe(7);
      expect(refused()).toBe(0);
    });
  });

  it('does not choose a node again whose addresses are taken by nobody that it knows', async () => {
    await withScheduler(async (store) => {
      const leaked = Array.from({ length: 5 }, (_, i) => putOf(podIPKey(`10.42.1.${i + 2}`), Buffer.from('leaked')));
      await store.transact({ compare: [], success: leaked });
      await put(store, node('n1', { spec: { podCIDR: '10.42.1.0/29' } }), pod('a'));
      const message = async () => (await pods(store))[0]!.status?.conditions?.[0]?.message;
      await expect.poll(message).toBe('0/1 nodes fit: 1 without a free pod address in 10.42.1.0/29');
      const { revision } = await store.status();
      await put(store, node('n2', { spec: { podCIDR: '10.42.2.0/29' } }));
      await expect.poll(async () => (await pods(store))[0]!.spec.nodeName).toBe('n2');
      expect((await store.status()).revision - revision).toBeLessThan(10n);
    });
  });

  it('refuses many pods in few transactions', async () => {
    await withScheduler(async (store) => {
      const before = (await store.status()).revision;
      await put(store, ...Array.from({ length: 100 }, (_, i) => pod(`p${i}`)));
      const told = async () =>
        (await pods(store)).filter(({ status }) => status?.conditions?.[0]?.status === 'False').length;
      await expect.poll(told).toBe(100);
      const revisions = new Set((await pods(store)).map(({ metadata }) => metadata.resourceVersion));
      expect(revisions.size).toBeLessThanOrEqual(2);
      expect((await store.status()).revision - before).toBeLessThan(10n);
    });
  });

  it('a deposed leader binds nothing', async () => {
    await withScheduler(async (store, refused) => {
      await store.transact({ compare: [], success: [{ kind: 'delete', key: leaderKey }] });
      await store.transact({ compare: [], success: [putOf(leaderKey, Buffer.from('other'))] });
      await put(store, node('n1'), pod('a'));
      await expect.poll(() => refused()).toBeGreaterThan(0);
      expect((await pods(store))[0]!.spec.nodeName).toBeUndefined();
    });
  });

  it('binds several pods of the host network to one node: its address is not theirs to take', async () => {
    await withScheduler(async (store) => {
      await put(store, node('n1'));
      await put(store, ...['a', 'b'].map((name) => pod(name, { spec: { hostNetwork: true } })));
      await expect.poll(async () => (await pods(store)).filter((entry) => entry.spec.nodeName).length).toBe(2);
      expect((await pods(store)).map((entry) => entry.status!.podIP)).toEqual(['10.88.0.11', '10.88.0.11']);
      expect((await store.list(podIPPrefix)).items).toEqual([]);
    });
  });

  describe('pods that must not run twice', () => {
    const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'uid-db', controller: true };
    const member = (name: string): Pod => {
      const plain = pod(name);
      return { ...plain, metadata: { ...plain.metadata, ownerReferences: [owner] } };
    };
    const nodeKey = keyOf(node('n1'));

    it('are bound in transactions that rewrite their node as it is, several to one node in a row', async () => {
      await withScheduler(async (store, refused) => {
        await put(store, node('n1', { spec: { podCIDR: '10.42.1.0/24' } }), node('n2'));
        const before = (await store.get(nodeKey)).kv!;
        await put(store, ...Array.from({ length: 12 }, (_, index) => member(`db-${index}`)), pod('web'));
        await expect.poll(async () => (await pods(store)).filter((entry) => entry.spec.nodeName).length).toBe(13);
        expect(refused()).toBe(0);
        const { kv } = await store.get(nodeKey);
        expect(kv!.value).toEqual(before.value);
        const there = (await pods(store)).filter((one) => one.spec.nodeName === 'n1' && one.metadata.name !== 'web');
        expect(there).toHaveLength(6);
        const revisions = there.map(({ metadata }) => Number(metadata.resourceVersion));
        expect(new Set(revisions).size).toBe(6);
        expect(kv!.modRevision).toBe(BigInt(Math.max(...revisions)));
        expect(kv!.version - before.version).toBe(6n);
      });
    });

    it('are not bound to a node that is deleted while they are on their way', async () => {
      const deletion = { compare: [], success: [{ kind: 'delete' as const, key: nodeKey }] };
      let deleted = false;
      const isBinding = ({ success }: Transaction): boolean =>
        success.some((step) => step.kind === 'put' && step.key.startsWith(podIPPrefix));
      await withScheduler(
        async (store, refused) => {
          await put(store, node('n1'), member('db-0'));
          await expect.poll(refused).toBe(1);
          const message = async () => (await pods(store))[0]!.status?.conditions?.[0]?.message;
          await expect.poll(message).toContain('0/0 nodes fit');
          expect((await store.list(podIPPrefix)).items).toEqual([]);
        },
        Number.POSITIVE_INFINITY,
        async (store, transaction) => {
          if (deleted || !isBinding(transaction)) return;
          deleted = true;
          await store.transact(deletion);
        },
      );
    });
  });

  it('binds pods apart that are too large for one transaction, and the others beside one that never fits', async () => {
    const large = (name: string, kilobytes: number): Pod => {
      const { metadata, ...rest } = pod(name);
      return { ...rest, metadata: { ...metadata, annotations: { note: 'x'.repeat(kilobytes * 1024) } } };
    };
    await withScheduler(async (store) => {
      await put(store, node('n1'));
      await put(store, large('a', 60), large('b', 60), large('monster', 200), pod('c'));
      const bound = async () => (await pods(store)).filter((entry) => entry.spec.nodeName).map((p) => p.metadata.name);
      await expect.poll(bound).toEqual(['a', 'b', 'c']);
    }, 100 * 1024);
  });
});
