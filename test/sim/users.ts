/** Users at work on the API, through whichever replica answers. Each writes a number of its own into what it changes. */
import { type GantryError, isGantryError, messageOf } from '../../lib/errors.ts';
import { fromEnvelope, toEnvelope } from '../../lib/model/codec.ts';
import { keyOf, objectKey } from '../../lib/model/keys.ts';
import type { Random } from '../../lib/random.ts';
import type { Peer } from '../../lib/rpc/peer.ts';
import type { KubeObject, ObjectEnvelope } from '../../proto/gen/types.ts';
import { counterPrefix } from './acknowledged.ts';
import { chooseAct } from './acts.ts';
import { SimProcess } from './process.ts';
import { readBack } from './read-checker.ts';
import type { Rpc } from './rpc.ts';
import { servedOperation, servedSince } from './store.ts';
import type { Report, StoreChecker } from './store-checker.ts';
import { configMap } from './workloads/others.ts';
import type { Workload } from './workloads/workload.ts';
import { workloads } from './workloads/workloads.ts';
import type { World } from './world.ts';

export interface UserOptions {
  readonly servers: readonly string[];
  readonly checker: StoreChecker;
  readonly report: Report;
  /** Pods that all workloads together may ask for. */
  readonly mostPods: number;
  /** Default: all kinds of workloads. */
  readonly kinds?: readonly KubeObject['kind'][];
  /** Between two things a user does, on average. */
  readonly pauseMs: number;
}

/** Now and then all users change the same object, as fast as they can. */
const rushEveryMs = 6_000;
const rushMs = 60;
const hotName = 'hot';
/** Of so many writes one is read at once. */
const readBackEach = 3;

export interface DeleteOptions {
  readonly namespace?: string;
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Orphan' | 'Foreground';
}

type Verb = 'apply' | 'update' | 'release' | 'annotate' | 'cordon' | 'uncordon' | 'scale' | 'delete' | 'evict';
type Method = 'Apply' | 'Update' | 'Scale' | 'Delete' | 'Patch' | 'Evict';
/** Those whose answer is the object with the user's number in it. */
const signing: ReadonlySet<Verb> = new Set(['apply', 'update', 'annotate']);

export const admin = (name: string): Peer => ({ commonName: name, organization: 'admin', address: '192.0.2.9:50000' });

export class SimUser {
  readonly name: string;
  readonly world: World;
  readonly random: Random;
  readonly checker: StoreChecker;
  readonly mostPods: number;
  readonly workloads: readonly Workload[];
  readonly #rpc: Rpc;
  readonly #options: UserOptions;
  readonly #process: SimProcess;
  #count = 0;
  #working = true;

  constructor(world: World, rpc: Rpc, name: string, options: UserOptions) {
    this.name = name;
    this.world = world;
    this.checker = options.checker;
    this.mostPods = options.mostPods;
    this.workloads = workloads.filter(({ kind }) => options.kinds?.includes(kind) ?? true);
    this.#rpc = rpc;
    this.#options = options;
    this.#process = new SimProcess(world, { name, host: 'users' });
    this.random = world.fork();
  }

  /** Until `rest`. */
  async work(): Promise<void> {
    const { pauseMs } = this.#options;
    this.#working = true;
    while (this.#working) {
      const untilRushMs = rushEveryMs - (this.world.nowMs % rushEveryMs);
      await this.sleep(Math.min(untilRushMs, pauseMs * (0.2 + 1.6 * this.random.next())));
      if (!this.#working) return;
      if (this.world.nowMs % rushEveryMs < rushMs) await this.#rush();
      else await chooseAct(this.random)(this);
    }
  }

  get working(): boolean {
    return this.#working;
  }

  rest(): void {
    this.#working = false;
  }

  sleep(delayMs: number): Promise<void> {
    return this.#process.clock.sleep(delayMs);
  }

  /** Applies the manifest; false when that failed or nobody knows. */
  apply(manifest: KubeObject): Promise<boolean> {
    const object = toEnvelope(this.#signed(manifest));
    // They take one another's fields over without a thought.
    return this.#attempt('apply', nameOf(manifest), 'Apply', { object, fieldManager: this.name, force: true });
  }

  /** Writes the object as a whole, unless somebody else has changed it meanwhile. */
  update(changed: KubeObject): Promise<boolean> {
    return this.#attempt('update', nameOf(changed), 'Update', { object: toEnvelope(this.#signed(changed)) });
  }

  /** As `update`, of what may end with it. */
  release(changed: KubeObject): Promise<boolean> {
    return this.#attempt('release', nameOf(changed), 'Update', { object: toEnvelope(changed) });
  }

  scale(kind: string, name: string, replicas: number, namespace = 'default'): Promise<boolean> {
    const what = `${kind} ${namespace}/${name} to ${replicas}`;
    return this.#attempt('scale', what, 'Scale', { kind, namespace, name, replicas });
  }

  delete(kind: string, name: string, options: DeleteOptions = {}): Promise<boolean> {
    const { namespace = 'default', ...rest } = options;
    const how = rest.propagationPolicy ? ` (${rest.propagationPolicy})` : '';
    return this.#attempt('delete', `${kind} ${namespace}/${name}${how}`, 'Delete', { kind, namespace, name, ...rest });
  }

  evict(name: string, namespace = 'default'): Promise<boolean> {
    return this.#attempt('evict', `Pod ${namespace}/${name}`, 'Evict', { namespace, name });
  }

  /** A small change of somebody's object that must not undo the others'. */
  annotate(kind: string, name: string, namespace = 'default'): Promise<boolean> {
    this.#count += 1;
    const patch = JSON.stringify({ metadata: { annotations: { [counterPrefix + this.name]: String(this.#count) } } });
    return this.#attempt('annotate', `${kind} ${namespace}/${name}`, 'Patch', { kind, namespace, name, patch });
  }

  setSchedulable(name: string, schedulable: boolean): Promise<boolean> {
    const patch = JSON.stringify({ spec: { unschedulable: schedulable ? null : true } });
    return this.#attempt(schedulable ? 'uncordon' : 'cordon', name, 'Patch', { kind: 'Node', name, patch });
  }

  /** All users at once on one object. */
  async #rush(): Promise<void> {
    if (!this.checker.objects.has(objectKey('ConfigMap', 'default', hotName))) {
      await this.apply(configMap.make(hotName, this.random, 0));
    }
    while (this.#working && this.world.nowMs % rushEveryMs < rushMs) await this.annotate('ConfigMap', hotName);
  }

  #signed(manifest: KubeObject): KubeObject {
    this.#count += 1;
    const annotations = { ...manifest.metadata.annotations, [counterPrefix + this.name]: String(this.#count) };
    return { ...manifest, metadata: { ...manifest.metadata, annotations } } as KubeObject;
  }

  async #attempt(verb: Verb, what: string, method: Method, request: object): Promise<boolean> {
    const { servers } = this.#options;
    const count = this.#count;
    const address = servers[Math.floor(this.random.next() * servers.length)]!;
    const operation = `${this.name} ${verb} ${what} (${count})`;
    try {
      const call = servedSince.run(this.checker.revision, () =>
        servedOperation.run(operation, () =>
          this.#rpc.unary(this.#process, admin(this.name), address, 'Cluster', method, request),
        ),
      );
      const { object: envelope } = (await call) as { object?: ObjectEnvelope };
      const object = envelope && fromEnvelope(envelope);
      this.world.trace(this.name, `${verb} ${what}: revision ${object?.metadata.resourceVersion}`);
      if (!object) throw new Error(`${method} answered without an object`);
      if (verb === 'delete' || verb === 'evict') this.#checkDeleted(object);
      else if (signing.has(verb)) this.checker.acknowledged.acknowledge(object, keyOf(object), this.name, count);
      if (signing.has(verb) && count % readBackEach === 0) await this.#readBack(object);
      return true;
    } catch (error) {
      if (!isGantryError(error)) throw error;
      this.world.trace(this.name, `${verb} ${what} at ${address}: ${(error as GantryError).code} ${messageOf(error)}`);
      return false;
    }
  }

  /** From whichever replica. */
  #readBack(written: KubeObject): Promise<void> {
    const { servers, report } = this.#options;
    const { kind, metadata } = written;
    const address = servers[Math.floor(this.random.next() * servers.length)]!;
    const target = { kind, name: metadata.name, ...(metadata.namespace && { namespace: metadata.namespace }) };
    const get = async (): Promise<KubeObject | undefined> => {
      const answer = await this.#rpc.unary(this.#process, admin(this.name), address, 'Cluster', 'Get', target);
      const { object } = answer as { object?: ObjectEnvelope };
      return object && fromEnvelope(object);
    };
    return readBack(written, get, this.checker, report);
  }

  #checkDeleted(object: KubeObject): void {
    const current = this.checker.objects.get(keyOf(object));
    if (!current || current.metadata.uid !== object.metadata.uid || current.metadata.deletionTimestamp) return;
    this.#options.report(
      'acknowledged-writes',
      `${keyOf(object)} was deleted, as its user was told, and is still there`,
    );
  }
}

const nameOf = ({ kind, metadata: { namespace, name } }: KubeObject): string =>
  `${kind} ${namespace ? `${namespace}/` : ''}${name}`;
