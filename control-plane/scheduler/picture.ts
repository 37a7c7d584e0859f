/**
 * The nodes and what is on them, kept up to date change by change instead of being made anew from all pods.
 *
 * - Between passes it shows exactly the bound pods and the nodes of the state it was told of.
 * - A pass tries things out within `attempt`: places pods, takes some away, and leaves the picture as it found it.
 * - What filters and constraints ask of the nodes alone is remembered until nodes change (node-answers.ts).
 */
import { isSame } from '../../lib/model/object.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import { type HeldTerm, HeldTerms } from './held-terms.ts';
import { NodeAnswers } from './node-answers.ts';
import { holdsResources, type NodeInfo, nodeInfo, readNode, workloadOf } from './node-info.ts';
import { count, type PodGroup, PodGroups } from './pod-groups.ts';
import { type Requests, requestsOf } from './requests.ts';

/** What placing a pod changes; the same for identical pods, so that it is read once for all of them. */
export interface PodFacts {
  readonly requests: Requests;
  readonly takesAddress: boolean;
  /** Pods of its workload by node; undefined without one. */
  readonly siblings: Map<NodeInfo, number> | undefined;
  /** Undefined for a pod on its way out: it is no replica any more, and no neighbour. */
  readonly group: PodGroup | undefined;
  /** What it wants of the pods that come after it. */
  readonly terms: readonly HeldTerm[];
}

interface Move {
  readonly info: NodeInfo;
  readonly pod: Pod;
  readonly facts: PodFacts;
  readonly by: 1 | -1;
}

export class Picture {
  readonly groups = new PodGroups();
  readonly terms = new HeldTerms();
  /** What is asked of the nodes alone. */
  readonly nodes = new NodeAnswers(() => this.infos);
  readonly #infos = new Map<string, NodeInfo>();
  #ordered: readonly NodeInfo[] | undefined;
  /** Bound pods whose node is not there, by its name. */
  readonly #homeless = new Map<string, Set<Pod>>();
  /** Pods per workload (uid of the managing owner) and node, those on their way out left out. */
  readonly #workloads = new Map<string, Map<NodeInfo, number>>();
  #moves: Move[] = [];
  #attempts = 0;

  /** In the order of names. */
  get infos(): readonly NodeInfo[] {
    if (!this.#ordered) {
      this.#ordered = [...this.#infos.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const [index, info] of this.#ordered.entries()) info.index = index;
    }
    return this.#ordered;
  }

  info(name: string): NodeInfo | undefined {
    return this.#infos.get(name);
  }

  /** Whether anything changed that a filter or a strategy may look at. */
  setNode(node: Node): boolean {
    const { name } = node.metadata;
    const known = this.#infos.get(name);
    if (known) {
      const matters = isOtherwise(known.node, node);
      Object.assign(known, readNode(node));
      if (matters) this.nodes.forget();
      return matters;
    }
    const info = nodeInfo(node);
    this.#infos.set(name, info);
    this.#ordered = undefined;
    this.nodes.forget();
    const pods = this.#homeless.get(name) ?? [];
    this.#homeless.delete(name);
    for (const pod of pods) this.addPod(pod);
    return true;
  }

  removeNode(name: string): void {
    const info = this.#infos.get(name);
    if (!info) return;
    const held = [...info.pods, ...info.finished];
    for (const pod of held) this.removePod(pod);
    this.#infos.delete(name);
    this.#ordered = undefined;
    this.nodes.forget();
    if (held.length > 0) this.#homeless.set(name, new Set(held));
  }

  /** A bound pod. */
  addPod(pod: Pod): void {
    const name = pod.spec.nodeName!;
    const info = this.#infos.get(name);
    if (!info) {
      const pods = this.#homeless.get(name);
      if (pods) pods.add(pod);
      else this.#homeless.set(name, new Set([pod]));
    } else if (holdsResources(pod)) {
      this.reserve(info, pod);
    } else {
      info.finished.push(pod);
      if (takesAddress(pod)) info.addressesTaken += 1;
    }
  }

  /** The same object that was added. */
  removePod(pod: Pod): void {
    const name = pod.spec.nodeName!;
    const info = this.#infos.get(name);
    if (!info) {
      const pods = this.#homeless.get(name);
      pods?.delete(pod);
      if (pods?.size === 0) this.#homeless.delete(name);
    } else if (holdsResources(pod)) {
      this.release(info, pod);
    } else if (remove(info.finished, pod) && takesAddress(pod)) {
      info.addressesTaken -= 1;
    }
  }

  /** A newer object of a pod that holds just what it held. */
  replacePod(previous: Pod, pod: Pod): void {
    const info = this.#infos.get(pod.spec.nodeName!);
    const pods = info && (holdsResources(pod) ? info.pods : info.finished);
    const index = pods?.indexOf(previous) ?? -1;
    if (pods && index >= 0) {
      pods[index] = pod;
    } else {
      this.removePod(previous);
      this.addPod(pod);
    }
  }

  /** Addresses of the node are taken by whom nobody knows: it has none left, until one of its pods gives one back. */
  noteAddressesGone(nodeName: string): void {
    const info = this.#infos.get(nodeName);
    if (info) info.addresses = Math.min(info.addresses, info.addressesTaken);
  }

  factsOf(pod: Pod): PodFacts {
    const workload = workloadOf(pod);
    return {
      requests: requestsOf(pod),
      takesAddress: takesAddress(pod),
      siblings: workload === undefined ? undefined : (this.workload(workload) as Map<NodeInfo, number>),
      group: pod.metadata.deletionTimestamp === undefined ? this.groups.groupOf(pod) : undefined,
      terms: this.terms.of(pod),
    };
  }

  reserve(info: NodeInfo, pod: Pod, facts: PodFacts = this.factsOf(pod)): void {
    info.pods.push(pod);
    this.#move({ info, pod, facts, by: 1 });
  }

  release(info: NodeInfo, pod: Pod, facts: PodFacts = this.factsOf(pod)): void {
    if (remove(info.pods, pod)) this.#move({ info, pod, facts, by: -1 });
  }

  /** Whatever `trial` reserves and releases is undone when it is over. */
  attempt<T>(trial: () => T): T {
    const before = this.#moves.length;
    this.#attempts += 1;
    try {
      return trial();
    } finally {
      while (this.#moves.length > before) this.#undo(this.#moves.pop()!);
      this.#attempts -= 1;
    }
  }

  /** How many of its pods are on each node; goes on counting. */
  workload(uid: string): ReadonlyMap<NodeInfo, number> {
    let perNode = this.#workloads.get(uid);
    if (!perNode) {
      perNode = new Map();
      this.#workloads.set(uid, perNode);
    }
    return perNode;
  }

  /** Forgets what no pod belongs to any more. Not within an attempt. */
  prune(): void {
    if (this.groups.prune()) this.terms.prune();
    for (const [uid, perNode] of this.#workloads) if (perNode.size === 0) this.#workloads.delete(uid);
  }

  #move(move: Move): void {
    if (this.#attempts > 0) this.#moves.push(move);
    apply(move.info, move.facts, move.by);
  }

  #undo({ info, pod, facts, by }: Move): void {
    if (by === -1) info.pods.push(pod);
    else if (info.pods.at(-1) === pod) info.pods.pop();
    else remove(info.pods, pod);
    apply(info, facts, by === 1 ? -1 : 1);
  }
}

/** Of everything that is there now. */
export function pictureOf(nodes: Iterable<Node>, pods: Iterable<Pod>): Picture {
  const picture = new Picture();
  for (const node of nodes) picture.setNode(node);
  for (const pod of pods) if (pod.spec.nodeName !== undefined) picture.addPod(pod);
  return picture;
}

function apply(info: NodeInfo, facts: PodFacts, by: 1 | -1): void {
  const { requests, siblings, group } = facts;
  info.requestedCpuMillis += by * requests.cpuMillis;
  info.requestedMemoryBytes += by * requests.memoryBytes;
  info.podCount += by;
  if (facts.takesAddress) info.addressesTaken += by;
  for (const port of requests.hostPorts) count(info.hostPorts, port, by);
  for (const { perNode } of facts.terms) count(perNode, info, by);
  if (!group) return;
  count(group.perNode, info, by);
  if (siblings) count(siblings, info, by);
}

const takesAddress = ({ spec }: Pod): boolean => spec.hostNetwork !== true;

function remove<T>(list: T[], item: T): boolean {
  const index = list.lastIndexOf(item);
  if (index < 0) return false;
  list[index] = list.at(-1)!;
  list.pop();
  return true;
}

/** A heartbeat that only renews times, images that came and went: nothing to a scheduler. */
function isOtherwise(before: Node, after: Node): boolean {
  const statuses = ({ status }: Node): unknown => status?.conditions?.map(({ type, status: is }) => [type, is]);
  return !(
    isSame(before.spec, after.spec) &&
    isSame(before.metadata.labels, after.metadata.labels) &&
    isSame(before.status?.allocatable, after.status?.allocatable) &&
    isSame(before.status?.addresses, after.status?.addresses) &&
    isSame(statuses(before), statuses(after)) &&
    before.metadata.deletionTimestamp === after.metadata.deletionTimestamp
  );
}
