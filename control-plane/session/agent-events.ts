/** What an agent may say in Events: things about its own node and the pods bound to it. Pure. */
import { newEvent } from '../../lib/model/event.ts';
import type { Event } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';

/** Undefined: the event is about something that is not this node's business, or says nothing. */
export function acceptEvent(event: Event, nodeName: string, snapshot: Snapshot, nowMs: number): Event | undefined {
  const { involvedObject: about, reason = '', message = '', type = 'Normal', source } = event;
  if (!about || reason === '' || !isOwn(event, nodeName, snapshot)) return undefined;
  const facts = { type, reason, message, about, component: source?.component ?? 'node-agent', host: nodeName };
  // Named anew: a name of the agent's choice could be another's event.
  const accepted = newEvent(facts, nowMs);
  const { firstTimestamp = accepted.firstTimestamp, lastTimestamp = accepted.lastTimestamp, count = 1 } = event;
  return {
    ...accepted,
    ...(firstTimestamp !== undefined && { firstTimestamp }),
    ...(lastTimestamp !== undefined && { lastTimestamp }),
    count,
  };
}

function isOwn({ involvedObject }: Event, nodeName: string, snapshot: Snapshot): boolean {
  const { kind, name = '', namespace, uid } = involvedObject;
  if (kind === 'Node') return name === nodeName;
  const pod = kind === 'Pod' ? snapshot.get('Pod', namespace, name) : undefined;
  return pod !== undefined && pod.spec.nodeName === nodeName && pod.metadata.uid === uid;
}
