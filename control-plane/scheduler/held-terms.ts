/**
 * The affinity terms of pods that are already there, as far as they say something about the pods that come after them:
 * who keeps whom away, who needs whom, who would rather have whom near or far. A term that many pods hold is one entry.
 */
import type { Affinity, Pod, PodAffinityTerm } from '../../proto/gen/types.ts';
import type { NodeInfo } from './node-info.ts';
import { append, isInScope, type Labelled, labelsOf, namespaceOf, type Scope, scopeOf, wantedLabel } from './scope.ts';

export interface HeldTerm {
  /** `keepsAway`: required anti-affinity. `needs`: required affinity. `prefers`: preferred affinity or anti-affinity. */
  readonly effect: 'keepsAway' | 'needs' | 'prefers';
  /** Of what is preferred, negative for anti-affinity. Needing counts 1, as Kubernetes' hard weight; keeping away 0. */
  readonly weight: number;
  readonly topologyKey: string;
  readonly scope: Scope;
  /** Pods that hold it, by node. */
  readonly perNode: Map<NodeInfo, number>;
}

type Kind = Pick<HeldTerm, 'effect' | 'weight'>;

const keepsAway: Kind = { effect: 'keepsAway', weight: 0 };
const needs: Kind = { effect: 'needs', weight: 1 };

export class HeldTerms {
  readonly #terms = new Map<string, HeldTerm>();
  /** Under a label that they ask for. */
  readonly #byLabel = new Map<string, HeldTerm[]>();

  /** What the pod holds where it is. On its way out it keeps others away until it is gone, and wishes nothing more. */
  of(pod: Pod): readonly HeldTerm[] {
    const { affinity } = pod.spec;
    if (!affinity?.podAffinity && !affinity?.podAntiAffinity) return none;
    const isLeaving = pod.metadata.deletionTimestamp !== undefined;
    return termsOf(affinity)
      .filter(({ kind }) => !isLeaving || kind === keepsAway)
      .map(({ kind, term }) => this.#held(kind, term.topologyKey, scopeOf(term, pod)));
  }

  /** Those that are about such a pod. */
  about(pod: Pod): readonly HeldTerm[] {
    if (this.#terms.size === 0) return none;
    const given: Labelled = { namespace: namespaceOf(pod), labels: pod.metadata.labels };
    return labelsOf(given)
      .flatMap((label): readonly HeldTerm[] => this.#byLabel.get(label) ?? none)
      .filter(({ perNode, scope }) => perNode.size > 0 && isInScope(scope, given));
  }

  /** Forgets those that nobody holds any more. */
  prune(): void {
    for (const [key, { perNode }] of this.#terms) if (perNode.size === 0) this.#terms.delete(key);
    this.#byLabel.clear();
    for (const term of this.#terms.values()) this.#file(term);
  }

  #held(kind: Kind, topologyKey: string, scope: Scope): HeldTerm {
    const key = JSON.stringify([kind.effect, kind.weight, topologyKey, scope]);
    let term = this.#terms.get(key);
    if (!term) {
      term = { ...kind, topologyKey, scope, perNode: new Map() };
      this.#terms.set(key, term);
      this.#file(term);
    }
    return term;
  }

  #file(term: HeldTerm): void {
    append(this.#byLabel, wantedLabel(term.scope), term);
  }
}

function termsOf(affinity: Affinity): readonly { kind: Kind; term: PodAffinityTerm }[] {
  const { podAffinity, podAntiAffinity } = affinity;
  const required = (rules: Affinity['podAffinity'] | undefined, kind: Kind) =>
    (rules?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => ({ kind, term }));
  return [
    ...required(podAntiAffinity, keepsAway),
    ...required(podAffinity, needs),
    ...preferredTerms(affinity).map(({ weight, term }): { kind: Kind; term: PodAffinityTerm } => ({
      kind: { effect: 'prefers', weight },
      term,
    })),
  ];
}

/** Weights of anti-affinity are negative. */
export function preferredTerms(affinity: Affinity | undefined): readonly { weight: number; term: PodAffinityTerm }[] {
  const weighted = (rules: Affinity['podAffinity'] | undefined, sign: 1 | -1) =>
    (rules?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, podAffinityTerm }) => ({
      weight: sign * weight,
      term: podAffinityTerm,
    }));
  return [...weighted(affinity?.podAffinity, 1), ...weighted(affinity?.podAntiAffinity, -1)];
}

const none: readonly never[] = [];
