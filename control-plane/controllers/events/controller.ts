/** Events are kept for an hour. One sweep a minute; more often only while there is much to remove. */
import type { Event } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import type { Controller } from '../run-controller.ts';

const keptMs = 3_600_000;
const sweepMs = 60_000;
const mostPerTransaction = 100;
const sweepKey = 'sweep';

export const eventController: Controller = {
  name: 'event-controller',
  reconcile: (snapshot, _key, nowMs) => sweepEvents(snapshot, nowMs),
  keysOf: () => [],
  startKeys: [sweepKey],
};

export function sweepEvents(snapshot: Snapshot, nowMs: number): ReconcileResult {
  const outlived = snapshot.list('Event').filter((event) => lastSeenMs(event, nowMs) + keptMs <= nowMs);
  const changes = outlived.slice(0, mostPerTransaction).map((object): Change => ({ type: 'remove', object }));
  return { changes, requeueAfterMs: sweepMs };
}

/** What a client wrote may lie in the future; its creation never does. */
function lastSeenMs({ lastTimestamp, firstTimestamp, metadata }: Event, nowMs: number): number {
  const times = [lastTimestamp, firstTimestamp, metadata.creationTimestamp].map((text) => Date.parse(text ?? ''));
  return times.find((ms) => ms <= nowMs) ?? 0;
}
