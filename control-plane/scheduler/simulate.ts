/**
 * What would happen: the production scheduler on a copy of the picture, until nothing moves any more. Pure.
 *
 * Controllers are thought to have done their part: pods of a lost node that a workload owns are replaced, a workload
 * that is applied has all of its pods, those of an older template gone, as far as the quotas and limit ranges of its
 * namespace let it. Budgets, priorities and preemption are those of the cluster.
 */
import { controllerOf, isDeleting, isSame } from '../../lib/model/object.ts';
import { isPodFinished } from '../../lib/model/pods.ts';
import { seededRandom } from '../../lib/random.ts';
import type { KubeObject, Node, Pod, PodTemplateSpec, SimulatedPod } from '../../proto/gen/types.ts';
import { inDeletionOrder } from '../controllers/replica-set/deletion-order.ts';
import type { Snapshot } from '../state/snapshot.ts';
import { withPriorities } from './loop.ts';
import { pictureOf } from './picture.ts';
import { isPending } from './pod-classes.ts';
import { budgetFor } from './preemption-write.ts';
import { schedule } from './schedule.ts';
import { SimulatedPolicies } from './simulated-policies.ts';
import type { StrategyName } from './strategies.ts';
import { withVolumes } from './volumes.ts';

export interface WhatIf {
  readonly killNodes: readonly string[];
  /** Admitted, each as it would be stored. */
  readonly objects: readonly KubeObject[];
  /** Wall time: a pod that should long be gone is counted by no quota. */
  readonly nowMs: number;
}

/** Priorities fall with each round of victims; more rounds than this would be a mistake of ours. */
const mostRounds = 50;

export function simulate(snapshot: Snapshot, whatIf: WhatIf, defaultStrategy: StrategyName): SimulatedPod[] {
  const world = new SimulatedWorld(snapshot, whatIf, defaultStrategy);
  for (const name of whatIf.killNodes) world.kill(name);
  for (const object of whatIf.objects) world.apply(object);
  world.settle();
  return world.outcome();
}

class SimulatedWorld {
  readonly #snapshot: Snapshot;
  readonly #whatIf: WhatIf;
  readonly #strategy: StrategyName;
  readonly #nodes: readonly Node[];
  #bound: Pod[];
  #pending: Pod[];
  /** Neither here nor there: on their way out, or finished before they were placed. */
  readonly #others: readonly Pod[];
  readonly #policies: SimulatedPolicies;
  /** In the order in which pods came into it, by uid. */
  readonly #rows = new Map<string, SimulatedPod>();
  /** Why pods left their nodes, by uid. */
  readonly #reasons = new Map<string, string>();

  constructor(snapshot: Snapshot, whatIf: WhatIf, strategy: StrategyName) {
    this.#snapshot = snapshot;
    this.#whatIf = whatIf;
    this.#strategy = strategy;
    this.#nodes = snapshot.list('Node').filter(({ metadata }) => !whatIf.killNodes.includes(metadata.name));
    const pods = snapshot.list('Pod');
    this.#bound = pods.filter((pod) => pod.spec.nodeName !== undefined);
    this.#pending = pods.filter(isPending);
    this.#others = pods.filter((pod) => pod.spec.nodeName === undefined && !isPending(pod));
    const all = () => [...this.#bound, ...this.#pending, ...this.#others];
    this.#policies = new SimulatedPolicies(snapshot, all, whatIf.nowMs);
  }

  kill(nodeName: string): void {
    for (const pod of this.#bound.filter(({ spec }) => spec.nodeName === nodeName)) {
      if (isPodFinished(pod) || isDeleting(pod)) this.#take(pod);
      else this.#evict(pod, `lost with node ${nodeName}`);
    }
  }

  apply(given: KubeObject): void {
    const live = this.#snapshot.get(given.kind, given.metadata.namespace, given.metadata.name);
    const object = this.#policies.admit(given, live);
    if (object.kind === 'Pod') {
      if (!live) this.#add(object, undefined);
      return;
    }
    const wanted = podsWanted(object);
    if (wanted === undefined) return;
    const { template } = (object as Templated).spec;
    const own = live ? [...this.#bound, ...this.#pending].filter((pod) => this.#belongsTo(pod, live)) : [];
    const active = own.filter((pod) => !isPodFinished(pod) && !isDeleting(pod));
    const isSameTemplate = live !== undefined && isSame((live as Templated).spec.template, template);
    const surplus = isSameTemplate ? inDeletionOrder(active).slice(0, Math.max(0, active.length - wanted)) : active;
    for (const pod of surplus) {
      this.#take(pod);
      this.#tell(pod, 'Gone', {
        reason: isSameTemplate ? 'removed: fewer replicas' : 'removed: the template changed',
      });
    }
    const missing = Math.max(0, wanted - (active.length - surplus.length));
    const coming = Array.from({ length: missing }, (_, index) => newPod(object, template, index + 1));
    const { pods, refusal } = this.#policies.admitPods(coming);
    for (const pod of pods) this.#add(pod, object);
    const [refused] = coming.slice(pods.length);
    for (const pod of coming.slice(pods.length)) {
      this.#refuse(pod, object, (refusal ?? '').replace(quotedName(refused!), quotedName(pod)));
    }
  }

  /** Passes of the scheduler, with victims gone at once and replaced, until nothing changes. */
  settle(): void {
    const { ready, refused } = withPriorities(this.#pending, this.#priorityClasses());
    for (const { pod, message } of refused) this.#tell(pod, 'Waiting', { reason: message });
    this.#pending = [...ready];
    const state = { random: seededRandom(1), lastTurn: '' };
    for (let round = 0; round < mostRounds; round += 1) {
      const { ready: pending, refused: withoutVolumes } = withVolumes(this.#pending, this.#snapshot);
      for (const { pod, message } of withoutVolumes) this.#tell(pod, 'Waiting', { reason: message });
      const { bindings, preemptions, unschedulable } = schedule(pending, pictureOf(this.#nodes, this.#bound), {
        defaultStrategy: this.#strategy,
        state,
        budgets: this.#snapshot.list('PodDisruptionBudget').map(budgetFor),
      });
      for (const { pod, node } of bindings) this.#bind(pod, node.metadata.name);
      for (const { pod, message } of unschedulable) this.#tell(pod, 'Waiting', { reason: message });
      for (const { pod, node, victims } of preemptions) {
        for (const victim of victims)
          this.#evict(victim, `preempted by ${pod.metadata.namespace}/${pod.metadata.name}`);
        this.#nominate(pod, node.metadata.name);
      }
      if (bindings.length + preemptions.flatMap(({ victims }) => victims).length === 0) return;
    }
  }

  /** What waited before and waits still is not of interest. */
  outcome(): SimulatedPod[] {
    const waitedBefore = new Set(
      this.#snapshot
        .list('Pod')
        .filter(isPending)
        .map(({ metadata }) => metadata.uid),
    );
    return [...this.#rows].filter(([uid, { to }]) => to !== undefined || !waitedBefore.has(uid)).map(([, row]) => row);
  }

  #priorityClasses() {
    const applied = this.#whatIf.objects.filter((object) => object.kind === 'PriorityClass');
    const names = new Set(applied.map(({ metadata }) => metadata.name));
    return [...applied, ...this.#snapshot.list('PriorityClass').filter(({ metadata }) => !names.has(metadata.name))];
  }

  #take(pod: Pod): void {
    const others = (other: Pod): boolean => other.metadata.uid !== pod.metadata.uid;
    this.#bound = this.#bound.filter(others);
    this.#pending = this.#pending.filter(others);
  }

  /** Off its node; a replacement waits when a workload would make one. */
  #evict(pod: Pod, reason: string): void {
    this.#take(pod);
    const owner = controllerOf(pod);
    if (!owner || owner.kind === 'DaemonSet') {
      const why = owner ? 'its DaemonSet has no other node for it' : 'nothing replaces it';
      this.#tell(pod, 'Gone', { reason: `${reason}; ${why}` });
      return;
    }
    const { pods, refusal } = this.#policies.admitPods([waiting(pod)]);
    this.#tell(pod, 'Waiting', { reason: refusal === undefined ? reason : `${reason}; ${refusal}` });
    this.#pending.push(...pods);
  }

  #add(pod: Pod, owner: KubeObject | undefined): void {
    this.#rows.set(pod.metadata.uid!, newRow(pod, owner));
    this.#pending.push(pod);
  }

  /** A policy is against it: its workload asks again and again. */
  #refuse(pod: Pod, owner: KubeObject, reason: string): void {
    this.#rows.set(pod.metadata.uid!, { ...newRow(pod, owner), reason, outcome: 'Waiting' });
  }

  #bind(pod: Pod, to: string): void {
    this.#take(pod);
    this.#bound.push({ ...pod, spec: { ...pod.spec, nodeName: to }, status: { phase: 'Running' } });
    const moved = this.#rows.get(pod.metadata.uid ?? '')?.from !== undefined;
    this.#tell(pod, moved ? 'Moved' : 'Placed', { to });
  }

  #nominate(pod: Pod, nominatedNodeName: string): void {
    this.#take(pod);
    this.#pending.push({ ...pod, status: { ...pod.status, nominatedNodeName } });
  }

  /** The reason of a pod that found its place is the one for which it moved: what it waited for is past. */
  #tell(pod: Pod, outcome: Exclude<SimulatedPod['outcome'], undefined>, news: Partial<SimulatedPod>): void {
    const { namespace = 'default', name, uid = '' } = pod.metadata;
    const owner = this.#topOwner(pod);
    const before = this.#rows.get(uid);
    const from = pod.spec.nodeName ?? before?.from;
    const why = news.reason ?? (from !== undefined ? this.#reasons.get(uid) : undefined);
    if (pod.spec.nodeName !== undefined && why !== undefined) this.#reasons.set(uid, why);
    this.#rows.set(uid, {
      namespace,
      name,
      ...(owner
        ? { workload: `${owner.kind}/${owner.metadata.name}` }
        : before?.workload && { workload: before.workload }),
      ...(from !== undefined && { from }),
      ...(news.to !== undefined && { to: news.to }),
      ...(why !== undefined && { reason: why }),
      outcome,
    });
  }

  #topOwner(object: KubeObject): KubeObject | undefined {
    const reference = controllerOf(object);
    const owner = reference && this.#snapshot.byUID(reference.uid);
    return owner && (this.#topOwner(owner) ?? owner);
  }

  #belongsTo(pod: Pod, workload: KubeObject): boolean {
    return this.#topOwner(pod)?.metadata.uid === workload.metadata.uid;
  }
}

type Templated = KubeObject & { readonly spec: { readonly template: PodTemplateSpec } };

/** Undefined: the kind runs no pods, or not by number. */
function podsWanted(object: KubeObject): number | undefined {
  const { spec } = object as { spec?: { replicas?: number; parallelism?: number; template?: unknown } };
  if (!spec?.template || object.kind === 'DaemonSet') return undefined;
  return spec.replicas ?? spec.parallelism ?? 1;
}

function newPod(
  { apiVersion, kind, metadata }: KubeObject,
  { metadata: labels, spec }: PodTemplateSpec,
  index: number,
): Pod {
  const uid = `new/${kind}/${metadata.namespace}/${metadata.name}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...(labels?.labels && { labels: labels.labels }),
      name: `${metadata.name}-(new ${index})`,
      namespace: metadata.namespace ?? 'default',
      uid: `${uid}/${index}`,
      ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid ?? uid, controller: true }],
    },
    spec,
    status: { phase: 'Pending' },
  };
}

const quotedName = ({ metadata }: Pod): string => JSON.stringify(metadata.name);

function newRow({ metadata }: Pod, owner: KubeObject | undefined): SimulatedPod {
  const workload = owner && `${owner.kind}/${owner.metadata.name}`;
  return { namespace: metadata.namespace ?? 'default', name: metadata.name, ...(workload && { workload }) };
}

function waiting(pod: Pod): Pod {
  const { nodeName: _left, ...spec } = pod.spec;
  return { ...pod, spec, status: { phase: 'Pending' } };
}
