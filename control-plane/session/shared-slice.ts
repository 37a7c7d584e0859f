/**
 * The part of the slice that every node sees alike: all Services, EndpointSlices, and of Nodes what others need to reach
 * their pods. One log serves all sessions: each knows only how far it has read, and the same message, encoded once, goes
 * to all that have read equally far. A change costs as much as it is large, not as many nodes as there are.
 *
 * Changes become visible to sessions with `publish`, so that a storm of them can be gathered. An agent that comes back says how
 * far it had read; if that was in this log, and not too long ago, it reads on from there.
 */
import { toEnvelope } from '../../lib/model/codec.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { isSame } from '../../lib/model/object.ts';
import { isSharedKind, sharedKinds } from '../../lib/model/slice.ts';
import { sentToMany } from '../../lib/rpc/sent-to-many.ts';
import type { KubeObject, Node, SessionDown, SharedPosition } from '../../proto/gen/types.ts';
import type { ObjectChange } from '../state/cluster-state.ts';
import type { Snapshot } from '../state/snapshot.ts';
import { differenceMessage } from './slice.ts';

interface Entry {
  readonly key: string;
  /** Absent: it went. */
  readonly object?: KubeObject;
  readonly previous?: KubeObject;
}

/** Objects that are sent in one message of a complete slice. */
interface Page {
  readonly objects: Map<string, KubeObject>;
  message: SessionDown | undefined;
}

const objectsPerPage = 250;
/** Sessions that lag behind by more than that begin anew. */
const shortestLog = 2_000;

export type News = 'none' | 'nodes' | 'urgent';

export class SharedSlice {
  /** Names the log: positions in another one mean nothing here. */
  readonly #name: string;
  readonly #current = new Map<string, KubeObject>();
  readonly #pages: Page[] = [];
  readonly #pageOf = new Map<string, Page>();
  /** Where the newest entry of a key is. */
  readonly #newest = new Map<string, number>();
  #log: Entry[] = [];
  /** The position of the log's first entry. */
  #begin = 0;
  #published = 0;
  #revision: bigint;
  /** By where they begin; all end at `#published`. */
  #messages = new Map<number, SessionDown | undefined>();

  constructor(snapshot: Snapshot, name: string) {
    this.#name = name;
    this.#revision = snapshot.revision;
    for (const kind of sharedKinds) {
      for (const object of snapshot.list(kind)) this.#put(keyOf(object), asShared(object));
    }
  }

  /** What a session that begins now has read when it has read `pages`, or `objects`. */
  get position(): number {
    return this.#published;
  }

  /** For the agent to come back with. */
  named(position: number): SharedPosition {
    return { log: this.#name, position };
  }

  /** From where an agent can read on that had read as far as that; undefined when it must read everything. */
  resumable({ log, position = -1 }: SharedPosition): number | undefined {
    return log === this.#name && position >= this.#begin && position <= this.#published ? position : undefined;
  }

  get objects(): Iterable<KubeObject> {
    return this.#current.values();
  }

  /** Whether there is something to publish. Routes to a node are not wanted before pods run there that others ask for. */
  apply(changes: readonly ObjectChange[]): News {
    let news: News = 'none';
    for (const { key, object, previous } of changes) {
      const { kind } = (object ?? previous)!;
      if (!isSharedKind(kind) || !this.#note(key, object && asShared(object))) continue;
      if (kind !== 'Node') news = 'urgent';
      else if (news === 'none') news = 'nodes';
    }
    return news;
  }

  publish(revision: bigint): void {
    this.#revision = revision;
    this.#published = this.#begin + this.#log.length;
    this.#messages = new Map();
    this.#shortenLog();
  }

  /** Everything, each message but a part of a complete slice of which more follows. */
  pages(): readonly SessionDown[] {
    return this.#pages.map((page) => {
      const objects = (): SessionDown => ({
        slice: { complete: true, more: true, objects: [...page.objects.values()].map(toEnvelope) },
      });
      page.message ??= sentToMany(objects());
      return page.message;
    });
  }

  /** What has been published since a position; undefined when nothing. 'behind': begin with everything. */
  since(position: number): SessionDown | undefined | 'behind' {
    if (position < this.#begin) return 'behind';
    if (position >= this.#published) return undefined;
    if (!this.#messages.has(position)) this.#messages.set(position, this.#messageSince(position));
    return this.#messages.get(position);
  }

  #messageSince(position: number): SessionDown | undefined {
    const changed: KubeObject[] = [];
    const removed: KubeObject[] = [];
    for (let at = position; at < this.#published; at += 1) {
      const { key, object, previous } = this.#log[at - this.#begin]!;
      // Of a key the newest counts, also one that is not published yet: that is repeated then, and nothing is lost.
      if (this.#newest.get(key)! > at && this.#newest.get(key)! < this.#published) continue;
      if (object) changed.push(object);
      else if (previous) removed.push(previous);
    }
    const slice = differenceMessage({ changed, removed }, this.#revision);
    return slice && sentToMany({ slice: { ...slice, shared: this.named(this.#published) } });
  }

  #note(key: string, object: KubeObject | undefined): boolean {
    const previous = this.#current.get(key);
    if (object && previous && isSameShared(object, previous)) return false;
    if (!object && !previous) return false;
    if (object) this.#put(key, object);
    else this.#remove(key);
    this.#newest.set(key, this.#begin + this.#log.length);
    this.#log.push({ key, ...(object && { object }), ...(previous && { previous }) });
    return true;
  }

  #put(key: string, object: KubeObject): void {
    const page = this.#pageOf.get(key) ?? this.#pageWithRoom();
    this.#current.set(key, object);
    this.#pageOf.set(key, page);
    page.objects.set(key, object);
    page.message = undefined;
  }

  #pageWithRoom(): Page {
    const last = this.#pages.at(-1);
    if (last && last.objects.size < objectsPerPage) return last;
    const page = this.#pages.find(({ objects }) => objects.size < objectsPerPage / 2) ?? {
      objects: new Map(),
      message: undefined,
    };
    if (!this.#pages.includes(page)) this.#pages.push(page);
    return page;
  }

  #remove(key: string): void {
    this.#current.delete(key);
    const page = this.#pageOf.get(key)!;
    this.#pageOf.delete(key);
    page.objects.delete(key);
    page.message = undefined;
  }

  #shortenLog(): void {
    const kept = Math.max(shortestLog, this.#current.size);
    if (this.#log.length < 2 * kept) return;
    const drop = this.#log.length - kept;
    for (const [index, { key, object }] of this.#log.slice(0, drop).entries()) {
      if (!object && this.#newest.get(key) === this.#begin + index) this.#newest.delete(key);
    }
    this.#log = this.#log.slice(drop);
    this.#begin += drop;
  }
}

function asShared(object: KubeObject): KubeObject {
  return object.kind === 'Node' ? reachableNode(object) : object;
}

/** What the agents of other nodes need. The rest changes often and is large. */
function reachableNode({ apiVersion, kind, metadata, spec, status }: Node): Node {
  const { name, uid, resourceVersion } = metadata;
  const overlayMAC = status?.nodeInfo?.overlayMAC;
  const addresses = status?.addresses?.filter(({ type }) => type === 'InternalIP');
  return {
    apiVersion,
    kind,
    metadata: { name, ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) },
    spec: { ...(spec.podCIDR !== undefined && { podCIDR: spec.podCIDR }) },
    status: {
      ...(addresses && { addresses }),
      ...(overlayMAC !== undefined && { nodeInfo: { overlayMAC } }),
    },
  };
}

/** Nodes are written for much that nobody else needs. */
function isSameShared(a: KubeObject, b: KubeObject): boolean {
  if (a.kind !== 'Node' || b.kind !== 'Node') return a.metadata.resourceVersion === b.metadata.resourceVersion;
  return a.metadata.uid === b.metadata.uid && isSame(a.spec, b.spec) && isSame(a.status, b.status);
}
