import { describe, expect, it } from 'vitest';
import { createEventRecorder } from '../../../../control-plane/events/recorder.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { silentLog } from '../../../../lib/log.ts';
import { decodeObject } from '../../../../lib/model/codec.ts';
import type { EventFacts } from '../../../../lib/model/event.ts';
import { seededRandom } from '../../../../lib/random.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { type Compare, createRevisionIs, deleteOf, putOf } from '../../../../lib/store/store.ts';

const facts = (pod: string): EventFacts => ({
  type: 'Normal',
  reason: 'Started',
  message: 'Started container web',
  about: { kind: 'Pod', namespace: 'default', name: pod, uid: `uid-${pod}` },
  component: 'node-agent',
});

function recording(fence?: () => Compare) {
  const clock = virtualClock();
  const store = createMemoryStore({ clock });
  const parts = { store, clock, random: seededRandom(1), log: silentLog };
  const recorder = createEventRecorder({ ...parts, ...(fence && { fence }) });
  const stored = async () => {
    const { items, revision } = await store.list('/gantry/events/');
    return { counts: items.map(({ value }) => decodeObject('Event', value).count), revision };
  };
  return { clock, store, recorder, stored };
}

describe('the event recorder', () => {
  it('writes what is said within a moment in one transaction', async () => {
    const { clock, recorder, stored } = recording();
    const { revision: before } = await stored();
    recorder.record(facts('a'));
    await clock.advance(50);
    recorder.record(facts('b'));
    recorder.record(facts('b'));
    expect((await stored()).counts).toEqual([]);
    await clock.advance(100);
    const { counts, revision } = await stored();
    expect([...counts].sort()).toEqual([1, 2]);
    expect(revision - before).toBe(1n);
  });

  it('raises the count of an event that is there, beside new ones', async () => {
    const { clock, recorder, stored } = recording();
    recorder.record(facts('a'));
    await clock.advance(200);
    recorder.record(facts('a'));
    recorder.record(facts('b'));
    await clock.advance(200);
    expect([...(await stored()).counts].sort()).toEqual([1, 2]);
  });

  it('does not wait when it is flushed', async () => {
    const { recorder, stored } = recording();
    recorder.record(facts('a'));
    await recorder.flush();
    expect((await stored()).counts).toEqual([1]);
  });

  it('writes nothing any more for a term that is over, neither new events nor counts', async () => {
    const term = { fence: createRevisionIs('/gantry/leader', 0n) };
    const { clock, store, recorder, stored } = recording(() => term.fence);
    const elect = { compare: [], success: [putOf('/gantry/leader', Buffer.from('cp-1'))] };
    term.fence = createRevisionIs('/gantry/leader', (await store.transact(elect)).revision);
    recorder.record(facts('a'));
    await clock.advance(200);
    expect((await stored()).counts).toEqual([1]);
    await store.transact({ compare: [], success: [deleteOf('/gantry/leader')] });
    const { revision } = await store.transact(elect);
    recorder.record(facts('a'));
    recorder.record(facts('b'));
    await recorder.flush();
    expect(await stored()).toEqual({ counts: [1], revision });
    term.fence = createRevisionIs('/gantry/leader', revision);
    recorder.record(facts('a'));
    await recorder.flush();
    expect((await stored()).counts).toEqual([2]);
  });
});
