/**
 * What a class of identical pods minds about the pods on all nodes: pod affinity and anti-affinity (its own terms, and
 * those of pods already there), and topology spread. Counted once for the class over all nodes, then kept up to date
 * by each placement.
 *
 * A "place" is the set of nodes that share a value of a topology label.
 */
import { matchesSelector } from '../../lib/model/labels.ts';
import type { Node, Pod, PodAffinityTerm, TopologySpreadConstraint } from '../../proto/gen/types.ts';
import { requiredNodeAffinityHolds } from './node-affinity.ts';
import type { NodeInfo } from './node-info.ts';

export interface Neighbourhood {
  /** False: the class minds nobody, every answer below is the same for all nodes and stays so. */
  readonly minds: boolean;
  /** Why the next pod of the class cannot join this node. */
  check(info: NodeInfo): string | undefined;
  /** True when a refusal may turn into consent after more placements of the class (spread, affinity to one's own). */
  readonly mayRelent: boolean;
  /** Higher is better: weights of preferred terms by matching pods. */
  preference(info: NodeInfo): number;
  /** Lower is better: matching pods in the node's place, summed over the spread constraints except the leading one. */
  crowding(info: NodeInfo): number;
  /** The constraint by which nodes are grouped, when there is one with few places; see strategies.ts. */
  readonly leading: SpreadPlaces | undefined;
  placed(info: NodeInfo): void;
}

export interface SpreadPlaces {
  placeOf(info: NodeInfo): string | undefined;
  count(place: string): number;
}

/** With more places than this, grouping nodes by place costs more than it saves. */
const mostLeadingPlaces = 64;

const indifferent: Neighbourhood = {
  minds: false,
  check: () => undefined,
  mayRelent: false,
  preference: () => 0,
  crowding: () => 0,
  leading: undefined,
  placed: () => {},
};

/** `repellents`: pods already bound that have required anti-affinity terms of their own. */
export function neighbourhood(pod: Pod, infos: readonly NodeInfo[], repellents: readonly Repellent[]): Neighbourhood {
  const { affinity, topologySpreadConstraints = [] } = pod.spec;
  const repelled = repellents.filter(({ term, owner }) => termMatches(term, owner, pod));
  if (!affinity?.podAffinity && !affinity?.podAntiAffinity && topologySpreadConstraints.length === 0) {
    if (repelled.length === 0) return indifferent;
  }
  const attract = required(affinity?.podAffinity).map((term) => countedTerm(term, pod, infos));
  const repel = required(affinity?.podAntiAffinity).map((term) => countedTerm(term, pod, infos));
  const preferred = [
    ...weighted(affinity?.podAffinity, 1, pod, infos),
    ...weighted(affinity?.podAntiAffinity, -1, pod, infos),
  ];
  const spreads = topologySpreadConstraints.map((constraint) => countedSpread(constraint, pod, infos));
  const forbidden = new Set(repelled.map(({ term, node }) => placeKey(term.topologyKey, node)));
  const forbiddenKeys = [...new Set(repelled.map(({ term }) => term.topologyKey))];
  const leading = spreads
    .filter(({ places }) => places.size <= mostLeadingPlaces)
    .sort((a, b) => Number(b.hard) - Number(a.hard))[0];

  return {
    minds: true,
    check(info) {
      if (forbiddenKeys.some((key) => forbidden.has(placeKey(key, info.node)))) {
        return 'kept free by the anti-affinity of a pod there';
      }
      if (attract.some((term) => !term.attracts(info))) return 'not matching pod affinity';
      if (repel.some((term) => term.count(info) > 0)) return 'not matching pod anti-affinity';
      return spreads.some((spread) => spread.hard && !spread.allows(info)) ? 'not matching topology spread' : undefined;
    },
    mayRelent: attract.length > 0 || spreads.some(({ hard }) => hard),
    preference: (info) => preferred.reduce((sum, { weight, term }) => sum + weight * term.count(info), 0),
    crowding: (info) => spreads.reduce((sum, spread) => sum + (spread === leading ? 0 : spread.count(info)), 0),
    leading: leading && {
      placeOf: (info) => placeOf(leading.topologyKey, info.node),
      count: (place) => leading.places.get(place) ?? 0,
    },
    placed(info) {
      for (const term of [...attract, ...repel, ...preferred.map((entry) => entry.term)]) term.placed(info);
      for (const spread of spreads) spread.placed(info);
    },
  };
}

/** A required anti-affinity term of a pod that is there already. */
export interface Repellent {
  readonly term: PodAffinityTerm;
  readonly owner: Pod;
  readonly node: Node;
}

export function repellentsOf(pod: Pod, node: Node): Repellent[] {
  return required(pod.spec.affinity?.podAntiAffinity).map((term) => ({ term, owner: pod, node }));
}

export function allRepellents(infos: readonly NodeInfo[]): Repellent[] {
  return infos.flatMap((info) => info.pods.flatMap((pod) => repellentsOf(pod, info.node)));
}

type AffinityRules = NonNullable<NonNullable<Pod['spec']['affinity']>['podAffinity']>;

function required(rules: AffinityRules | undefined): readonly PodAffinityTerm[] {
  return rules?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
}

function weighted(rules: AffinityRules | undefined, sign: 1 | -1, pod: Pod, infos: readonly NodeInfo[]) {
  return (rules?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, podAffinityTerm }) => ({
    weight: sign * weight,
    term: countedTerm(podAffinityTerm, pod, infos),
  }));
}

function countedTerm(term: PodAffinityTerm, owner: Pod, infos: readonly NodeInfo[]) {
  const counts = new Map<string, number>();
  let total = 0;
  const add = ({ node }: NodeInfo, by: number): void => {
    total += by;
    const place = placeOf(term.topologyKey, node);
    if (place !== undefined) counts.set(place, (counts.get(place) ?? 0) + by);
  };
  for (const info of infos) {
    const matching = info.pods.filter((pod) => isStaying(pod) && termMatches(term, owner, pod)).length;
    if (matching > 0) add(info, matching);
  }
  const matchesItself = termMatches(term, owner, owner);
  const count = ({ node }: NodeInfo): number => counts.get(placeOf(term.topologyKey, node) ?? '') ?? 0;
  return {
    count,
    /** The first of a group that wants to be together may go anywhere that is a place. */
    attracts: (info: NodeInfo): boolean =>
      count(info) > 0 || (total === 0 && matchesItself && placeOf(term.topologyKey, info.node) !== undefined),
    placed: (info: NodeInfo): void => {
      if (matchesItself) add(info, 1);
    },
  };
}

function countedSpread(constraint: TopologySpreadConstraint, owner: Pod, infos: readonly NodeInfo[]) {
  const { topologyKey, labelSelector, maxSkew, whenUnsatisfiable } = constraint;
  const matches = (pod: Pod): boolean =>
    pod.metadata.namespace === owner.metadata.namespace &&
    labelSelector !== undefined &&
    matchesSelector(labelSelector, pod.metadata.labels);
  const places = new Map<string, number>();
  for (const info of infos) {
    const place = placeOf(topologyKey, info.node);
    // Nodes that the pod could never use are no places to be even with.
    if (place === undefined || !selectsNode(owner, info.node)) continue;
    const matching = info.pods.filter((pod) => isStaying(pod) && matches(pod)).length;
    places.set(place, (places.get(place) ?? 0) + matching);
  }
  const matchesItself = matches(owner);
  let least: number | undefined;
  const leastCount = (): number => (least ??= places.size === 0 ? 0 : Math.min(...places.values()));
  const count = ({ node }: NodeInfo): number => places.get(placeOf(topologyKey, node) ?? '') ?? 0;
  return {
    topologyKey,
    places,
    hard: whenUnsatisfiable === 'DoNotSchedule',
    count,
    allows: (info: NodeInfo): boolean =>
      placeOf(topologyKey, info.node) !== undefined && count(info) + (matchesItself ? 1 : 0) - leastCount() <= maxSkew,
    placed({ node }: NodeInfo): void {
      const place = placeOf(topologyKey, node);
      if (!matchesItself || place === undefined) return;
      const before = places.get(place) ?? 0;
      places.set(place, before + 1);
      if (before === least) least = undefined;
    },
  };
}

function selectsNode(pod: Pod, node: Node): boolean {
  const selected = Object.entries(pod.spec.nodeSelector ?? {}).every(
    ([key, value]) => node.metadata.labels?.[key] === value,
  );
  return selected && requiredNodeAffinityHolds(pod, node);
}

function termMatches({ labelSelector, namespaces = [] }: PodAffinityTerm, owner: Pod, other: Pod): boolean {
  if (labelSelector === undefined) return false;
  const namespace = other.metadata.namespace ?? 'default';
  const inScope = namespaces.length === 0 ? namespace === owner.metadata.namespace : namespaces.includes(namespace);
  return inScope && matchesSelector(labelSelector, other.metadata.labels);
}

/** A pod on its way out neither attracts nor repels. */
function isStaying(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined;
}

function placeOf(topologyKey: string, { metadata }: Node): string | undefined {
  return metadata.labels?.[topologyKey];
}

function placeKey(topologyKey: string, node: Node): string {
  const place = placeOf(topologyKey, node);
  return place === undefined ? '' : `${topologyKey}\0${place}`;
}
