/** Leadership and settled writes under a clock that the test turns. */
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { GantryError } from '../../../../lib/errors.ts';
import { type CampaignOptions, campaign } from '../../../../lib/store/leader.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { AmbiguousWriteError, absent, modRevisionIs, putOf, type Store } from '../../../../lib/store/store.ts';
import { transactOnce } from '../../../../lib/store/transact-once.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Calls that are made while it is cut are never answered. */
function wayTo(target: Store): { readonly store: Store; isCut: boolean } {
  const store = new Proxy(target, {
    get(_, name: keyof Store) {
      const method = target[name] as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => (way.isCut ? new Promise(() => {}) : method.apply(target, args));
    },
  });
  const way = { store, isCut: false };
  return way;
}

describe('campaign', () => {
  function setup() {
    const clock = virtualClock();
    const store = createMemoryStore({ clock });
    const log: string[] = [];
    const stand = (identity: string, through: Store = store, overrides: Partial<CampaignOptions> = {}) =>
      campaign(through, {
        key: '/leader',
        identity,
        ttlMs: () => 3000,
        clock,
        signal: new AbortController().signal,
        onElected: () => log.push(`${identity} elected`),
        onLost: (_, reason) => {
          log.push(`${identity} lost: ${reason}`);
        },
        ...overrides,
      });
    return { clock, store, log, stand };
  }

  it('deposes a leader that cannot renew before its lease can have ended', async () => {
    const { clock, store, log, stand } = setup();
    const way = wayTo(store);
    const a = stand('a', way.store);
    await clock.until(() => a.leadership !== undefined, 1000);
    stand('b');
    await clock.advance(10_000);
    expect(log).toEqual(['a elected']);
    const term = a.leadership!;
    way.isCut = true;
    while (term.isHeld()) {
      expect((await store.get('/leader')).kv?.createRevision).toBe(term.createRevision);
      await clock.advance(10);
    }
    // Not held, and then over, though the lease still lasts.
    await clock.until(() => term.signal.aborted, 500);
    expect((await store.get('/leader')).kv?.createRevision).toBe(term.createRevision);
    expect(log).toEqual(['a elected', 'a lost: its lease could not be renewed in time']);
    await clock.until(() => log.includes('b elected'), 3000);
  });

  it('goes on leading when renewals hang for less than the term, though they never come back', async () => {
    const { clock, store, log, stand } = setup();
    let isCut = false;
    const flaky = new Proxy(store, {
      get(target, name: keyof Store) {
        const method = target[name] as (...args: unknown[]) => unknown;
        return (...args: unknown[]) => {
          return isCut && name === 'keepAliveLease' ? new Promise(() => {}) : method.apply(target, args);
        };
      },
    });
    const a = stand('a', flaky);
    await clock.until(() => a.leadership !== undefined, 1000);
    const { createRevision } = a.leadership!;
    for (let outage = 0; outage < 5; outage += 1) {
      await clock.advance(2000);
      isCut = true;
      await clock.advance(1500);
      isCut = false;
    }
    expect(log).toEqual(['a elected']);
    expect(a.leadership?.createRevision).toBe(createRevision);
  });

  it('does not hold what it slept through, before any timer has run', async () => {
    const { clock, store, stand } = setup();
    let skewMs = 0; // as when the process is stopped: time passes, timers do not run
    const stopped = { ...clock, monotonicMs: () => clock.monotonicMs() + skewMs };
    const a = stand('a', store, { clock: stopped });
    await clock.until(() => a.leadership !== undefined, 1000);
    const term = a.leadership!;
    skewMs = 2500;
    expect(term.isHeld()).toBe(false);
    await a.resign();
  });

  it('goes on after a stall when its renewal is answered in time, and holds nothing until then', async () => {
    const { clock, store, log, stand } = setup();
    let skewMs = 0;
    const stopped = { ...clock, monotonicMs: () => clock.monotonicMs() + skewMs };
    const a = stand('a', store, { clock: stopped });
    await clock.until(() => a.leadership !== undefined, 1000);
    const term = a.leadership!;
    skewMs = 2500;
    expect(term.isHeld()).toBe(false);
    await clock.until(() => term.isHeld(), 3000);
    await clock.advance(10_000);
    expect(term.isHeld()).toBe(true);
    expect(log).toEqual(['a elected']);
    await a.resign();
  });

  it('rides out a short absence and campaigns again after a long one', async () => {
    const { clock, store, log, stand } = setup();
    const a = stand('a');
    await clock.until(() => a.leadership !== undefined, 1000);
    store.setAvailable(false);
    await clock.advance(1000);
    store.setAvailable(true);
    await clock.advance(5000);
    expect(log).toEqual(['a elected']);
    store.setAvailable(false);
    await clock.advance(60_000);
    store.setAvailable(true);
    await clock.until(() => a.leadership !== undefined, 10_000);
    expect(log).toEqual(['a elected', 'a lost: its lease could not be renewed in time', 'a elected']);
    await a.resign();
  });

  it('begins another term when its lease has to be another one, and others wait no longer than that', async () => {
    const { clock, store, log, stand } = setup();
    let ttlMs = 15_000;
    const way = wayTo(store);
    const a = stand('a', way.store, { ttlMs: () => ttlMs });
    await clock.until(() => a.leadership !== undefined, 1000);
    const first = a.leadership!;
    await clock.advance(30_000);
    expect(a.leadership).toBe(first);
    ttlMs = 3_000;
    await clock.until(() => log.length === 3, 2_000);
    expect(log).toEqual(['a elected', 'a lost: its lease is to be 3000 ms from now on', 'a elected']);
    expect(a.leadership?.createRevision).toBeGreaterThan(first.createRevision);
    stand('b');
    await clock.advance(1_000);
    way.isCut = true;
    await clock.until(() => log.includes('b elected'), 4_000);
  });

  it('with a long lease goes on through a standstill that would have cost it a short one', async () => {
    const { clock, store, log, stand } = setup();
    const way = wayTo(store);
    const a = stand('a', way.store, { ttlMs: () => 15_000 });
    await clock.until(() => a.leadership !== undefined, 1000);
    const term = a.leadership!;
    for (let round = 0; round < 3; round += 1) {
      way.isCut = true;
      await clock.advance(10_000);
      expect(term.isHeld()).toBe(true);
      way.isCut = false;
      await clock.advance(2_000); // one renewal at least
    }
    expect(log).toEqual(['a elected']);
  });

  it('is elected although the answer to its write was lost', async () => {
    const { clock, store, log, stand } = setup();
    store.loseAnswers(1);
    const a = stand('a');
    await clock.until(() => a.leadership !== undefined, 5000);
    expect(log).toEqual(['a elected']);
    expect((await store.get('/leader')).kv?.createRevision).toBe(a.leadership?.createRevision);
    await a.resign();
  });

  it('gives the key away only when the loss has been dealt with', async () => {
    const { clock, store, stand } = setup();
    const cleanUp = Promise.withResolvers<void>();
    const a = stand('a', store, { onLost: () => cleanUp.promise });
    await clock.until(() => a.leadership !== undefined, 1000);
    const resigned = a.resign();
    await clock.settle();
    expect((await store.get('/leader')).kv).toBeDefined();
    cleanUp.resolve();
    await resigned;
    expect((await store.get('/leader')).kv).toBeUndefined();
  });

  it('leaves a key without a lease to whoever put it there', async () => {
    const { clock, store, log, stand } = setup();
    await store.transact({ compare: [], success: [putOf('/leader', bytes('someone'))] });
    const a = stand('a');
    await clock.advance(60_000);
    expect(log).toEqual([]);
    await a.resign();
  });
});

describe('transactOnce', () => {
  const create = { compare: [absent('/a')], success: [putOf('/a', bytes('me'))] };

  it('recognises its own write when the answer was lost', async () => {
    const clock = virtualClock();
    const store = createMemoryStore({ clock });
    store.loseAnswers(1);
    const result = transactOnce(store, create, { clock });
    await clock.advance(1000);
    expect(await result).toEqual({ succeeded: true, revision: 2n, responses: [{ kind: 'put' }] });
  });

  it('reports a lost race, whoever won it', async () => {
    const clock = virtualClock();
    const store = createMemoryStore({ clock });
    await store.transact({ compare: [], success: [putOf('/a', bytes('other'))] });
    expect((await transactOnce(store, create, { clock })).succeeded).toBe(false);
    // Landed, unanswered, and overwritten before it could be read back.
    store.loseAnswers(1);
    const update = { compare: [modRevisionIs('/a', 2n)], success: [putOf('/a', bytes('me'))] };
    const result = transactOnce(store, update, { clock });
    await clock.settle();
    await store.transact({ compare: [], success: [putOf('/a', bytes('other'))] });
    await clock.advance(1000);
    expect((await result).succeeded).toBe(false);
  });

  it('repeats what did not land', async () => {
    const clock = virtualClock();
    const store = createMemoryStore({ clock });
    let attempts = 0;
    const forgetful = Object.assign(Object.create(store), {
      transact: (transaction: Parameters<Store['transact']>[0]) => {
        attempts += 1;
        if (attempts === 1) return Promise.reject(new AmbiguousWriteError('lost on the way there'));
        if (attempts === 2) return Promise.reject(new GantryError('unavailable', 'still away'));
        return store.transact(transaction);
      },
    });
    const result = transactOnce(forgetful, create, { clock });
    await clock.advance(1000);
    expect(await result).toMatchObject({ succeeded: true, revision: 2n });
  });

  it('says that it does not know when the store stays away', async () => {
    const clock = virtualClock();
    const store = createMemoryStore({ clock });
    store.loseAnswers(1);
    const result = transactOnce(store, create, { clock, timeoutMs: 5000 });
    const outcome = expect(result).rejects.toBeInstanceOf(AmbiguousWriteError);
    await clock.settle();
    store.setAvailable(false);
    await clock.advance(10_000);
    await outcome;
  });
});
