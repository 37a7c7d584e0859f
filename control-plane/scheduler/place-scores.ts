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

export class PlaceScores {
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

  placed(info: NodeInfo): void {
    if (this.gain !== 0) this.add(info, this.gain);
  }
}

/** One for each topology. `held`: the terms that are about the pod. */
export function preferences(pod: Pod, held: readonly HeldTerm[], picture: Picture): readonly PlaceScores[] {
  const all = new Map<Places, PlaceScores>();
  const scoresOf = (topologyKey: string): PlaceScores => {
    const places = picture.nodes.places(topologyKey);
    const scores = all.get(places) ?? new PlaceScores(places);
    all.set(places, scores);
    return scores;
  };
  for (const { weight, term } of preferredTerms(pod.spec.affinity)) {
    const scores = scoresOf(term.topologyKey);
    const scope = scopeOf(term, pod);
    eachMatching(scope, picture, (info, pods) => scores.add(info, weight * pods));
    // The next one minds this one, and this one the next.
    if (isOneOf(scope, pod)) scores.gain += 2 * weight;
  }
  for (const { effect, weight, topologyKey, perNode } of held) {
    if (effect !== 'prefers') continue;
    const scores = scoresOf(topologyKey);
    for (const [info, pods] of perNode) scores.add(info, weight * pods);
  }
  return [...all.values()];
}

/**
 * How much pods with a required affinity need such a pod in the node's place, of the most that any place does (0 to 1).
 * Undefined: nobody does.
 */
export function needed(held: readonly HeldTerm[], picture: Picture): ((info: NodeInfo) => number) | undefined {
  const needs = held.filter(({ effect }) => effect === 'needs');
  if (needs.length === 0) return undefined;
  const scores = needs.map(({ weight, topologyKey, perNode }) => {
    const ofTerm = new PlaceScores(picture.nodes.places(topologyKey));
    for (const [info, pods] of perNode) ofTerm.add(info, weight * pods);
    return ofTerm;
  });
  const sum = (info: NodeInfo): number => scores.reduce((total, ofTerm) => total + ofTerm.count(info), 0);
  const most = picture.infos.reduce((highest, info) => Math.max(highest, sum(info)), 0);
  return most === 0 ? undefined : (info) => sum(info) / most;
}
