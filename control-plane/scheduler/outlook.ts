/**
 * Which nodes look the same to a class of identical pods: its wishes and constraints, and those of others about it, are
 * met there as well or as badly as where it is. So it may change places without anybody minding (exchange.ts).
 */
import type { Pod } from '../../proto/gen/types.ts';
import { preferredTerms } from './held-terms.ts';
import { pinnedNodes, preferredNodeWeight } from './node-affinity.ts';
import type { Places } from './node-answers.ts';
import { type NodeInfo, workloadOf } from './node-info.ts';
import type { Picture } from './picture.ts';
import { append, isInScope, labelsOf, namespaceOf, type Scope, scopeOf, wantedLabel } from './scope.ts';
import { unwanted } from './strategies.ts';

export interface Outlook {
  /** Of several nodes each: the pod must stay in the same place of all of these topologies. */
  readonly bounds: readonly Places[];
  /** What must be the same number on both nodes, without the pods that change places. */
  readonly sights: readonly Sight[];
}

type Sight = (info: NodeInfo) => number;

/** Pods that a term or a spread constraint counts, by places of a topology. */
interface Concern {
  readonly topologyKey: string;
  readonly scope: Scope;
}

export class Outlooks {
  readonly #picture: Picture;
  /** Spread constraints of all classes of the pass, under a label that they ask for. */
  readonly #spreads = new Map<string, { readonly holder: Pod; readonly spread: Concern }[]>();
  readonly #single = new Map<Places, boolean>();

  /** `classes`: a pod of each. */
  constructor(classes: Iterable<Pod>, picture: Picture) {
    this.#picture = picture;
    for (const holder of classes) {
      for (const spread of spreadsOf(holder)) append(this.#spreads, wantedLabel(spread.scope), { holder, spread });
    }
  }

  /** Undefined: its pods stay where they are. */
  of(pod: Pod): Outlook | undefined {
    if (pod.status?.nominatedNodeName !== undefined || pinnedNodes(pod) !== undefined) return undefined;
    const bounds = new Set<Places>();
    const sights = this.#ownSights(pod);
    for (const { topologyKey, scope } of [...termsOf(pod), ...spreadsOf(pod)]) {
      const places = this.#picture.nodes.places(topologyKey);
      if (this.#isSingle(places)) sights.push(this.#matching(scope, places));
      else bounds.add(places);
    }
    for (const { topologyKey, effect, perNode } of this.#picture.terms.about(pod)) {
      const places = this.#picture.nodes.places(topologyKey);
      if (!this.#isSingle(places)) bounds.add(places);
      else if (effect === 'needs') return undefined;
      else sights.push((info) => perNode.get(info) ?? 0);
    }
    for (const { topologyKey } of this.#spreadsOfOthers(pod)) {
      const places = this.#picture.nodes.places(topologyKey);
      if (this.#isSingle(places)) return undefined;
      bounds.add(places);
    }
    return { bounds: [...bounds], sights };
  }

  #ownSights(pod: Pod): Sight[] {
    const sights: Sight[] = [];
    const workload = workloadOf(pod);
    if (workload !== undefined) {
      const siblings = this.#picture.workload(workload);
      sights.push((info) => siblings.get(info) ?? 0);
    }
    if (this.#picture.nodes.hasSoftTaints) sights.push((info) => unwanted(pod, info));
    if (pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution) {
      sights.push(({ node }) => preferredNodeWeight(pod, node));
    }
    return sights;
  }

  #matching(scope: Scope, { ids }: Places): Sight {
    const groups = this.#picture.groups.matching(scope);
    return (info) => {
      if (ids[info.index]! < 0) return -1;
      let pods = 0;
      for (const { perNode } of groups) pods += perNode.get(info) ?? 0;
      return pods;
    };
  }

  #spreadsOfOthers(pod: Pod): readonly Concern[] {
    if (this.#spreads.size === 0) return [];
    const given = { namespace: namespaceOf(pod), labels: pod.metadata.labels };
    return labelsOf(given)
      .flatMap((label) => this.#spreads.get(label) ?? [])
      .filter(({ holder, spread }) => holder !== pod && isInScope(spread.scope, given))
      .map(({ spread }) => spread);
  }

  /** Whether every place is one node, as a host is. */
  #isSingle(places: Places): boolean {
    let single = this.#single.get(places);
    if (single === undefined) {
      single = places.size === places.ids.filter((id) => id >= 0).length;
      this.#single.set(places, single);
    }
    return single;
  }
}

function termsOf(pod: Pod): Concern[] {
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  return [
    ...(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...preferredTerms(pod.spec.affinity).map(({ term }) => term),
  ].map((term) => ({ topologyKey: term.topologyKey, scope: scopeOf(term, pod) }));
}

function spreadsOf(pod: Pod): Concern[] {
  return (pod.spec.topologySpreadConstraints ?? []).map(({ topologyKey, labelSelector }) => ({
    topologyKey,
    scope: { namespaces: [namespaceOf(pod)], selector: labelSelector },
  }));
}
