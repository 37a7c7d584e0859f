import { describe, expect, it } from 'vitest';
import { createEventRecorder } from '../../../../control-plane/events/recorder.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { silentLog } from '../../../../lib/log.ts';
import { decodeObject } from '../../../../lib/model/codec.ts';
import type { EventFacts } from '../../../../lib/model/event.ts';
import { seededRandom } from '../../../../lib/random.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';

const facts = (pod: string): EventFacts => ({
  type: 'Normal',
  reason: 'Started',
  message: 'Started container web',
  about: { kind: 'Pod', namespace: 'default', name: pod, uid: `uid-${pod}` },
  component: 'node-agent',
});

function recording() {
  const clock = virtualClock();
  const store = createMemoryStore({ clock });
  const recorder = createEventRecorder({ store, clock, random: seededRandom(1), log: silentLog });
  const stored = async () => {
    const { items, revision } = await store.list('/gantry/events/');
    return { counts: items.map(({ value }) => decodeObject('Event', value).count), revision };
  };
  return { clock, recorder, stored };
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
});
