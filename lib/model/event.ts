/** Events as data: the same sentence about the same object is one Event with a count. */
import { createHash } from 'node:crypto';
import type { Event, KubeObject, ObjectReference } from '../../proto/gen/types.ts';
import { timestamp } from '../clock.ts';

export interface EventFacts {
  readonly type: 'Normal' | 'Warning';
  /** One CamelCase word. */
  readonly reason: string;
  /** A sentence for people. */
  readonly message: string;
  readonly about: ObjectReference;
  /** scheduler, deployment-controller, node-agent, ... */
  readonly component: string;
  /** Node name, for events of an agent. */
  readonly host?: string;
}

/** Namespace for events about cluster-scoped objects. */
const clusterEventsNamespace = 'default';

export function referenceTo(object: KubeObject): ObjectReference {
  const { namespace, name, uid, resourceVersion } = object.metadata;
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    ...(namespace !== undefined && { namespace }),
    name,
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
}

/** A first occurrence. Its name is a function of what is said and about whom, so that a repetition finds it. */
export function newEvent(facts: EventFacts, nowMs: number): Event {
  const { about, component, host, message, reason, type } = facts;
  const identity = [about.kind, about.uid ?? about.name, type, reason, message, component, host].join('\0');
  const digest = createHash('sha256').update(identity).digest('hex').slice(0, 16);
  const now = timestamp(nowMs);
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${about.name}.${digest}`, namespace: about.namespace ?? clusterEventsNamespace },
    involvedObject: about,
    reason,
    message,
    type,
    source: { component, ...(host !== undefined && { host }) },
    firstTimestamp: now,
    lastTimestamp: now,
    eventTime: new Date(nowMs).toISOString(),
    count: 1,
  };
}

/** `before` seen once more (or as often as `event` was). */
export function repeatedEvent(before: Event, event: Event): Event {
  const last = event.lastTimestamp ?? before.lastTimestamp;
  return {
    ...before,
    ...(last !== undefined && { lastTimestamp: last }),
    count: (before.count ?? 1) + (event.count ?? 1),
  };
}
