import { describe, expect, it } from 'vitest';
import { type Controller, runController } from '../../../../control-plane/controllers/run-controller.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import type { CommitResult } from '../../../../control-plane/state/commit.ts';
import type { Change, ReconcileResult } from '../../../../control-plane/state/snapshot.ts';
import { type VirtualClock, virtualClock } from '../../../../lib/clock-virtual.ts';
import { GantryError } from '../../../../lib/errors.ts';
import { silentLog } from '../../../../lib/log.ts';
import type { EventFacts } from '../../../../lib/model/event.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { ConfigMap } from '../../../../proto/gen/types.ts';

const map = (name: string, version = 1): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', resourceVersion: `${version}` },
});
const key = keyOf(map('a'));
const someChange: Change = { type: 'update', object: map('a') };

interface SetUp {
  readonly reconcile?: (key: string) => ReconcileResult;
  readonly commit?: (changes: readonly Change[]) => Promise<CommitResult>;
  readonly startKeys?: readonly string[];
}

function setUp({ reconcile = () => ({ changes: [] }), commit, startKeys = [] }: SetUp = {}) {
  const time = virtualClock();
  let spentMs = 0;
  const clock: VirtualClock = { ...time, monotonicMs: () => time.monotonicMs() + spentMs };
  const spend = (ms: number): void => {
    spentMs += ms;
  };
  const state = new MutableClusterState();
  const ending = new AbortController();
  const turns: { key: string; atMs: number }[] = [];
  const said: EventFacts[] = [];
  let deposed = 0;
  const controller: Controller = {
    name: 'test-controller',
    startKeys,
    reconcile(_snapshot, turnKey) {
      turns.push({ key: turnKey, atMs: clock.monotonicMs() });
      return reconcile(turnKey);
    },
    *keysOf({ object, previous }) {
      yield keyOf((object ?? previous)!);
    },
  };
  const finished = runController(controller, {
    state,
    commit: commit ?? (async () => ({ outcome: 'nothing' })),
    events: { record: (facts) => said.push(facts), add() {}, flush: async () => {} },
    clock,
    random: seededRandom(1),
    log: silentLog,
    signal: ending.signal,
    onDeposed: () => {
      deposed += 1;
    },
  });
  const show = (object: ConfigMap, revision: bigint): void => state.apply([{ key: keyOf(object), object }], revision);
  return { clock, state, ending, turns, said, finished, show, spend, deposed: () => deposed };
}

describe('the controller loop', () => {
  it('waits for the first picture, then looks at everything once', async () => {
    const { clock, state, turns } = setUp({ startKeys: ['start'] });
    await clock.settle();
    expect(turns).toEqual([]);
    state.replace(
      [map('a'), map('b')].map((object) => ({ key: keyOf(object), object })),
      5n,
    );
    await clock.settle();
    expect(turns.map((turn) => turn.key)).toEqual(['start', key, keyOf(map('b'))]);
  });

  it('takes many changes of one object as one turn', async () => {
    const { clock, state, turns, show } = setUp();
    state.replace([], 1n);
    await clock.settle();
    for (let version = 2; version < 10; version += 1) show(map('a', version), BigInt(version));
    await clock.settle();
    expect(turns).toHaveLength(1);
  });

  it('never gives a key a second turn before the state shows what the first one wrote', async () => {
    let left = 1;
    const { clock, state, turns, show } = setUp({
      reconcile: () => ({ changes: left-- > 0 ? [someChange] : [] }),
      commit: async () => ({ outcome: 'done', revision: 9n, created: [] }),
    });
    state.replace([{ key, object: map('a') }], 5n);
    await clock.settle();
    show(map('a', 7), 7n);
    await clock.advance(60_000);
    expect(turns).toHaveLength(1);
    show(map('a', 9), 9n);
    await clock.settle();
    expect(turns).toHaveLength(2);
  });

  it('after a lost race waits for the winner to be seen, or a moment', async () => {
    let commits = 0;
    const { clock, state, turns, show } = setUp({
      reconcile: () => ({ changes: commits < 2 ? [someChange] : [] }),
      commit: async () => {
        commits += 1;
        return { outcome: 'conflict', revision: 8n };
      },
    });
    state.replace([{ key, object: map('a') }], 5n);
    await clock.settle();
    expect(turns).toHaveLength(1);
    show(map('a', 8), 8n);
    await clock.settle();
    expect(turns).toHaveLength(2);
    await clock.until(() => turns.length === 3, 1000, 'another try');
  });

  it('backs off, ever longer, while the store is away, and other keys go on', async () => {
    const { clock, state, turns } = setUp({
      reconcile: (turnKey) => ({ changes: turnKey === key ? [someChange] : [] }),
      commit: async () => {
        throw new GantryError('unavailable', 'the store does not answer');
      },
    });
    state.replace(
      [map('a'), map('b')].map((object) => ({ key: keyOf(object), object })),
      5n,
    );
    await clock.advance(60_000);
    const times = turns.filter((turn) => turn.key === key).map(({ atMs }) => atMs);
    const delays = times.slice(1).map((atMs, index) => atMs - times[index]!);
    expect(delays.length).toBeGreaterThan(5);
    expect(delays.length).toBeLessThan(20);
    expect(delays[0]).toBeLessThanOrEqual(10);
    expect(delays.at(-1)).toBeGreaterThan(5000);
    expect(turns.filter((turn) => turn.key !== key)).toHaveLength(1);
  });

  it('survives a reconcile that throws', async () => {
    let bad = true;
    const { clock, state, turns } = setUp({
      reconcile: () => {
        if (bad) throw new Error('a mistake');
        return { changes: [] };
      },
    });
    state.replace([{ key, object: map('a') }], 5n);
    await clock.advance(100);
    expect(turns.length).toBeGreaterThan(2);
    bad = false;
    await clock.advance(60_000);
    const after = turns.length;
    await clock.advance(60_000);
    expect(turns).toHaveLength(after);
  });

  it('looks again when a reconcile asked for it, and only once', async () => {
    const { clock, state, turns, show } = setUp({
      reconcile: () => ({ changes: [], ...(turns.length < 3 && { requeueAfterMs: 1000 }) }),
    });
    state.replace([{ key, object: map('a') }], 5n);
    await clock.advance(500);
    expect(turns).toHaveLength(1);
    show(map('a', 6), 6n);
    await clock.advance(900);
    expect(turns).toHaveLength(2);
    await clock.advance(200);
    expect(turns).toHaveLength(3);
  });

  it('says only what happened: nothing after a lost race', async () => {
    const outcomes: CommitResult[] = [
      { outcome: 'conflict', revision: 5n },
      { outcome: 'done', revision: 5n, created: [] },
    ];
    const event = { type: 'Normal' as const, reason: 'Tested', message: 'it was tested', about: map('a') };
    const { clock, state, said } = setUp({
      reconcile: () => ({
        changes: outcomes.length > 0 ? [someChange] : [],
        ...(outcomes.length > 0 && { events: [event] }),
      }),
      commit: async () => outcomes.shift()!,
    });
    state.replace([{ key, object: map('a') }], 5n);
    await clock.advance(5000);
    expect(said).toMatchObject([{ reason: 'Tested', component: 'test-controller', about: { name: 'a' } }]);
  });

  it('reports that it was deposed, and ends with the term', async () => {
    const { clock, state, ending, finished, turns, show, deposed } = setUp({
      reconcile: () => ({ changes: [someChange] }),
      commit: async () => ({ outcome: 'deposed' }),
    });
    state.replace([{ key, object: map('a') }], 5n);
    await clock.settle();
    expect(deposed()).toBe(1);
    ending.abort(new Error('the term is over'));
    await finished;
    show(map('a', 6), 6n);
    await clock.settle();
    expect(turns).toHaveLength(1);
  });

  it('ends only when the write in progress has ended', async () => {
    const write = Promise.withResolvers<CommitResult>();
    const { clock, state, ending, finished } = setUp({
      reconcile: () => ({ changes: [someChange] }),
      commit: () => write.promise,
    });
    state.replace([{ key, object: map('a') }], 5n);
    await clock.settle();
    let over = false;
    void finished.then(() => {
      over = true;
    });
    ending.abort(new Error('the term is over'));
    await clock.settle();
    expect(over).toBe(false);
    write.resolve({ outcome: 'nothing' });
    await finished;
  });

  it('lets a key rest whose turn took long, for the sake of the others', async () => {
    const { clock, state, turns, show, spend } = setUp({
      reconcile: () => {
        spend(20);
        return { changes: [] };
      },
    });
    state.replace([{ key, object: map('a') }], 5n);
    await clock.settle();
    show(map('a', 6), 6n);
    show(map('a', 7), 7n);
    await clock.advance(90);
    expect(turns).toHaveLength(1);
    await clock.advance(20);
    expect(turns).toHaveLength(2);
  });

  it('gives many keys whose turns take long a part of the time together, not each', async () => {
    const { clock, state, turns, show, spend } = setUp({
      reconcile: () => {
        spend(20);
        return { changes: [] };
      },
    });
    const names = Array.from({ length: 20 }, (_, index) => `m-${index}`);
    state.replace(
      names.map((name) => ({ key: keyOf(map(name)), object: map(name) })),
      5n,
    );
    await clock.advance(1_000);
    const first = turns.length;
    const startMs = clock.monotonicMs();
    for (let revision = 6; revision < 66; revision += 1) {
      for (const name of names) show(map(name, revision), BigInt(revision));
      await clock.advance(100);
    }
    const elapsedMs = clock.monotonicMs() - startMs;
    const busyMs = (turns.length - first) * 20;
    expect(busyMs / elapsedMs).toBeLessThan(0.4);
    await clock.advance(3_000);
    const last = turns.filter(({ atMs }) => atMs > startMs + elapsedMs - 2_500).map(({ key: turnKey }) => turnKey);
    expect(new Set(last).size).toBe(names.length);
  });

  it('looks at very many objects in parts when it begins, and at all of them', async () => {
    const { clock, state, turns } = setUp();
    const many = Array.from({ length: 5_000 }, (_, index) => map(`m-${index}`));
    const all = state.all.bind(state);
    let looked = 0;
    state.all = function* counted() {
      for (const entry of all()) {
        looked += 1;
        yield entry;
      }
    };
    state.replace(
      many.map((object) => ({ key: keyOf(object), object })),
      5n,
    );
    await clock.settle();
    expect(looked).toBe(1_000);
    await clock.advance(200);
    expect(looked).toBe(5_000);
    expect(new Set(turns.map(({ key: turnKey }) => turnKey)).size).toBe(many.length);
  });

  it('lets others run between the turns of very many keys', async () => {
    const { clock, state, turns } = setUp();
    const many = Array.from({ length: 1000 }, (_, index) => map(`m-${index}`));
    state.replace(
      many.map((object) => ({ key: keyOf(object), object })),
      5n,
    );
    await clock.settle();
    expect(turns.length).toBeLessThan(1000);
    await clock.advance(1);
    expect(turns).toHaveLength(1000);
  });
});
