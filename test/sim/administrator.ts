/**
 * The person who looks after the cluster: takes broken machines out and brings them back, and, when a run is to come to
 * rest, ends what users have left half done. Their word that a machine is down is true when they give it.
 */
import { conditionStatus } from '../../lib/model/conditions.ts';
import { isOutOfService, outOfServiceTaint } from '../../lib/model/fencing.ts';
import { objectKey } from '../../lib/model/keys.ts';
import { controllerOf } from '../../lib/model/object.ts';
import type { CronJob, Deployment, KubeObject, Node, Taint } from '../../proto/gen/types.ts';
import { isHeld, withHold } from './acts.ts';
import { leftovers } from './leftovers.ts';
import type { SimNode } from './node.ts';
import type { StoreChecker } from './store-checker.ts';
import type { SimUser } from './users.ts';
import { isOutlived } from './workloads/batch.ts';
import { refusesPods } from './workloads/limit-range.ts';
import { workloadOf, workloads } from './workloads/workloads.ts';
import type { World } from './world.ts';

/** A request outlives its caller by no more than the API's own patience. */
const lateRequestMs = 20_000;
const lookMs = 1_000;
/** What can be scaled down when users have asked for more than fits. */
const scalable: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'ReplicaSet']);

export class Administrator {
  readonly #world: World;
  readonly #user: SimUser;
  readonly #checker: StoreChecker;
  readonly #mostPods: number;
  /** Machines that must stay off, since somebody may still be told that they are. */
  readonly #declaring = new Set<SimNode>();
  #tidying = false;

  constructor(world: World, user: SimUser) {
    this.#world = world;
    this.#user = user;
    this.#checker = user.checker;
    this.#mostPods = user.mostPods;
  }

  /** Switched off for good, and deleted by somebody who goes on until that has worked. */
  removeNode(node: SimNode): void {
    node.powerOff();
    node.left = true;
    void this.deleteNode(node);
  }

  /** A request to join that was still under way may bring the object back later. */
  async deleteNode(node: SimNode): Promise<void> {
    const untilMs = this.#world.nowMs + lateRequestMs;
    while (this.#stored(node) || this.#world.nowMs < untilMs) {
      // Pods that must not run twice are given up only on somebody's word that the machine is down.
      if (this.#stored(node) && !(await this.#user.delete('Node', node.name))) await this.#declare(node);
      await this.#world.sleep(lookMs);
    }
  }

  /**
   * The Node is deleted while the machine runs; refused when pods are there that must not run twice. Its agent has to learn of
   * it. `joinAgainMs`: then somebody has it join again, stopped or not; undefined: somebody does who tidies up.
   */
  async expelNode(node: SimNode, joinAgainMs: number | undefined): Promise<void> {
    if (!(await this.#user.delete('Node', node.name)) || joinAgainMs === undefined) return;
    await this.#world.sleep(joinAgainMs);
    if (node.powered && !node.left && !this.#stored(node)) node.joinAgain();
  }

  /** Machines whose Node was deleted join again, once their agents have stopped what they ran: they must. */
  takeBack(nodes: readonly SimNode[]): void {
    for (const node of nodes) {
      const joined = node.disk.has('identity') && !node.left && node.powered;
      if (joined && !this.#stored(node) && node.isIdle) node.joinAgain();
    }
  }

  /** A machine breaks; somebody who has seen it dead says so, and after `repairMs` it is back. */
  async replaceMachine(node: SimNode, repairMs: number): Promise<void> {
    if (!node.powered || this.#declaring.has(node)) return;
    node.powerOff();
    this.#declaring.add(node);
    const untilMs = this.#world.nowMs + repairMs;
    let asked = false;
    while (this.#world.nowMs < untilMs && !this.#isDeclared(node)) {
      asked = (await this.#declare(node)) || asked;
      await this.#world.sleep(lookMs);
    }
    if (asked && !this.#isDeclared(node)) await this.#world.sleep(lateRequestMs);
    this.#declaring.delete(node);
    if (!node.left) node.powerOn();
  }

  /** Unless it was said to be down: then it waits until everybody has heard it. */
  powerOn(node: SimNode): void {
    if (!this.#declaring.has(node)) node.powerOn();
  }

  /** From now until `rest`. */
  async tidyUp(nodes: readonly SimNode[]): Promise<void> {
    if (this.#tidying) return;
    this.#tidying = true;
    while (this.#tidying) {
      this.takeBack(nodes);
      for (const change of this.#leftovers()) await change();
      await this.#world.sleep(lookMs);
    }
  }

  rest(): void {
    this.#tidying = false;
  }

  /** `nodes`: by name. Whatever a user began and would have to end, and what is too much. */
  #leftovers(): (() => Promise<unknown>)[] {
    const user = this.#user;
    const changes: (() => Promise<unknown>)[] = [];
    for (const object of this.#checker.objects.values()) {
      const { name } = object.metadata;
      if (isHeld(object)) changes.push(() => user.release(withHold(object, false)));
      else if (object.kind === 'Node' && object.spec.unschedulable) changes.push(() => user.setSchedulable(name, true));
      else if (object.kind === 'Node' && isBack(object)) changes.push(() => user.update(withoutDeclaration(object)));
      else if (object.kind === 'Deployment' && object.spec.paused) changes.push(() => user.update(resumed(object)));
      else if (object.kind === 'LimitRange' && refusesPods(object))
        changes.push(() => user.delete(object.kind, name, namespaceOf(object)));
      else if (object.kind === 'ResourceQuota') changes.push(() => user.delete(object.kind, name));
      else if (isOutlived(object)) changes.push(() => user.delete('Job', name, namespaceOf(object)));
      else if (object.kind === 'CronJob' && !object.spec.suspend) changes.push(() => user.update(suspended(object)));
    }
    changes.push(...leftovers(user));
    const excess = this.#excess();
    if (excess) changes.push(excess);
    return changes;
  }

  /** Several users at once may have asked for more than fits. */
  #excess(): (() => Promise<unknown>) | undefined {
    const loads = workloads
      .flatMap(({ kind }) => this.#checker.list(kind) as KubeObject[])
      .map((object) => ({ object, load: workloadOf(object.kind)!.load(object) }));
    if (loads.reduce((sum, { load }) => sum + load, 0) <= this.#mostPods) return undefined;
    const [scaler] = this.#checker.list('HorizontalPodAutoscaler').filter(({ spec }) => spec.maxReplicas > 1);
    if (scaler) return () => this.#user.delete(scaler.kind, scaler.metadata.name, namespaceOf(scaler));
    const [largest] = loads
      .filter(({ object, load }) => load > 0 && scalable.has(object.kind) && !controllerOf(object))
      .sort((a, b) => b.load - a.load);
    if (!largest) return undefined;
    const { kind, metadata } = largest.object;
    return () => this.#user.scale(kind, metadata.name, largest.load - 1, metadata.namespace);
  }

  /** False: it was not said. */
  async #declare(node: SimNode): Promise<boolean> {
    const stored = this.#stored(node);
    const isLost = stored !== undefined && conditionStatus(stored.status?.conditions, 'Ready') === 'Unknown';
    if (!isLost || isOutOfService(stored)) return false;
    const taint: Taint = { key: outOfServiceTaint, value: 'nodeshutdown', effect: 'NoExecute' };
    await this.#user.update({ ...stored, spec: { ...stored.spec, taints: [...(stored.spec.taints ?? []), taint] } });
    return true;
  }

  #isDeclared(node: SimNode): boolean {
    const stored = this.#stored(node);
    return stored !== undefined && isOutOfService(stored);
  }

  #stored({ name }: SimNode): Node | undefined {
    return this.#checker.objects.get(objectKey('Node', undefined, name)) as Node | undefined;
  }
}

/** The machine that was said to be down is there again. */
function isBack(node: Node): boolean {
  return isOutOfService(node) && conditionStatus(node.status?.conditions, 'Ready') === 'True';
}

function withoutDeclaration(node: Node): Node {
  const taints = (node.spec.taints ?? []).filter(({ key }) => key !== outOfServiceTaint);
  return { ...node, spec: { ...node.spec, taints } };
}

function resumed(deployment: Deployment): Deployment {
  const { paused: _paused, ...spec } = deployment.spec;
  return { ...deployment, spec };
}

const namespaceOf = ({ metadata: { namespace } }: KubeObject): { readonly namespace?: string } =>
  namespace === undefined ? {} : { namespace };

const suspended = (cronJob: CronJob): CronJob => ({ ...cronJob, spec: { ...cronJob.spec, suspend: true } });
