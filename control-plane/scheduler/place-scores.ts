/**
 * What pods would rather have near or far, as one number for every place of a topology, higher is better: the preferred
 * terms of the class by the pods that match them, and those of pods that are there by whom they are about.
 */
import type { Pod } from '../../proto/gen/types.ts';
import { eachMatching, isOneOf } from './counted-places.ts';
import { type HeldTerm, preferredTerms } from './held-terms.ts';
import type { Places } from './node-answers.ts';
import type { NodeInfo } from './node-info.ts';
import type { Picture } from './picture.ts';
import { scopeOf } from './scope.ts';

/** A number for each place, which placements may change. */
export interface Counted {
  readonly places: Places;
  count(info: NodeInfo): number;
  placed(info: NodeInfo): void;
}

export class PlaceScores implements Counted {
  readonly places: Places;
  readonly #scores: Float64Array;
  /** By how much a pod of the class changes its place for the next one. */
  gain = 0;

  constructor(places: Places) {
    this.places = places;
    this.#scores = new Float64Array(places.size);
  }

  count({ index }: NodeInfo): number {
    const place = this.places.ids[index]!;
    return place < 0 ? 0 : this.#scores[place]!;
  }

  add({ index }: NodeInfo, score: number): void {
    const place = this.places.ids[index]!;
    if (place >= 0) this.#scores[place]! += score;
  }

  addHolders({ weight, perNode }: HeldTerm): void {
    for (const [info, pods] of perNode) this.add(info, weight * pods);
  }

  placed(info: NodeInfo): void {
    if (this.gain !== 0) this.add(info, this.gain);
  }
}

/** One for each topology. `held`: the terms that are about the pod. */
export function preferences(pod: Pod, held: readonly HeldTerm[], picture: Picture): readonly PlaceScores[] {
  const scores = new Scores(picture);
  for (const { weight, term } of preferredTerms(pod.spec.affinity)) {
    const ofTerm = scores.of(term.topologyKey);
    const scope = scopeOf(term, pod);
    eachMatching(scope, picture, (info, pods) => ofTerm.add(info, weight * pods));
    // The next one minds this one, and this one the next.
    if (isOneOf(scope, pod)) ofTerm.gain += 2 * weight;
  }
  for (const term of held) if (term.effect === 'prefers') scores.of(term.topologyKey).addHolders(term);
  return scores.all;
}

/** Terms of the same topology are added up in one place. */
class Scores {
  readonly #picture: Picture;
  readonly #byPlaces = new Map<Places, PlaceScores>();

  constructor(picture: Picture) {
    this.#picture = picture;
  }

  of(topologyKey: string): PlaceScores {
    const places = this.#picture.nodes.places(topologyKey);
    const scores = this.#byPlaces.get(places) ?? new PlaceScores(places);
    this.#byPlaces.set(places, scores);
    return scores;
  }

  get all(): readonly PlaceScores[] {
    return [...this.#byPlaces.values()];
  }
}
