/**
 * What a change in the store means to a watch. One change is decoded once and turned into at most one message of each
 * form, however many watches it goes to.
 */
import { toEnvelope } from '../../lib/model/codec.ts';
import { parseKey } from '../../lib/model/keys.ts';
import { kindInfo } from '../../lib/model/schema.ts';
import { sentToMany } from '../../lib/rpc/sent-to-many.ts';
import type { WatchEvent as StoreEvent } from '../../lib/store/store.ts';
import type { KubeObject, WatchEvent } from '../../proto/gen/types.ts';
import { bytesOf } from '../state/known-value.ts';
import type { ObjectCodec } from '../state/object-codec.ts';
import { withRevision } from './objects.ts';
import type { Selection } from './selectors.ts';
import { decodeOrStandIn } from './unreadable.ts';

export interface Translated {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}

export class SharedEvent {
  readonly event: StoreEvent;
  readonly #codec: ObjectCodec;
  readonly #decoded = new Map<StoreEvent['previous'], KubeObject | undefined>();
  readonly #messages = new Map<string, WatchEvent>();

  constructor(event: StoreEvent, codec: ObjectCodec) {
    this.event = event;
    this.#codec = codec;
  }

  get revision(): bigint {
    return this.event.modRevision;
  }

  /** Of what there is now; what was there before may be as much again, or not be made into bytes at all. */
  get bytes(): number {
    const { event } = this;
    const kv = event.type === 'put' ? event.kv : event.previous;
    return kv ? bytesOf(kv) : 0;
  }

  /** Undefined: nothing to this watch. */
  translate(selection: Selection): Translated | undefined {
    return translate(this.event, selection, (kv) => this.#decode(kv));
  }

  message({ type, object }: Translated, resumeFrom: bigint): WatchEvent {
    const form = `${type} ${resumeFrom}`;
    let message = this.#messages.get(form);
    if (!message) {
      message = sentToMany({ type, object: toEnvelope(object), resourceVersion: resumeFrom.toString() });
      this.#messages.set(form, message);
    }
    return message;
  }

  #decode(kv: StoreEvent['previous']): KubeObject | undefined {
    if (!kv) return undefined;
    if (!this.#decoded.has(kv)) this.#decoded.set(kv, decodeOrStandIn(this.#codec, kv));
    return this.#decoded.get(kv);
  }
}

/** What a change in the store means to this watch; undefined when nothing. */
export function translate(
  event: StoreEvent,
  selection: Selection,
  decode: (kv: StoreEvent['previous']) => KubeObject | undefined,
): Translated | undefined {
  if (event.type === 'delete') {
    const last = decode(event.previous) ?? nameOnly(event.key);
    if (!last || (event.previous && !selection.matches(last))) return undefined;
    return { type: 'DELETED', object: withRevision(last, event.modRevision) };
  }
  const object = decode(event.kv);
  if (!object) return undefined;
  const isNew = event.kv.createRevision === event.modRevision;
  if (!selection.looksInside) return { type: isNew ? 'ADDED' : 'MODIFIED', object };
  const previous = isNew ? undefined : decode(event.previous);
  const matched = previous ? selection.matches(previous) : !isNew; // what compaction took may have matched
  if (selection.matches(object)) return { type: matched ? 'MODIFIED' : 'ADDED', object };
  return matched ? { type: 'DELETED', object } : undefined;
}

/** All that is known of a deleted object whose last state is compacted. */
function nameOnly(key: string): KubeObject | undefined {
  const parsed = parseKey(key);
  if (!parsed) return undefined;
  const { kind, namespace, name } = parsed;
  const metadata = { name, ...(namespace && { namespace }) };
  return { apiVersion: kindInfo(kind).apiVersion, kind, metadata } as KubeObject;
}
