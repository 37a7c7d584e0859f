/**
 * What the node has to report, until the control plane has it: of every pod the newest status, of the node the newest,
 * and the last events. Pure state.
 *
 * - One batch is outstanding at most; what changes meanwhile goes into the next.
 * - After a new session everything is reported again: the leader may be another one, or may have judged us lost and
 *   written that down.
 */
import { findCondition } from '../../lib/model/conditions.ts';
import { isSame } from '../../lib/model/object.ts';
import type { Event, NodeStatus, Pod, PodStatus, PodStatusUpdate, StatusBatch } from '../../proto/gen/types.ts';

export interface PodReference {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

interface Entry {
  readonly update: PodStatusUpdate;
  state: 'waiting' | 'sent' | 'acknowledged';
  /** The control plane was last seen to think otherwise, when this was on its way: before it came there, or after. */
  doubted?: boolean;
}

const podsPerBatch = 250;
const eventsPerBatch = 100;
/** Beyond this the oldest events are dropped: a node cut off for hours must not grow without bound. */
const mostEvents = 500;

export class ReportBuffer {
  readonly #pods = new Map<string, Entry>();
  #node: { readonly status: NodeStatus; state: Entry['state'] } | undefined;
  #events: Event[] = [];
  #sentEvents: Event[] = [];
  #outstanding: number | undefined;
  #sequence = 0;

  pod({ namespace, name, uid }: PodReference, status: PodStatus): void {
    const before = this.#pods.get(uid);
    if (before && !before.update.removed && isSame(before.update.status, status)) return;
    this.#pods.set(uid, { update: { namespace, name, uid, status }, state: 'waiting' });
  }

  removed({ namespace, name, uid }: PodReference): void {
    this.#pods.set(uid, { update: { namespace, name, uid, removed: true }, state: 'waiting' });
  }

  node(status: NodeStatus): void {
    if (!isSame(this.#node?.status, status)) this.#node = { status, state: 'waiting' };
  }

  /** The node's newest status, for hello. */
  get nodeStatus(): NodeStatus | undefined {
    return this.#node?.status;
  }

  event(event: Event): void {
    this.#events.push(event);
    if (this.#events.length > mostEvents) this.#events = this.#events.slice(-mostEvents);
  }

  /** A pod as the control plane has it. If it thinks otherwise of its readiness than we do, we say so again. */
  observe({ metadata, status }: Pod): void {
    const entry = this.#pods.get(metadata.uid ?? '');
    if (!entry?.update.status || entry.state === 'waiting') return;
    const ready = (conditions: PodStatus['conditions']) => findCondition(conditions, 'Ready')?.status;
    const differs = ready(status?.conditions) !== ready(entry.update.status.conditions);
    entry.doubted = differs && entry.state === 'sent';
    if (differs && entry.state === 'acknowledged') entry.state = 'waiting';
  }

  /** Call now and then: what is still in doubt although it was acknowledged is to be said again. True when there is some. */
  review(): boolean {
    let found = false;
    for (const entry of this.#pods.values()) {
      if (entry.state !== 'acknowledged' || !entry.doubted) continue;
      entry.doubted = false;
      entry.state = 'waiting';
      found = true;
    }
    return found;
  }

  /** The next batch; undefined while one is outstanding or there is nothing to say. */
  take(): StatusBatch | undefined {
    if (this.#outstanding !== undefined) return undefined;
    const waiting = [...this.#pods.values()].filter(({ state }) => state === 'waiting').slice(0, podsPerBatch);
    const node = this.#node?.state === 'waiting' ? this.#node : undefined;
    this.#sentEvents = this.#events.slice(0, eventsPerBatch);
    if (waiting.length === 0 && !node && this.#sentEvents.length === 0) return undefined;
    this.#events = this.#events.slice(this.#sentEvents.length);
    for (const entry of waiting) entry.state = 'sent';
    if (node) node.state = 'sent';
    this.#sequence += 1;
    this.#outstanding = this.#sequence;
    return {
      sequence: this.#sequence,
      ...(waiting.length > 0 && { pods: waiting.map(({ update }) => update) }),
      ...(node && { node: node.status }),
      ...(this.#sentEvents.length > 0 && { events: this.#sentEvents }),
    };
  }

  acknowledge(sequence: number): void {
    if (sequence !== this.#outstanding) return;
    this.#outstanding = undefined;
    this.#sentEvents = [];
    if (this.#node?.state === 'sent') this.#node.state = 'acknowledged';
    for (const [uid, entry] of this.#pods) {
      if (entry.state !== 'sent') continue;
      if (entry.update.removed) this.#pods.delete(uid);
      else entry.state = 'acknowledged';
    }
  }

  /** A new session: nothing is outstanding, and all but the node's status (which hello carries) is to be said again. */
  startAgain(): void {
    this.#outstanding = undefined;
    this.#events = [...this.#sentEvents, ...this.#events].slice(-mostEvents);
    this.#sentEvents = [];
    for (const entry of this.#pods.values()) entry.state = 'waiting';
    if (this.#node) this.#node.state = 'acknowledged';
  }
}
