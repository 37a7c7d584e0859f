/**
 * Looks at every revision of the store the moment it exists: addresses, capacity, who may write what, and that nothing
 * that was acknowledged is lost. It decodes for itself and shares no code with what it judges, beyond the formats.
 */
import type { ObjectCodec } from '../../control-plane/state/object-codec.ts';
import { nodeCIDRPrefix, podIPPrefix, serviceIPPrefix } from '../../lib/model/allocations.ts';
import { fencingAnnotation } from '../../lib/model/fencing.ts';
import { controllerOf } from '../../lib/model/object.ts';
import { parseQuantity } from '../../lib/model/quantity.ts';
import type { WatchEvent } from '../../lib/store/store.ts';
import type { Container, Event, KubeObject, Node, Pod } from '../../proto/gen/types.ts';
import { AcknowledgedWrites } from './acknowledged.ts';
import { checkAutoscaling } from './autoscaling-checker.ts';
import { checkCopies } from './configuration-checker.ts';
import { checkNodesOfFenced } from './fenced-node-checker.ts';
import { LifecycleChecker } from './lifecycle-checker.ts';
import { checkLimits } from './limit-checker.ts';
import type { SimProcess } from './process.ts';
import { checkQuotas } from './quota-checker.ts';
import { StorageChecker } from './storage-checker.ts';
import type { Writer } from './store.ts';
import type { Invariant } from './violations.ts';

export type Report = (invariant: Invariant, message: string) => void;

export interface Change {
  readonly revision: bigint;
  readonly key: string;
  readonly object: KubeObject | undefined;
  readonly previous: KubeObject | undefined;
}

export type Fencing = 'strict' | 'stop-after';

const leaderKey = '/gantry/leader';
/** Of what a cluster has from its first moment. */
const defaultKinds = ['Namespace', 'StorageClass'];
/** Of a StatefulSet's pod: the next pod of the same name is another life of the same identity. */
export interface Identity {
  readonly key: string;
  readonly fencing: Fencing;
}

export class StoreChecker {
  /** Changes of objects by revision; index 0 is revision 1, which is empty. */
  readonly log: (readonly Change[])[] = [[], []];
  readonly objects = new Map<string, KubeObject>();
  readonly others = new Map<string, string>();
  /** Writes so far, but for Events. */
  writes = 0;
  leader: SimProcess | undefined;
  /** Every Event, as it is told. */
  onEvent: ((event: Event) => void) | undefined;
  /** Pods that must not run twice, by uid; they are known for ever. */
  readonly identities = new Map<string, Identity>();
  readonly acknowledged: AcknowledgedWrites;
  readonly storage: StorageChecker;
  readonly #codec: ObjectCodec;
  readonly #lifecycle: LifecycleChecker;
  readonly #report: Report;
  readonly #versions = new Map<string, bigint[]>();

  constructor(codec: ObjectCodec, report: Report) {
    this.#codec = codec;
    this.#report = report;
    this.acknowledged = new AcknowledgedWrites(this, report);
    this.storage = new StorageChecker(this, report);
    this.#lifecycle = new LifecycleChecker(this, report);
  }

  get revision(): bigint {
    return BigInt(this.log.length - 1);
  }

  /** By whom, and what: writes of several in one revision mean what they mean one after another. */
  applied(parts: readonly (readonly [Writer | undefined, readonly WatchEvent[]])[], revision: bigint): void {
    const all: Change[] = [];
    this.log.push(all);
    for (const [writer, events] of parts) {
      const changes = events.flatMap((event) => this.#take(event, revision, writer) ?? []);
      all.push(...changes);
      this.#check(changes, writer);
    }
  }

  #check(changes: readonly Change[], writer: Writer | undefined): void {
    this.#lifecycle.applied(changes, writer);
    this.storage.applied(changes);
    checkNodesOfFenced(this, changes, this.#report);
    checkQuotas(this, changes, this.#report);
    checkAutoscaling(this, changes, writer, this.#report);
    checkCopies(this, changes, writer, this.#report);
    if (writer) checkLimits(this, changes, writer, this.#report);
    for (const change of changes) {
      if (change.object?.kind === 'Event') this.onEvent?.(change.object);
      if (change.object?.kind === 'Event' || change.previous?.kind === 'Event') continue;
      this.writes += 1;
      this.#checkWriter(change, writer);
    }
    this.acknowledged.applied(changes, writer);
    for (const { object, previous } of changes) {
      if (object?.kind !== 'Pod' || !object.spec.nodeName) continue;
      if (previous?.kind === 'Pod' && previous.spec.nodeName === object.spec.nodeName) continue;
      this.#checkAddress(object);
      this.#checkCapacity(object.spec.nodeName);
    }
  }

  /** The newest revision of a key at or before `revision`; 0n when it did not exist then. */
  versionAt(key: string, revision: bigint): bigint {
    const versions = this.#versions.get(key) ?? [];
    for (let index = versions.length - 1; index >= 0; index -= 1) {
      const version = versions[index]!;
      if (version < 0n ? -version <= revision : version <= revision) return version < 0n ? 0n : version;
    }
    return 0n;
  }

  list<K extends KubeObject['kind']>(kind: K): Extract<KubeObject, { kind: K }>[] {
    return [...this.objects.values()].filter((object) => object.kind === kind) as Extract<KubeObject, { kind: K }>[];
  }

  /** Allocations that belong to nothing any more. */
  leakedAllocations(): string[] {
    const uids = new Set([...this.objects.values()].map((object) => object.metadata.uid));
    return [...this.others].flatMap(([key, value]) => {
      if (key.startsWith(podIPPrefix) || key.startsWith(serviceIPPrefix)) return uids.has(value) ? [] : [key];
      // A node's range stays under its name; several for one name would be a leak.
      if (!key.startsWith(nodeCIDRPrefix)) return [];
      const twins = [...this.others].filter(([other, name]) => other.startsWith(nodeCIDRPrefix) && name === value);
      return twins.length > 1 ? [key] : [];
    });
  }

  #take(event: WatchEvent, revision: bigint, writer: Writer | undefined): Change | undefined {
    const { key } = event;
    const previous = this.objects.get(key);
    const object = event.type === 'put' ? this.#codec.decode(key, event.kv.value, revision) : undefined;
    let versions = this.#versions.get(key);
    if (!versions) {
      versions = [];
      this.#versions.set(key, versions);
    }
    versions.push(event.type === 'put' ? revision : -revision);
    if (object) this.objects.set(key, object);
    else this.objects.delete(key);
    if (object?.kind === 'Pod' && !previous) this.#identify(object, key);
    if (object || previous) return { revision, key, object, previous };
    if (event.type === 'put') this.others.set(key, new TextDecoder().decode(event.kv.value));
    else this.others.delete(key);
    if (key === leaderKey) this.leader = event.type === 'put' ? writer?.process : undefined;
    return undefined;
  }

  #identify(pod: Pod, key: string): void {
    const owner = controllerOf(pod);
    if (owner?.kind !== 'StatefulSet') return;
    this.identities.set(pod.metadata.uid ?? '', { key, fencing: fencingOf(pod) });
  }

  /** What no user asked for may only come from who leads at this moment. */
  #checkWriter({ key, object, previous, revision }: Change, writer: Writer | undefined): void {
    if (!writer || writer.operation !== undefined || writer.process === this.leader) return;
    const { kind } = (object ?? previous)!;
    if (defaultKinds.includes(kind) && !previous) return; // every replica sees to the defaults
    this.#report(
      'leader-writes',
      `${writer.process.name} wrote ${key} at revision ${revision}, but ${this.leader?.name ?? 'nobody'} leads`,
    );
  }

  #checkAddress(pod: Pod): void {
    const ip = pod.status?.podIP;
    if (!ip || pod.spec.hostNetwork) return;
    for (const other of this.list('Pod')) {
      if (other.metadata.uid === pod.metadata.uid || other.status?.podIP !== ip || other.spec.hostNetwork) continue;
      this.#report('one-pod-per-ip', `${ip} belongs to pods ${pod.metadata.name} and ${other.metadata.name}`);
    }
  }

  #checkCapacity(nodeName: string): void {
    const node = this.objects.get(`/gantry/nodes/${nodeName}`) as Node | undefined;
    const allocatable = node?.status?.allocatable;
    if (!allocatable) return;
    const pods = this.list('Pod').filter((pod) => pod.spec.nodeName === nodeName && !isOver(pod));
    for (const resource of ['cpu', 'memory']) {
      const wanted = pods.reduce((sum, pod) => sum + requestOf(pod, resource), 0);
      const room = parseQuantity(allocatable[resource] ?? '0') ?? 0;
      if (wanted > room + 1e-6) {
        this.#report('no-overcommit', `node ${nodeName}: ${wanted} ${resource} requested, ${room} allocatable`);
      }
    }
    if (pods.length > Number(allocatable.pods ?? 0)) {
      this.#report('no-overcommit', `node ${nodeName}: ${pods.length} pods, ${allocatable.pods} allowed`);
    }
  }
}

const isOver = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

function requestOf(pod: Pod, resource: string): number {
  const request = (container: Container): number =>
    parseQuantity(container.resources?.requests?.[resource] ?? '0') ?? 0;
  const together = pod.spec.containers.reduce((sum, container) => sum + request(container), 0);
  return Math.max(together, ...(pod.spec.initContainers ?? []).map(request));
}

function fencingOf({ metadata }: Pod): Fencing {
  return metadata.annotations?.[fencingAnnotation] === 'stop-after' ? 'stop-after' : 'strict';
}
