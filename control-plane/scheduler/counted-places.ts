/** Matching pods, counted by places: for a term of affinity, and for a spread constraint. */
import type { Pod, PodAffinityTerm, TopologySpreadConstraint } from '../../proto/gen/types.ts';
import { staticAnswers } from './candidates.ts';
import { nodeAffinity, nodeSelector } from './filters.ts';
import type { Places } from './node-answers.ts';
import type { NodeInfo } from './node-info.ts';
import type { Picture } from './picture.ts';
import { isInScope, namespaceOf, type Scope, scopeOf } from './scope.ts';

/** Calls back with every node that has such pods, and how many. */
export function eachMatching(scope: Scope, picture: Picture, callback: (info: NodeInfo, pods: number) => void): void {
  for (const { perNode } of picture.groups.matching(scope)) {
    for (const [info, pods] of perNode) callback(info, pods);
  }
}

/** The pods that a term is about, by place. */
export class CountedTerm {
  readonly places: Places;
  readonly #counts: Int32Array;
  readonly #matchesItself: boolean;
  #total = 0;

  constructor(term: PodAffinityTerm, owner: Pod, picture: Picture) {
    const scope = scopeOf(term, owner);
    this.places = picture.nodes.places(term.topologyKey);
    this.#counts = new Int32Array(this.places.size);
    this.#matchesItself = isOneOf(scope, owner);
    eachMatching(scope, picture, (info, pods) => this.#add(info, pods));
  }

  count({ index }: NodeInfo): number {
    const place = this.places.ids[index]!;
    return place < 0 ? 0 : this.#counts[place]!;
  }

  /** The first of a group that wants to be together may go anywhere that is a place. */
  attracts(info: NodeInfo): boolean {
    if (this.#total === 0 && this.#matchesItself) return this.places.ids[info.index]! >= 0;
    return this.count(info) > 0;
  }

  placed(info: NodeInfo): void {
    if (this.#matchesItself) this.#add(info, 1);
  }

  #add({ index }: NodeInfo, pods: number): void {
    this.#total += pods;
    const place = this.places.ids[index]!;
    if (place >= 0) this.#counts[place]! += pods;
  }
}

/** The pods that a spread constraint evens out, by the places that its pod could use. */
export class CountedSpread {
  readonly places: Places;
  readonly hard: boolean;
  readonly #counts: Int32Array;
  readonly #isPlace: Uint8Array;
  readonly #skew: number;
  readonly #matchesItself: boolean;
  #least = 0;
  /** Places with the least count. */
  #atLeast = 0;

  constructor(
    { topologyKey, labelSelector, maxSkew, whenUnsatisfiable }: TopologySpreadConstraint,
    pod: Pod,
    picture: Picture,
  ) {
    const scope = { namespaces: [namespaceOf(pod)], selector: labelSelector };
    this.places = picture.nodes.places(topologyKey);
    this.hard = whenUnsatisfiable === 'DoNotSchedule';
    this.#counts = new Int32Array(this.places.size);
    this.#isPlace = new Uint8Array(this.places.size);
    this.#matchesItself = isOneOf(scope, pod);
    this.#skew = maxSkew - Number(this.#matchesItself);
    const usable = usableNodes(pod, picture);
    const { ids } = this.places;
    for (let index = 0; index < ids.length; index += 1) {
      if (ids[index]! >= 0 && usable(index)) this.#isPlace[ids[index]!] = 1;
    }
    eachMatching(scope, picture, ({ index }, pods) => {
      if (ids[index]! >= 0 && usable(index)) this.#counts[ids[index]!]! += pods;
    });
    this.#findLeast();
  }

  count({ index }: NodeInfo): number {
    const place = this.places.ids[index]!;
    return place < 0 ? 0 : this.#counts[place]!;
  }

  /** Whether the constraint lets the next pod into the node's place. */
  allows({ index }: NodeInfo): boolean {
    const place = this.places.ids[index]!;
    return place >= 0 && this.#counts[place]! - this.#least <= this.#skew;
  }

  placed({ index }: NodeInfo): void {
    const place = this.places.ids[index]!;
    if (!this.#matchesItself || place < 0) return;
    this.#counts[place]! += 1;
    if (this.#counts[place]! - 1 !== this.#least || this.#isPlace[place] === 0) return;
    this.#atLeast -= 1;
    if (this.#atLeast === 0) this.#findLeast();
  }

  #findLeast(): void {
    let least = Number.POSITIVE_INFINITY;
    let atLeast = 0;
    for (let place = 0; place < this.#counts.length; place += 1) {
      if (this.#isPlace[place] === 0 || this.#counts[place]! > least) continue;
      atLeast = this.#counts[place] === least ? atLeast + 1 : 1;
      least = this.#counts[place]!;
    }
    this.#least = atLeast === 0 ? 0 : least;
    this.#atLeast = atLeast;
  }
}

export function isOneOf(scope: Scope, pod: Pod): boolean {
  return isInScope(scope, { namespace: namespaceOf(pod), labels: pod.metadata.labels });
}

/** Nodes that the pod could never use are no places to be even with. */
function usableNodes(pod: Pod, picture: Picture): (index: number) => boolean {
  const selected = staticAnswers(nodeSelector, pod, picture);
  const liked = staticAnswers(nodeAffinity, pod, picture);
  return (index) => selected?.[index] !== 0 && liked?.[index] !== 0;
}
