/** Watches that are not read: what waits for them is bounded, they lose nothing, and they are told where to resume. */
import { describe, expect, it, vi } from 'vitest';
import { mostWaiting, defaultStallMs as stallMs } from '../../../../control-plane/api/watch-hub.ts';
import { type VirtualClock, virtualClock } from '../../../../lib/clock-virtual.ts';
import type { GantryError } from '../../../../lib/errors.ts';
import { fromEnvelope } from '../../../../lib/model/codec.ts';
import { type Operation, putOf } from '../../../../lib/store/store.ts';
import type { ConfigMap, WatchEvent, WatchRequest } from '../../../../proto/gen/types.ts';
import { configMapManifest, contextOf, createHarness, type Harness, manifest } from './harness.ts';

async function withMaps(): Promise<{ harness: Harness; clock: VirtualClock; since: string }> {
  const clock = virtualClock();
  const harness = await createHarness({ clock });
  const { resourceVersion: since = '' } = await harness.api.List({ kind: 'ConfigMap', limit: 1 }, contextOf());
  return { harness, clock, since };
}

/** `perRevision` objects in one transaction each. */
async function write(harness: Harness, count: number, perRevision = 1, label = 'x'): Promise<void> {
  const { codec, store } = harness.dependencies;
  for (let begin = 0; begin < count; begin += perRevision) {
    const success = Array.from({ length: perRevision }, (_, index): Operation => {
      const name = `m${index}`;
      const object = manifest<ConfigMap>(
        configMapManifest(name, { n: String(begin + index) }, { labels: { l: label } }),
      );
      return putOf(`/gantry/configmaps/default/${name}`, codec.encode(object));
    });
    await store.transact({ compare: [], success });
  }
}

function open(harness: Harness, request: WatchRequest, fail?: (error: GantryError) => void) {
  const stop = new AbortController();
  const context = { ...contextOf('admin', stop.signal), ...(fail && { fail }) };
  const events = harness.api.Watch({ kind: 'ConfigMap', ...request }, context)[Symbol.asyncIterator]();
  const next = async (): Promise<WatchEvent> => (await events.next()).value as WatchEvent;
  return {
    next,
    stop: () => stop.abort(new Error('stop')),
    /** What the next `count` events say. */
    async numbers(count: number): Promise<number[]> {
      const found: number[] = [];
      while (found.length < count) found.push(numberOf(await next()));
      return found;
    },
  };
}

const numberOf = ({ object }: WatchEvent): number => Number((fromEnvelope(object) as ConfigMap).data?.n);
const upTo = (first: number, end: number): number[] => Array.from({ length: end - first }, (_, index) => first + index);
/** Everything that is on its way has arrived. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

describe('a watch that is read late', () => {
  it('gets everything once, in order, also what no longer waits for it', async () => {
    const { harness, since } = await withMaps();
    const watch = open(harness, { resourceVersion: since });
    const first = watch.numbers(1);
    await settled();
    await write(harness, 3 * mostWaiting);
    await settled();
    expect(await first).toEqual([0]);
    expect(await watch.numbers(3 * mostWaiting - 1)).toEqual(upTo(1, 3 * mostWaiting));
    const late = watch.numbers(5);
    await write(harness, 5);
    expect(await late).toEqual(upTo(0, 5));
    watch.stop();
  });

  it('repeats nothing of a revision that it had begun', async () => {
    const { harness, since } = await withMaps();
    const watch = open(harness, { resourceVersion: since });
    const begun = watch.numbers(7);
    await settled();
    await write(harness, 4 * mostWaiting, 50);
    await settled();
    expect(await begun).toEqual(upTo(0, 7));
    expect(await watch.numbers(4 * mostWaiting - 7)).toEqual(upTo(7, 4 * mostWaiting));
    watch.stop();
  });

  it('with a selector that nothing has met for long does not have to begin with the beginning', async () => {
    const { harness, since } = await withMaps();
    const watch = open(harness, { resourceVersion: since, labelSelector: 'l=wanted' });
    const wanted = watch.numbers(3);
    await settled();
    await write(harness, 2 * mostWaiting);
    await settled();
    const { revision } = await harness.store.status();
    await harness.store.compact(revision);
    await write(harness, 1, 1, 'wanted');
    await settled();
    await write(harness, 2 * mostWaiting - 1, 1, 'other');
    await settled();
    await write(harness, 2, 2, 'wanted');
    expect((await wanted).slice(0, 2)).toEqual([0, 0]);
    watch.stop();
  });
});

describe('a watch that is not read at all', () => {
  it('ends after a while with the revision to resume from, which brings the rest', async () => {
    const { harness, clock, since } = await withMaps();
    const watch = open(harness, { resourceVersion: since });
    const read = watch.numbers(10);
    await settled();
    await write(harness, 2 * mostWaiting);
    await read;
    await settled();
    await clock.advance(stallMs + 1000);
    const error = (await watch.next().catch((thrown: unknown) => thrown)) as GantryError;
    expect(error.code).toBe('resourceExhausted');
    const resumeFrom = /resume from revision (\d+)$/.exec(error.message)?.[1] ?? '';
    const again = open(harness, { resourceVersion: resumeFrom });
    const rest = await again.numbers(2 * mostWaiting - 10);
    expect(rest).toEqual(upTo(10, 2 * mostWaiting));
    again.stop();
  });

  it('is ended although it does not ask for more', async () => {
    const { harness, clock, since } = await withMaps();
    const failed = vi.fn<(error: GantryError) => void>();
    const watch = open(harness, { resourceVersion: since }, failed);
    const read = watch.numbers(1);
    await settled();
    await write(harness, mostWaiting + 10);
    await read;
    await settled();
    await clock.advance(stallMs - 1000);
    expect(failed).not.toHaveBeenCalled();
    await clock.advance(stallMs);
    expect(failed.mock.calls[0]?.[0].message).toMatch(/was not read for \d+ s .*; resume from revision \d+$/);
    watch.stop();
  });

  it('stays when all that it has not read still waits for it', async () => {
    const { harness, clock, since } = await withMaps();
    const failed = vi.fn();
    const watch = open(harness, { resourceVersion: since }, failed);
    const read = watch.numbers(1);
    await settled();
    await write(harness, mostWaiting - 1);
    await read;
    await clock.advance(10 * stallMs);
    expect(failed).not.toHaveBeenCalled();
    expect(await watch.numbers(mostWaiting - 2)).toEqual(upTo(1, mostWaiting - 1));
    watch.stop();
  });
});

describe('many watches of the same objects', () => {
  it('are one watch of the store, and get the same messages', async () => {
    const { harness, since } = await withMaps();
    const storeWatch = vi.spyOn(harness.store, 'watch');
    const watches = Array.from({ length: 20 }, () => open(harness, { resourceVersion: since }));
    const events = Promise.all(watches.map((watch) => watch.next()));
    await settled();
    await write(harness, 1);
    expect(new Set(await events).size).toBe(1);
    expect(storeWatch).toHaveBeenCalledTimes(1);
    for (const watch of watches) watch.stop();
  });

  it('that begin at different revisions each get theirs', async () => {
    const { harness, since } = await withMaps();
    await write(harness, 10);
    const later = String(BigInt(since) + 5n);
    const [newer, older] = [open(harness, { resourceVersion: later }), open(harness, { resourceVersion: since })];
    expect(await newer.numbers(5)).toEqual(upTo(5, 10));
    expect(await older.numbers(10)).toEqual(upTo(0, 10));
    const both = Promise.all([newer.numbers(3), older.numbers(3)]);
    await write(harness, 3);
    expect(await both).toEqual([upTo(0, 3), upTo(0, 3)]);
    newer.stop();
    older.stop();
  });

  it('end with the last of them, and begin anew', async () => {
    const { harness, since } = await withMaps();
    const watch = open(harness, { resourceVersion: since });
    const ended = watch.next();
    await settled();
    watch.stop();
    expect(await ended).toBeUndefined();
    const { resourceVersion = '' } = await harness.api.List({ kind: 'ConfigMap' }, contextOf());
    await write(harness, 1);
    const another = open(harness, { resourceVersion });
    expect(await another.numbers(1)).toEqual([0]);
    another.stop();
  });
});
