import { describe, expect, it } from 'vitest';
import {
  defragmentRegularly,
  defragmentWhereWorth,
  toDefragment,
} from '../../../../control-plane/leader/defragmentation.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { silentLog } from '../../../../lib/log.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import type { Database, Store } from '../../../../lib/store/store.ts';

const mebibyte = 2 ** 20;

const database = (member: string, sizeMiB: number, usedMiB: number, isLeader = false): Database => ({
  member,
  isLeader,
  sizeBytes: sizeMiB * mebibyte,
  usedBytes: usedMiB * mebibyte,
  defragment: async () => {},
});

describe('a member is defragmented', () => {
  const chosen = (...databases: Database[]): string[] => toDefragment(databases).map(({ member }) => member);
  const full = database('full', 300, 290);

  it('when more than half of a large file is air', () => {
    expect(chosen(full, database('a', 300, 140), database('b', 300, 160), database('small', 60, 2))).toEqual(['a']);
  });

  it('after all others, when it leads', () => {
    expect(chosen(database('a', 900, 100, true), database('b', 900, 100), database('c', 900, 100))).toEqual([
      'b',
      'c',
      'a',
    ]);
  });

  it('when it is alone only if that is quickly done, or the quota is near', () => {
    expect(chosen(database('alone', 400, 150, true))).toEqual(['alone']);
    expect(chosen(database('alone', 800, 300, true))).toEqual([]);
    expect(chosen(database('alone', 1700, 1000, true))).toEqual(['alone']);
    expect(chosen(database('alone', 1700, 1600, true))).toEqual([]);
  });
});

describe('defragmenting', () => {
  /** Members whose files are small once they have been defragmented. */
  function cluster(count: number, tookMs: number) {
    const clock = virtualClock();
    const story: string[] = [];
    const air = new Set(Array.from({ length: count }, (_, index) => `m${index}`));
    const members = [...air];
    let away = 0;
    const store: Store = {
      ...createMemoryStore({ clock }),
      databases: async () =>
        members.map((member) => ({
          ...database(member, air.has(member) ? 500 : 10, 10, member === 'm0'),
          async defragment() {
            away += 1;
            story.push(`${member} begins, ${away} away`);
            await clock.sleep(tookMs);
            away -= 1;
            air.delete(member);
          },
        })),
    };
    return { clock, store, story };
  }

  it('takes one member after another, the leader last, never two at once', async () => {
    const { clock, store, story } = cluster(3, 5_000);
    const { signal } = new AbortController();
    const done = defragmentWhereWorth({ store, clock, log: silentLog, signal });
    await clock.advance(60_000);
    await done;
    expect(story).toEqual(['m1 begins, 1 away', 'm2 begins, 1 away', 'm0 begins, 1 away']);
  });

  it('begins a minute after the term, and ends with it', async () => {
    const { clock, store, story } = cluster(3, 5_000);
    const term = new AbortController();
    const done = defragmentRegularly({ store, clock, log: silentLog, signal: term.signal });
    await clock.advance(59_000);
    expect(story).toEqual([]);
    await clock.advance(2_000);
    expect(story).toEqual(['m1 begins, 1 away']);
    term.abort(new Error('over'));
    await clock.advance(60_000);
    await done;
    expect(story).toHaveLength(1);
  });

  it('waits while a member does not answer', async () => {
    const { clock, store, story } = cluster(3, 5_000);
    const term = new AbortController();
    const { databases } = store;
    let answers = false;
    const whole = {
      ...store,
      databases: async () => (answers ? databases!() : Promise.reject(new Error('no answer'))),
    };
    const done = defragmentRegularly({ store: whole, clock, log: silentLog, signal: term.signal });
    await clock.advance(200_000);
    expect(story).toEqual([]);
    answers = true;
    await clock.advance(60_000);
    expect(story[0]).toBe('m1 begins, 1 away');
    term.abort(new Error('over'));
    await clock.advance(60_000);
    await done;
  });
});
