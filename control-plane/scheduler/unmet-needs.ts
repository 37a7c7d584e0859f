/**
 * Places where pods with a required affinity have nobody left who meets it: the pod that they were placed beside has gone.
 * They run on, and the next pod that would do had better go there: each of them counts as a preference of weight 1, which
 * is Kubernetes' weight of what is required the other way round.
 *
 * Where the need is met it does not count (it does in Kubernetes): here a preference wins over load, and a few pods with
 * an affinity would draw all that they can be near into one zone.
 */
import type { HeldTerm } from './held-terms.ts';
import type { Places } from './node-answers.ts';
import type { NodeInfo } from './node-info.ts';
import type { Picture } from './picture.ts';
import type { Counted } from './place-scores.ts';

class UnmetNeed implements Counted {
  readonly places: Places;
  /** Pods whose need is not met, by place. */
  readonly #pods: Map<number, number>;

  constructor(places: Places, pods: Map<number, number>) {
    this.places = places;
    this.#pods = pods;
  }

  count({ index }: NodeInfo): number {
    return this.#pods.get(this.places.ids[index]!) ?? 0;
  }

  /** Whoever is placed there meets it. */
  placed({ index }: NodeInfo): void {
    this.#pods.delete(this.places.ids[index]!);
  }
}

/** Those of the terms that are about a pod; mostly none. */
export function unmetNeeds(held: readonly HeldTerm[], picture: Picture): readonly Counted[] {
  return held.flatMap((term) => {
    if (term.effect !== 'needs') return [];
    const places = picture.nodes.places(term.topologyKey);
    const pods = unmetBy(term, places, picture);
    return pods.size > 0 ? [new UnmetNeed(places, pods)] : [];
  });
}

function unmetBy({ weight, perNode, scope }: HeldTerm, { ids }: Places, picture: Picture): Map<number, number> {
  const unmet = new Map<number, number>();
  for (const [{ index }, pods] of perNode) {
    const place = ids[index]!;
    if (place >= 0) unmet.set(place, (unmet.get(place) ?? 0) + weight * pods);
  }
  for (const group of picture.groups.matching(scope)) {
    for (const { index } of group.perNode.keys()) {
      unmet.delete(ids[index]!);
      if (unmet.size === 0) return unmet; // mostly after a few pods
    }
  }
  return unmet;
}
