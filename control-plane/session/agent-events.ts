/** What an agent may say in Events: things about its own node and the pods bound to it. Pure. */
import { timestamp } from '../../lib/clock.ts';
import { newEvent, referenceTo } from '../../lib/model/event.ts';
import type { Event, Node, Pod } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';

/** Kubernetes' own limits. */
const longestReason = 128;
const longestMessage = 1024;

/** Undefined: the event is about something that is not this node's business, or says nothing. */
export function acceptEvent(event: Event, nodeName: string, snapshot: Snapshot, nowMs: number): Event | undefined {
  const { involvedObject: about, reason = '', message = '', type, source } = event;
  const object = ownObject(event, nodeName, snapshot);
  if (!object || reason === '') return undefined;
  const facts = {
    type: type === 'Warning' ? type : ('Normal' as const),
    reason: reason.slice(0, longestReason),
    message: message.slice(0, longestMessage),
    // Of what the agent says about the object only the part of it counts: its key is made from the rest.
    about: { ...referenceTo(object), ...(about.fieldPath !== undefined && { fieldPath: about.fieldPath }) },
    component: source?.component ?? 'node-agent',
    host: nodeName,
  };
  // Named anew: a name of the agent's choice could be another's event.
  const accepted = newEvent(facts, nowMs);
  const firstTimestamp = pastOf(event.firstTimestamp, nowMs);
  const lastTimestamp = pastOf(event.lastTimestamp, nowMs);
  const eventTime = new Date(pastMs(event.eventTime ?? event.firstTimestamp, nowMs)).toISOString();
  return { ...accepted, firstTimestamp, lastTimestamp, eventTime, count: event.count ?? 1 };
}

/** An agent's clock that is ahead must not keep its events for longer than others'. */
function pastMs(text: string | undefined, nowMs: number): number {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? nowMs : Math.min(ms, nowMs);
}

function pastOf(text: string | undefined, nowMs: number): string {
  return timestamp(pastMs(text, nowMs));
}

function ownObject({ involvedObject }: Event, nodeName: string, snapshot: Snapshot): Node | Pod | undefined {
  const { kind, name = '', namespace, uid } = involvedObject ?? {};
  if (kind === 'Node') return name === nodeName ? snapshot.get('Node', undefined, nodeName) : undefined;
  const pod = kind === 'Pod' ? snapshot.get('Pod', namespace, name) : undefined;
  return pod?.spec.nodeName === nodeName && pod.metadata.uid === uid ? pod : undefined;
}
