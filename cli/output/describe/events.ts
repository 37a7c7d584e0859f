/** The events at the end of a description, and whose they are. Pure. */
import { revisionOf } from '../../../lib/model/object.ts';
import type { Event, KubeObject } from '../../../proto/gen/types.ts';
import { age } from '../age.ts';
import { none, tableLines } from './lines.ts';

export function eventsOf(object: KubeObject, events: readonly Event[]): Event[] {
  return events
    .filter(({ involvedObject }) => {
      if (involvedObject.kind !== object.kind || involvedObject.name !== object.metadata.name) return false;
      if (involvedObject.namespace !== undefined && involvedObject.namespace !== object.metadata.namespace)
        return false;
      // A name used again: what happened to the one before is not about this one.
      return involvedObject.uid === undefined || involvedObject.uid === object.metadata.uid;
    })
    .sort(byLastSeen);
}

/** The order in which things happened; what was seen again counts from then, of which only the second is known. */
export function byLastSeen(a: Event, b: Event): number {
  const seen = (event: Event): string => event.lastTimestamp ?? event.metadata.creationTimestamp ?? '';
  if (seen(a) !== seen(b)) return seen(a) < seen(b) ? -1 : 1;
  const [first, second] = [a, b].map(exactTime);
  if (first !== undefined && second !== undefined && first !== second) return first < second ? -1 : 1;
  return Number(revisionOf(a) - revisionOf(b));
}

function exactTime({ eventTime, count = 1 }: Event): string | undefined {
  return count === 1 ? eventTime : undefined;
}

export function eventLines(events: readonly Event[], nowMs: number): string[] {
  if (events.length === 0) return [`Events:\t${none}`];
  const rows = events.map((event) => [
    event.type ?? 'Normal',
    event.reason ?? '',
    eventAge(event, nowMs),
    event.source?.component ?? '',
    (event.message ?? '').trim().replaceAll('\n', ' '),
  ]);
  return ['Events:', ...tableLines(['Type', 'Reason', 'Age', 'From', 'Message'], rows)];
}

/** `10s`, or `10s (x3 over 2m)`. */
export function eventAge({ count = 1, firstTimestamp, lastTimestamp, metadata }: Event, nowMs: number): string {
  const last = age(lastTimestamp ?? metadata.creationTimestamp, nowMs);
  return count > 1 ? `${last} (x${count} over ${age(firstTimestamp, nowMs)})` : last;
}
