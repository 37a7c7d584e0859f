/** What every store must do, run against the memory twin and a real etcd. Each case works under a prefix of its own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { isGantryError } from '../../lib/errors.ts';
import { seededRandom } from '../../lib/random.ts';
import { campaign, type Leadership, readLeader } from '../../lib/store/leader.ts';
import { mirror } from '../../lib/store/mirror.ts';
import {
  absent,
  CompactedError,
  createRevisionIs,
  deleteOf,
  deletePrefixOf,
  exists,
  getOf,
  type KeyValue,
  modRevisionIs,
  type Operation,
  putOf,
  type Store,
  type WatchEvent,
} from '../../lib/store/store.ts';
import { transactOnce } from '../../lib/store/transact-once.ts';
import {
  bytes,
  callTimeoutMs,
  type Harness,
  harnesses,
  maxOperations,
  record,
  textOf,
  until,
} from './store-harness.ts';

const put = async (store: Store, key: string, value: string, lease?: string): Promise<bigint> =>
  (await store.transact({ compare: [], success: [putOf(key, bytes(value), lease)] })).revision;
const write = async (store: Store, ...success: Operation[]): Promise<bigint> =>
  (await store.transact({ compare: [], success })).revision;
const ofCode = (code: string) => (error: unknown) => isGantryError(error) && error.code === code;

describe.each(Object.keys(harnesses) as (keyof typeof harnesses)[])('%s store', (kind) => {
  let harness: Harness;
  let store: Store;
  beforeAll(async () => {
    harness = await harnesses[kind]();
    store = harness.store;
  }, 30_000);
  afterAll(async () => harness?.end());

  describe('transactions', () => {
    it('creates a key once', async () => {
      const create = { compare: [absent('/cas/a')], success: [putOf('/cas/a', bytes('1'))] };
      const first = await store.transact(create);
      expect(first).toMatchObject({ succeeded: true, responses: [{ kind: 'put' }] });
      expect(await store.transact(create)).toEqual({ succeeded: false, revision: first.revision, responses: [] });
      expect((await store.get('/cas/a')).kv).toEqual({
        key: '/cas/a',
        value: bytes('1'),
        createRevision: first.revision,
        modRevision: first.revision,
        version: 1n,
        lease: '',
      });
    });

    it('changes a key only at the revision compared', async () => {
      const created = await put(store, '/cas/b', '1');
      const change = (revision: bigint) =>
        store.transact({ compare: [modRevisionIs('/cas/b', revision)], success: [putOf('/cas/b', bytes('2'))] });
      const changed = await change(created);
      expect(changed).toMatchObject({ succeeded: true, revision: created + 1n });
      expect(await change(created)).toMatchObject({ succeeded: false });
      const { kv } = await store.get('/cas/b');
      expect(kv).toMatchObject({ createRevision: created, modRevision: changed.revision, version: 2n });
    });

    it('starts a new life after a deletion', async () => {
      const first = await put(store, '/cas/c', '1');
      await write(store, deleteOf('/cas/c'));
      const second = await put(store, '/cas/c', '1');
      expect((await store.get('/cas/c')).kv).toMatchObject({ createRevision: second, version: 1n });
      const guarded = (compare: ReturnType<typeof exists>) => store.transact({ compare: [compare], success: [] });
      expect((await guarded(createRevisionIs('/cas/c', first))).succeeded).toBe(false);
      expect((await guarded(createRevisionIs('/cas/c', second))).succeeded).toBe(true);
    });

    it('writes several objects at one revision, or none', async () => {
      await put(store, '/multi/owner', 'o1');
      const before = (await store.get('/multi/owner')).kv!;
      const success = [putOf('/multi/owner', bytes('o2')), putOf('/multi/child', bytes('c')), getOf('/multi/owner')];
      const lost = await store.transact({ compare: [modRevisionIs('/multi/owner', 1n)], success });
      expect(lost.succeeded).toBe(false);
      expect((await store.get('/multi/child')).kv).toBeUndefined();
      const won = await store.transact({ compare: [modRevisionIs('/multi/owner', before.modRevision)], success });
      expect(won.succeeded).toBe(true);
      expect(won.responses[2]).toMatchObject({ kind: 'get', kv: { modRevision: won.revision, version: 2n } });
      expect((await store.list('/multi/')).items.map((kv) => kv.modRevision)).toEqual([won.revision, won.revision]);
    });

    it('runs the other list when a comparison fails', async () => {
      await put(store, '/else/a', 'there');
      const result = await store.transact({
        compare: [absent('/else/a')],
        success: [putOf('/else/a', bytes('mine'))],
        failure: [getOf('/else/a'), getOf('/else/none'), deleteOf('/else/none')],
      });
      expect(result).toMatchObject({ succeeded: false, responses: [{ kind: 'get' }, { kind: 'get' }, { deleted: 0 }] });
      expect(result.responses[1]).toEqual({ kind: 'get' });
    });

    it('takes no revision for a transaction that changes nothing', async () => {
      const before = await put(store, '/nothing/a', '1');
      expect(await write(store, deleteOf('/nothing/b'), deletePrefixOf('/nothing/c'), getOf('/nothing/a'))).toBe(
        before,
      );
    });

    it('compares values and versions, and nothing holds of a missing value', async () => {
      await put(store, '/compare/a', 'b');
      const holds = async (key: string, operator: '=' | '!=' | '<' | '>', value: string) =>
        (await store.transact({ compare: [{ key, target: 'value', operator, value: bytes(value) }], success: [] }))
          .succeeded;
      expect(await holds('/compare/a', '=', 'b')).toBe(true);
      expect(await holds('/compare/a', '<', 'ba')).toBe(true);
      expect(await holds('/compare/a', '>', 'b')).toBe(false);
      expect(await holds('/compare/a', '!=', 'b')).toBe(false);
      expect(await holds('/compare/none', '!=', 'b')).toBe(false);
      const version = { key: '/compare/none', target: 'version', operator: '=', value: 0n } as const;
      expect((await store.transact({ compare: [version, exists('/compare/a')], success: [] })).succeeded).toBe(true);
    });

    it('refuses to write a key twice', async () => {
      const refused: Operation[][] = [
        [putOf('/twice/a', bytes('1')), putOf('/twice/a', bytes('2'))],
        [putOf('/twice/a', bytes('1')), deleteOf('/twice/a')],
        [deletePrefixOf('/twice/'), putOf('/twice/a', bytes('1'))],
      ];
      for (const success of refused) {
        await expect(store.transact({ compare: [], success })).rejects.toSatisfy(ofCode('invalidArgument'));
      }
      expect((await store.get('/twice/a')).kv).toBeUndefined();
      expect(await write(store, deleteOf('/twice/a'), deleteOf('/twice/a'))).toBeGreaterThan(0n);
    });

    it('takes as many operations as it is configured for and no more', async () => {
      const puts = (count: number) => Array.from({ length: count }, (_, i) => putOf(`/many/${i}`, bytes('1')));
      expect((await store.transact({ compare: [], success: puts(maxOperations) })).succeeded).toBe(true);
      await expect(store.transact({ compare: [], success: puts(maxOperations + 1) })).rejects.toSatisfy(
        ofCode('invalidArgument'),
      );
    });

    it.each(['', 'a b', 'ä', '/a\n'])('refuses the key %j', async (key) => {
      await expect(store.get(key)).rejects.toSatisfy(ofCode('invalidArgument'));
    });

    it('settles a write whose answer is not known by reading back', async () => {
      const transaction = {
        compare: [absent('/once/a')],
        success: [putOf('/once/a', bytes('me')), putOf('/once/b', bytes('me'))],
      };
      await harness.crash();
      let attempts = 0;
      for (;;) {
        // The caller's own loop for what surely did not land.
        attempts += 1;
        const result = await transactOnce(store, transaction, { clock: systemClock }).catch((error) => {
          if (!ofCode('unavailable')(error) || attempts > 500) throw error;
        });
        if (!result) {
          await systemClock.sleep(20);
          continue;
        }
        expect(result.succeeded).toBe(true);
        break;
      }
      expect((await store.get('/once/a')).kv?.version).toBe(1n);
    });
  });

  describe('reads', () => {
    it('lists in order, by page, and after a key', async () => {
      const keys = Array.from({ length: 250 }, (_, i) => `/page/${String(i).padStart(3, '0')}`);
      await write(store, ...keys.map((key) => putOf(key, bytes(key))));
      await put(store, '/page', 'not below the prefix');
      const all = await store.list('/page/');
      expect(all.items.map((kv) => kv.key)).toEqual(keys);
      expect(all.more).toBe(false);
      const page = await store.list('/page/', { limit: 120, startAfter: '/page/004', revision: all.revision });
      expect(page.items.map((kv) => kv.key)).toEqual(keys.slice(5, 125));
      expect(page).toMatchObject({ more: true, revision: all.revision });
      expect(await store.list('/page/', { limit: 10, startAfter: '/page/239' })).toMatchObject({ more: false });
      const keysOnly = await store.list('/page/', { keysOnly: true, limit: 1 });
      expect(keysOnly.items[0]).toMatchObject({ key: '/page/000', value: new Uint8Array() });
      expect((await store.list('')).items.length).toBeGreaterThan(250);
    });

    it('reads as of a revision', async () => {
      const first = await put(store, '/past/a', '1');
      const second = await write(store, putOf('/past/a', bytes('2')), putOf('/past/b', bytes('2')));
      await write(store, deletePrefixOf('/past/'));
      const at = async (revision: bigint) =>
        (await store.list('/past/', { revision })).items.map((kv) => `${kv.key}=${textOf(kv.value)}`);
      expect(await at(first)).toEqual(['/past/a=1']);
      expect(await at(second)).toEqual(['/past/a=2', '/past/b=2']);
      expect(await at(second + 1n)).toEqual([]);
      expect(textOf((await store.get('/past/a', { revision: first })).kv?.value)).toBe('1');
      await expect(store.get('/past/a', { revision: second + 1000n })).rejects.toSatisfy(ofCode('outOfRange'));
    });

    it('keeps all pages at one revision while others write', async () => {
      await write(store, ...Array.from({ length: 250 }, (_, i) => putOf(`/still/${i}`, bytes('0'))));
      const listing = store.list('/still/');
      const writing = write(store, ...Array.from({ length: 250 }, (_, i) => putOf(`/still/${i}`, bytes('1'))));
      const [{ items }] = await Promise.all([listing, writing]);
      expect(new Set(items.map((kv) => kv.modRevision)).size).toBe(1);
    });
  });

  describe('watches', () => {
    it('replays from a revision and goes on live, previous values included', async () => {
      const first = await put(store, '/watch/a', '1');
      await put(store, '/watched', 'not below the prefix');
      await put(store, '/watch/a', '2');
      const watch = record(store, '/watch/', first + 1n);
      await until(() => watch.events.length === 1);
      const last = await write(store, deleteOf('/watch/a'), putOf('/watch/b', bytes('3')));
      await until(() => watch.events.length === 3);
      await watch.stop();
      expect(watch.events.map((e) => [e.type, e.key, textOf(e.previous?.value)])).toEqual([
        ['put', '/watch/a', '1'],
        ['delete', '/watch/a', '2'],
        ['put', '/watch/b', undefined],
      ]);
      expect(watch.batches.at(-1)).toMatchObject({ kind: 'events', revision: last });
    });

    it('leaves previous values out for who does not want them', async () => {
      const first = await put(store, '/bare/a', '1');
      await put(store, '/bare/a', '2');
      const last = await write(store, deleteOf('/bare/a'));
      const stop = new AbortController();
      const seen: WatchEvent[] = [];
      const options = { fromRevision: first, signal: stop.signal, previous: false };
      for await (const batch of store.watch('/bare/', options)) {
        if (batch.kind === 'events') seen.push(...batch.events);
        if (batch.kind === 'compacted' || batch.revision >= last) break;
      }
      expect(seen.map((event) => [event.type, event.key, event.previous])).toEqual([
        ['put', '/bare/a', undefined],
        ['put', '/bare/a', undefined],
        ['delete', '/bare/a', undefined],
      ]);
    });

    it('delivers a transaction in one batch', async () => {
      const before = await put(store, '/batch/0', '0');
      const watch = record(store, '/batch/', before + 1n);
      for (let round = 0; round < 5; round += 1) {
        await write(store, ...Array.from({ length: 20 }, (_, i) => putOf(`/batch/${i}`, bytes(`${round}`))));
      }
      await until(() => watch.events.length === 100);
      await watch.stop();
      for (const batch of watch.batches) {
        if (batch.kind !== 'events') throw new Error('compacted?');
        expect(batch.events.length % 20).toBe(0);
        expect(batch.events.at(-1)?.modRevision).toBe(batch.revision);
      }
    });

    it('misses and repeats nothing when the store is killed again and again', { timeout: 30_000 }, async () => {
      const before = await put(store, '/killed/start', '0');
      const watch = record(store, '/killed/', before + 1n);
      const crashes = new Set([20, 60, 61]);
      const total = 100;
      let previous = 0n;
      for (let i = 0; i < total; i += 1) {
        if (crashes.has(i)) await harness.crash();
        const transaction = {
          compare: [modRevisionIs('/killed/a', previous)],
          success: [putOf('/killed/a', bytes(`${i}`)), putOf(`/killed/${i % 7}`, bytes(`${i}`))],
        };
        await until(async () => {
          const result = await transactOnce(store, transaction, { clock: systemClock }).catch((error) => {
            if (!ofCode('unavailable')(error)) throw error;
          });
          if (result) expect(result.succeeded).toBe(true);
          previous = result?.revision ?? previous;
          return result !== undefined;
        });
      }
      await until(() => watch.events.length >= 2 * total);
      await watch.stop();
      const expected = Array.from({ length: total }, (_, i) => [`/killed/a=${i}`, `/killed/${i % 7}=${i}`]).flat();
      expect(watch.events.map((e) => `${e.key}=${e.type === 'put' ? textOf(e.kv.value) : ''}`)).toEqual(expected);
    });

    it('carries more than 4 MB in one go', async () => {
      const value = new Uint8Array(100_000).fill(7);
      const before = await put(store, '/large/start', '0');
      for (let i = 0; i < 3; i += 1) {
        await write(store, ...Array.from({ length: 25 }, (_, j) => putOf(`/large/${i}/${j}`, value)));
      }
      const list = await store.list('/large/');
      expect(list.items.length).toBe(76);
      expect(list.items[0]?.value).toEqual(value);
      const watch = record(store, '/large/', before + 1n);
      await until(() => watch.events.length === 75);
      await watch.stop();
      expect(new Set(watch.events.map((e) => e.key)).size).toBe(75);
      await write(store, deletePrefixOf('/large/'));
    });

    it('ends at once when aborted, also before it began', async () => {
      const aborted = record(store, '/none/', 1n);
      await aborted.stop();
      expect(aborted.events).toEqual([]);
      const never = store.watch('/none/', { fromRevision: 1n, signal: AbortSignal.abort() });
      for await (const _ of never) throw new Error('delivered after the abort');
    });
  });

  describe('compaction', () => {
    it('says so to readers and watches of what is gone, and keeps the rest', async () => {
      const first = await put(store, '/compact/a', '1');
      const second = await put(store, '/compact/a', '2');
      const third = await write(store, deleteOf('/compact/a'));
      await store.compact(second);
      await store.compact(second);
      await expect(store.get('/compact/a', { revision: first })).rejects.toBeInstanceOf(CompactedError);
      await expect(store.list('/compact/', { revision: first })).rejects.toBeInstanceOf(CompactedError);
      expect(textOf((await store.get('/compact/a', { revision: second })).kv?.value)).toBe('2');
      await expect(store.compact(third + 1000n)).rejects.toSatisfy(ofCode('outOfRange'));

      const kept = record(store, '/compact/', second + 1n);
      await until(() => kept.events.length === 1);
      await kept.stop();
      const gone = record(store, '/compact/', first);
      await gone.ended;
      expect(gone.batches).toEqual([{ kind: 'compacted', compactRevision: second }]);
    });

    it('counts a watch from the compacted revision itself as compacted, since its deletions are gone', async () => {
      await put(store, '/edge/a', '1');
      const deleted = await write(store, deleteOf('/edge/a'));
      await put(store, '/edge/b', '1');
      await store.compact(deleted);
      const watch = record(store, '/edge/', deleted);
      await watch.ended;
      expect(watch.batches).toEqual([{ kind: 'compacted', compactRevision: deleted }]);
    });

    it('also sends a watch to list again that knows of revisions that are not there', async () => {
      const { revision } = await store.status();
      const watch = record(store, '/back/', revision + 2n);
      await watch.ended;
      expect(watch.batches).toEqual([{ kind: 'compacted', compactRevision: revision }]);
    });

    it('makes a mirror list again and hand on exactly the difference', async () => {
      await write(
        store,
        ...['kept', 'changed', 'deleted', 'reborn'].map((name) => putOf(`/mirror/${name}`, bytes('1'))),
      );
      const gate = Promise.withResolvers<void>();
      const gated: Store = Object.assign(Object.create(store), {
        list: store.list.bind(store),
        async *watch(...args: Parameters<Store['watch']>) {
          await gate.promise;
          yield* store.watch(...args);
        },
      });
      const stopping = new AbortController();
      let snapshot: readonly KeyValue[] = [];
      const batches: (readonly WatchEvent[])[] = [];
      const running = mirror(gated, '/mirror/', {
        clock: systemClock,
        signal: stopping.signal,
        onSnapshot: (items) => {
          snapshot = items;
        },
        onEvents: (events) => {
          batches.push(events);
        },
      });
      await until(() => snapshot.length === 4);
      await write(store, putOf('/mirror/changed', bytes('2')), putOf('/mirror/new', bytes('2')));
      await write(store, deleteOf('/mirror/deleted'), deleteOf('/mirror/reborn'));
      const last = await put(store, '/mirror/reborn', '2');
      await store.compact(last);
      gate.resolve();
      await until(() => batches.length === 1);
      await put(store, '/mirror/kept', '3');
      await until(() => batches.length === 2);
      stopping.abort();
      await running;
      expect(batches[0]?.map((e) => [e.type, e.key, textOf(e.previous?.value)])).toEqual([
        ['put', '/mirror/changed', '1'],
        ['delete', '/mirror/deleted', '1'],
        ['put', '/mirror/new', undefined],
        ['delete', '/mirror/reborn', '1'],
        ['put', '/mirror/reborn', undefined],
      ]);
      expect(batches[1]).toMatchObject([{ type: 'put', key: '/mirror/kept', previous: snapshot[2] }]);
    });
  });

  describe('leases', () => {
    it('deletes the keys of an expired lease at one revision and wakes watchers', { timeout: 15_000 }, async () => {
      const lease = await store.grantLease(900);
      expect(lease.ttlMs).toBe(1000);
      const last = await write(store, putOf('/lease/a', bytes('1'), lease.id), putOf('/lease/b', bytes('1'), lease.id));
      await put(store, '/lease/b', 'detached');
      const watch = record(store, '/lease/', last + 2n);
      expect(await store.keepAliveLease(lease.id)).toBe(1000);
      await until(() => watch.events.length === 1);
      await watch.stop();
      expect(watch.events[0]).toMatchObject({ type: 'delete', key: '/lease/a', previous: { lease: lease.id } });
      expect((await store.get('/lease/b')).kv?.lease).toBe('');
      await expect(store.keepAliveLease(lease.id)).rejects.toSatisfy(ofCode('notFound'));
      await expect(put(store, '/lease/c', '1', lease.id)).rejects.toSatisfy(ofCode('notFound'));
    });

    it('lives as long as it is kept alive, and ends when revoked', { timeout: 15_000 }, async () => {
      const lease = await store.grantLease(1000);
      await put(store, '/alive/a', '1', lease.id);
      for (let i = 0; i < 5; i += 1) {
        await systemClock.sleep(400); // the passing of time is what is tested
        await store.keepAliveLease(lease.id);
      }
      expect((await store.get('/alive/a')).kv).toBeDefined();
      await store.revokeLease(lease.id);
      await store.revokeLease(lease.id);
      expect((await store.get('/alive/a')).kv).toBeUndefined();
    });
  });

  describe('absence', () => {
    it('refuses calls within their deadline, and everything goes on afterwards', { timeout: 20_000 }, async () => {
      const before = await put(store, '/away/a', '1');
      const watch = record(store, '/away/', before + 1n);
      await harness.goAway();
      const calls: (() => Promise<unknown>)[] = [
        () => store.get('/away/a'),
        () => store.list('/away/'),
        () => put(store, '/away/b', '1'),
        () => store.grantLease(1000),
        () => store.keepAliveLease('1'),
        () => store.status(),
      ];
      const startedMs = performance.now();
      const results = await Promise.allSettled(calls.map((call) => call()));
      const tookMs = performance.now() - startedMs;
      harness.comeBack();
      for (const [index, result] of results.entries()) {
        const what = `call ${index} ${result.status} ${result.status === 'rejected' ? result.reason : ''}`;
        expect(result.status === 'rejected' && ofCode('unavailable')(result.reason), what).toBe(true);
      }
      expect(tookMs).toBeLessThan(callTimeoutMs + 1000);
      await until(async () => {
        const revision = await put(store, '/away/c', '1').catch(() => undefined);
        return revision !== undefined;
      });
      await until(() => watch.events.some((event) => event.key === '/away/c'));
      await watch.stop();
    });
  });

  describe('leadership', () => {
    /** A store of the one candidate, which can be cut off from the real one. */
    function cuttable(): { store: Store; cut: boolean } {
      const self = {
        cut: false,
        store: new Proxy(store, {
          get(target, name: keyof Store) {
            const method = target[name] as (...args: unknown[]) => unknown;
            return (...args: unknown[]) => {
              if (self.cut) return new Promise(() => {}); // no answer at all, the worst kind of absence
              return method.apply(target, args);
            };
          },
        }),
      };
      return self;
    }

    it('passes from one to the next, on resignation and after silence', { timeout: 30_000 }, async () => {
      const log: string[] = [];
      const terms = new Map<string, Leadership>();
      const stand = (identity: string, through: Store) =>
        campaign(through, {
          key: '/leadership/one',
          identity,
          ttlMs: () => 1000,
          clock: systemClock,
          signal: new AbortController().signal,
          onElected(leadership) {
            log.push(`${identity} elected`);
            terms.set(identity, leadership);
          },
          onLost() {
            log.push(`${identity} lost`);
          },
        });
      const a = stand('a', store);
      await until(() => a.leadership !== undefined);
      const second = cuttable();
      const b = stand('b', second.store);
      await a.resign();
      await until(() => b.leadership !== undefined);
      expect(await readLeader(store, '/leadership/one')).toMatchObject({ identity: 'b' });

      const c = stand('c', store);
      const former = terms.get('b')!;
      second.cut = true;
      await until(() => c.leadership !== undefined);
      expect(log).toEqual(['a elected', 'a lost', 'b elected', 'b lost', 'c elected']);
      expect(former.isHeld()).toBe(false);
      const stale = { compare: [former.fence], success: [putOf('/leadership/work', bytes('by b'))] };
      expect((await store.transact(stale)).succeeded).toBe(false);
      const current = { compare: [terms.get('c')!.fence], success: [putOf('/leadership/work', bytes('by c'))] };
      expect((await store.transact(current)).succeeded).toBe(true);
      await c.resign();
      expect(await readLeader(store, '/leadership/one')).toBeUndefined();
    });

    it('notices that its key was taken away, and takes over from its own former life', async () => {
      await put(store, '/leadership/two', 'me');
      const reasons: string[] = [];
      let elections = 0;
      const me = campaign(store, {
        key: '/leadership/two',
        identity: 'me',
        ttlMs: () => 1000,
        clock: systemClock,
        signal: new AbortController().signal,
        replaceOwn: true,
        onElected() {
          elections += 1;
        },
        onLost(_, reason) {
          reasons.push(reason);
        },
      });
      await until(() => elections === 1);
      await write(store, deleteOf('/leadership/two'));
      await until(() => elections === 2);
      expect(reasons).toEqual(['its key was taken away']);
      await me.resign();
    });

    it('survives the store being killed', { timeout: 20_000 }, async () => {
      let held = 0;
      const me = campaign(store, {
        key: '/leadership/three',
        identity: 'me',
        ttlMs: () => 1000,
        clock: systemClock,
        signal: new AbortController().signal,
        onElected() {
          held += 1;
        },
        onLost() {
          held -= 1;
        },
      });
      await until(() => held === 1);
      await harness.crash();
      await until(() =>
        store.get('/leadership/three').then(
          () => true,
          () => false,
        ),
      );
      await until(() => me.leadership !== undefined);
      expect((await store.transact({ compare: [me.leadership!.fence], success: [] })).succeeded).toBe(true);
      await me.resign();
      expect(held).toBe(0);
    });
  });
});

describe('memory and etcd', () => {
  it('give the same answers to the same random operations, killed and compacted on the way', {
    timeout: 60_000,
  }, async () => {
    const pair = [await harnesses.memory(), await harnesses.etcd()] as const;
    try {
      const sides = await Promise.all(
        pair.map(async ({ store }): Promise<Side> => ({ store, base: (await store.status()).revision, leases: [] })),
      );
      const seed = Number(process.env.STORE_SEED ?? Date.now() % 1_000_000);
      const random = seededRandom(seed);
      const watches = sides.map(({ store, base }) => record(store, '/r/', base + 1n));
      for (let step = 0; step < 500; step += 1) {
        if (step % 200 === 150) {
          await Promise.all(pair.map(killAndWait));
          // What is compacted before a watch is back must not be what it has yet to see.
          await Promise.all(sides.map(({ store }) => put(store, '/r/marker', `${step}`)));
          await until(() => watches.every(({ events }) => events.at(-1)?.key === '/r/marker'));
        }
        const question = randomQuestion(random);
        const answers = await Promise.all(sides.map((side) => ask(side, question)));
        expect(answers[1], `seed ${seed} step ${step}: ${describeQuestion(question)}`).toEqual(answers[0]);
      }
      // Both have seen everything when they have seen what comes last.
      await Promise.all(sides.map(({ store }) => put(store, '/r/marker', 'end')));
      for (const { events, batches } of watches) {
        await until(() => {
          const last = events.at(-1);
          expect(batches.at(-1)?.kind, `seed ${seed}: the watch goes on`).toBe('events');
          return last?.type === 'put' && textOf(last.kv.value) === 'end';
        });
      }
      const seen = watches.map(({ events }, i) => relative(events, sides[i]!));
      expect(seen[1], `seed ${seed}: watch`).toEqual(seen[0]);
      await Promise.all(watches.map((watch) => watch.stop()));
    } finally {
      await Promise.all(pair.map((harness) => harness.end()));
    }
  });
});

interface Side {
  readonly store: Store;
  /** The revision at which it began. */
  readonly base: bigint;
  /** Ids by the order in which they were granted. */
  readonly leases: string[];
}

async function killAndWait({ store, crash }: Harness): Promise<void> {
  await crash();
  await until(() =>
    store.status().then(
      () => true,
      () => false,
    ),
  );
}

type Question =
  | {
      ask: 'transact';
      compare: {
        key: string;
        target: 'mod' | 'create' | 'version' | 'value';
        operator: '=' | '!=' | '<' | '>';
        value: number;
      }[];
      success: Operation[];
      failure: Operation[];
    }
  | { ask: 'list'; prefix: string; limit: number; startAfter: string; ago: number | undefined }
  | { ask: 'get'; key: string; ago: number | undefined }
  | { ask: 'compact'; ago: number }
  | { ask: 'grant' }
  | { ask: 'keepAlive' | 'revoke'; lease: string };

/** Leases are named by their number; one too high is of a lease that does not exist. */
function randomQuestion(random: ReturnType<typeof seededRandom>): Question {
  const below = (n: number): number => Math.floor(random.next() * n);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!;
  const key = (): string => `/r/${pick(['a', 'a/b', 'a/c', 'b', 'bb', 'c'])}`;
  const prefix = (): string => pick(['/r/', '/r/a', '/r/a/', '/r/b', '/r/x']);
  const operations = (): Operation[] =>
    Array.from({ length: below(4) }, (): Operation => {
      switch (below(7)) {
        case 0:
          return deleteOf(key());
        case 1:
          return deletePrefixOf(prefix());
        case 2:
          return getOf(key());
        case 3:
          return putOf(key(), bytes(`${below(5)}`), `${below(6)}`);
        default:
          return putOf(key(), bytes(`${below(5)}`));
      }
    });
  const ago = random.next() < 0.4 ? below(8) - 1 : undefined;
  switch (below(20)) {
    case 0:
      return { ask: 'grant' };
    case 1:
      return { ask: pick(['keepAlive', 'revoke']), lease: `${below(6)}` };
    case 2:
      return { ask: 'compact', ago: below(12) - 1 };
    case 3:
    case 4:
    case 5:
    case 6:
      return { ask: 'get', key: key(), ago };
    case 7:
    case 8:
    case 9:
    case 10:
      return { ask: 'list', prefix: prefix(), limit: below(4), startAfter: pick(['', key()]), ago };
    default:
      return {
        ask: 'transact',
        compare: Array.from({ length: below(3) }, () => ({
          key: key(),
          target: pick(['mod', 'create', 'version', 'value'] as const),
          operator: pick(['=', '!=', '<', '>'] as const),
          value: below(5),
        })),
        success: operations(),
        failure: operations(),
      };
  }
}

const unknownLease = '123456789';

/** Asks, and gives revisions relative to the store's beginning; refusals by their code. */
async function ask(side: Side, question: Question): Promise<unknown> {
  const { store, leases } = side;
  const leaseOf = (number: string): string => leases[Number(number)] ?? unknownLease;
  const leased = (operation: Operation): Operation =>
    operation.kind === 'put' && operation.lease ? { ...operation, lease: leaseOf(operation.lease) } : operation;
  try {
    const { revision: now } = await store.status();
    switch (question.ask) {
      case 'grant': {
        const { id, ttlMs } = await store.grantLease(600_000);
        leases.push(id);
        return ttlMs;
      }
      case 'keepAlive':
        return await store.keepAliveLease(leaseOf(question.lease));
      case 'revoke':
        return await store.revokeLease(leaseOf(question.lease));
      case 'compact': {
        const revision = now - BigInt(question.ago);
        return await store.compact(revision > 1n ? revision : 1n);
      }
      case 'transact': {
        const compare = question.compare.map(({ key, target, operator, value }) => {
          if (target === 'value') return { key, target, operator, value: bytes(`${value}`) };
          const revision = target === 'version' ? BigInt(value) : now - BigInt(value);
          return { key, target, operator, value: revision };
        });
        const [success, failure] = [question.success.map(leased), question.failure.map(leased)];
        return relative(await store.transact({ compare, success, failure }), side);
      }
    }
    const at = question.ago === undefined ? {} : { revision: now - BigInt(question.ago) };
    if (question.ask === 'get') return relative(await store.get(question.key, at), side);
    const { limit, startAfter } = question;
    return relative(await store.list(question.prefix, { limit, startAfter, ...at }), side);
  } catch (error) {
    if (isGantryError(error)) return { refused: error.code };
    throw error;
  }
}

function relative(value: unknown, { base, leases }: Side): unknown {
  return JSON.parse(
    JSON.stringify(value, (name, inner) => {
      if (name === 'lease' && inner !== '') return `lease ${leases.indexOf(inner)}`;
      if (typeof inner !== 'bigint') return inner;
      return name === 'version' ? `${inner}` : `+${inner - base}`;
    }),
  );
}

function describeQuestion(question: Question): string {
  return JSON.stringify(question, (_, inner) => (typeof inner === 'bigint' ? `${inner}` : inner));
}
