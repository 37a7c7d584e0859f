/**
 * What a class of identical pods minds about the pods on all nodes, and they about it: pod affinity and anti-affinity
 * (its own terms, and those of pods already there), and topology spread. Counted once for the class, by places, then
 * kept up to date by each placement.
 *
 * A "place" is the set of nodes that share a value of a topology label.
 */
import type { Pod, PodAffinityTerm } from '../../proto/gen/types.ts';
import { CountedSpread, CountedTerm } from './counted-places.ts';
import type { Check } from './filters.ts';
import type { HeldTerm } from './held-terms.ts';
import type { Places } from './node-answers.ts';
import type { NodeInfo } from './node-info.ts';
import type { Picture } from './picture.ts';
import { type Counted, preferences } from './place-scores.ts';
import { unmetNeeds } from './unmet-needs.ts';

export interface Neighbourhood {
  /** False: the class minds nobody, every answer below is the same for all nodes and stays so. */
  readonly minds: boolean;
  /** Why no further pod of the class can ever join this node in this pass. Absent: nothing can be said against any. */
  readonly refuses?: Check;
  /** Why the next one cannot, although a later one may (spread). */
  readonly postpones?: Check;
  /** What the nodes of one group, whose places are the same, have in common. */
  readonly grouping: Grouping;
  /** Higher is better: weights of preferred terms by matching pods, both ways, and pods there that lack such a pod. */
  readonly preference: ByPlace;
  /** Lower is better: matching pods in the node's place, summed over the spread constraints except the leading one. */
  readonly crowding: ByPlace;
  placed(info: NodeInfo): void;
}

/**
 * A number for each node in two parts that are added up: one that is the same for all nodes of a group and changes for
 * all of them at once, and one of the node's own.
 */
export interface ByPlace {
  readonly group?: (info: NodeInfo) => number;
  readonly node?: (info: NodeInfo) => number;
}

export interface Grouping {
  /** Nodes with the same number are one group. */
  groupOf(info: NodeInfo): number;
  /** The constraint that comes before all levels: matching pods in the group's place. */
  readonly crowding?: (info: NodeInfo) => number;
  /** A constraint keeps the next pod out of the whole group. */
  readonly isClosed?: (info: NodeInfo) => boolean;
  /** Why the next one cannot join the node, the reasons of the whole group left out. */
  readonly postpones?: Check;
  /** Whether a placement changes the numbers of other nodes of the group. */
  readonly shifts: boolean;
}

/** With more places than this, grouping nodes by place costs more than it saves. */
const mostPlaces = 64;
const mostGroups = 1024;

const indifferent: Neighbourhood = {
  minds: false,
  grouping: { groupOf: () => 0, shifts: false },
  preference: {},
  crowding: {},
  placed: () => {},
};

export function neighbourhood(pod: Pod, picture: Picture): Neighbourhood {
  const { affinity, topologySpreadConstraints = [] } = pod.spec;
  const held = picture.terms.about(pod);
  const unmet = unmetNeeds(held, picture);
  const minds =
    affinity?.podAffinity ||
    affinity?.podAntiAffinity ||
    topologySpreadConstraints.length > 0 ||
    unmet.length > 0 ||
    held.some(({ effect }) => effect !== 'needs');
  if (!minds) return indifferent;

  const counted = (term: PodAffinityTerm): CountedTerm => new CountedTerm(term, pod, picture);
  const attract = required(affinity?.podAffinity).map(counted);
  const repel = required(affinity?.podAntiAffinity).map(counted);
  const preferred = preferences(pod, held, picture);
  const preference: readonly Counted[] = [...preferred, ...unmet];
  const spreads = topologySpreadConstraints.map((constraint) => new CountedSpread(constraint, pod, picture));
  const keptFree = held
    .filter(({ effect }) => effect === 'keepsAway')
    .map((repellent) => forbiddenPlaces(repellent, picture));
  // What no placement of this class changes is the node's own.
  const changing = [...spreads, ...preferred.filter(({ gain }) => gain !== 0), ...unmet];
  const grouped = groupedPlaces(changing.map(({ places }) => places));
  const isGrouped = ({ places }: { places: Places }): boolean => grouped.includes(places);
  const leading = spreads.filter(isGrouped).sort((a, b) => Number(b.hard) - Number(a.hard))[0];
  const others = spreads.filter((spread) => spread !== leading);

  return {
    minds: true,
    ...(keptFree.length + attract.length + repel.length > 0 && {
      refuses(info) {
        for (const isForbidden of keptFree) {
          if (isForbidden(info)) return 'kept free by the anti-affinity of a pod there';
        }
        for (const term of attract) if (!term.attracts(info)) return 'not matching pod affinity';
        for (const term of repel) if (term.count(info) > 0) return 'not matching pod anti-affinity';
        return undefined;
      },
    }),
    ...postponing(spreads),
    grouping: {
      groupOf: groupNumber(grouped),
      ...(leading && { crowding: (info) => leading.count(info) }),
      ...(spreads.some((spread) => spread.hard && isGrouped(spread)) && {
        isClosed: (info) => spreads.some((spread) => spread.hard && isGrouped(spread) && !spread.allows(info)),
      }),
      ...postponing(spreads.filter((spread) => !isGrouped(spread))),
      shifts: changing.some((one) => !isGrouped(one) && one.places.size < one.places.ids.length),
    },
    preference: summed(preference, isGrouped),
    crowding: summed(others, isGrouped),
    placed(info) {
      for (const term of attract) term.placed(info);
      for (const term of repel) term.placed(info);
      for (const scores of preference) scores.placed(info);
      for (const spread of spreads) spread.placed(info);
    },
  };
}

function postponing(spreads: readonly CountedSpread[]): { postpones?: Check } {
  const hard = spreads.filter((spread) => spread.hard);
  if (hard.length === 0) return {};
  return {
    postpones(info) {
      for (const spread of hard) if (!spread.allows(info)) return 'not matching topology spread';
      return undefined;
    },
  };
}

/** Those by which nodes are grouped: few places each, and not too many groups. */
function groupedPlaces(all: readonly Places[]): readonly Places[] {
  const grouped: Places[] = [];
  let groups = 1;
  for (const places of new Set(all)) {
    if (places.size > mostPlaces || groups * (places.size + 1) > mostGroups) continue;
    grouped.push(places);
    groups *= places.size + 1;
  }
  return grouped;
}

function groupNumber(grouped: readonly Places[]): (info: NodeInfo) => number {
  return ({ index }) => {
    let number = 0;
    for (const { ids, size } of grouped) number = number * (size + 1) + ids[index]! + 1;
    return number;
  };
}

function summed(all: readonly Counted[], isGrouped: (counts: Counted) => boolean): ByPlace {
  const sum = (some: readonly Counted[]) => (info: NodeInfo) => {
    let total = 0;
    for (const counts of some) total += counts.count(info);
    return total;
  };
  const ofGroup = all.filter(isGrouped);
  const ofNode = all.filter((counts) => !isGrouped(counts));
  return { ...(ofGroup.length > 0 && { group: sum(ofGroup) }), ...(ofNode.length > 0 && { node: sum(ofNode) }) };
}

/** Why the next pod of the class cannot join the node. */
export function neighbourReason({ refuses, postpones }: Neighbourhood, info: NodeInfo): string | undefined {
  return refuses?.(info) ?? postpones?.(info);
}

type AffinityRules = NonNullable<NonNullable<Pod['spec']['affinity']>['podAffinity']>;

function required(rules: AffinityRules | undefined): readonly PodAffinityTerm[] {
  return rules?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
}

function forbiddenPlaces({ topologyKey, perNode }: HeldTerm, picture: Picture): (info: NodeInfo) => boolean {
  const { ids, size } = picture.nodes.places(topologyKey);
  const forbidden = new Uint8Array(size);
  for (const { index } of perNode.keys()) if (ids[index]! >= 0) forbidden[ids[index]!] = 1;
  return ({ index }) => ids[index]! >= 0 && forbidden[ids[index]!] === 1;
}
