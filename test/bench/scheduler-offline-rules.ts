/**
 * What no placement may break, in counts that a search can ask a million times a second: node filters, room, required pod
 * affinity and anti-affinity (both ways), hard topology spread. Host ports and filters of one's own are not in it;
 * `refusal` in scheduler-offline.ts asks the scheduler's own code about the outcome.
 */
import { checksFor, filters, firstReason, isStatic } from '../../control-plane/scheduler/filters.ts';
import type { Places } from '../../control-plane/scheduler/node-answers.ts';
import type { NodeInfo } from '../../control-plane/scheduler/node-info.ts';
import type { Picture } from '../../control-plane/scheduler/picture.ts';
import {
  isInScope,
  labelsOf,
  namespaceOf,
  type Scope,
  scopeOf,
  wantedLabel,
} from '../../control-plane/scheduler/scope.ts';
import type { Pod, TopologySpreadConstraint } from '../../proto/gen/types.ts';

type Kind = 'keepsAway' | 'needs' | 'spread';

/** One term or constraint, counted by place. */
interface Rule {
  readonly kind: Kind;
  readonly scope: Scope;
  readonly places: Places;
  /** Pods that it is about. */
  readonly matching: Int32Array;
  total: number;
  /** Pods that have it. */
  readonly holding: Int32Array;
  /** Spread: places that are evened out, and by how much they may differ. */
  readonly usable: Uint8Array;
  readonly maxSkew: number;
}

interface RuledClass {
  /** By the node's index. */
  readonly suits: Uint8Array;
  readonly holds: readonly Rule[];
  readonly matches: readonly Rule[];
}

export class OfflineRules {
  readonly #infos: readonly NodeInfo[];
  readonly #picture: Picture;
  readonly #rules = new Map<string, Rule>();
  readonly #classes: readonly RuledClass[];

  /** `classes`: a pod of each class. Nothing is placed yet. */
  constructor(classes: readonly Pod[], picture: Picture) {
    this.#picture = picture;
    this.#infos = picture.infos;
    const suiting = new Map<string, Uint8Array>();
    const held = classes.map((pod) => ({ pod, suits: this.#suits(pod, suiting), holds: this.#held(pod) }));
    const byLabel = Map.groupBy(this.#rules.values(), ({ scope }) => wantedLabel(scope));
    this.#classes = held.map(({ pod, suits, holds }) => {
      const labelled = { namespace: namespaceOf(pod), labels: pod.metadata.labels };
      const about = labelsOf(labelled).flatMap((label) => byLabel.get(label) ?? []);
      return { suits, holds, matches: about.filter(({ scope }) => isInScope(scope, labelled)) };
    });
  }

  suits(podClass: number, node: number): boolean {
    return this.#classes[podClass]!.suits[node] === 1;
  }

  count(podClass: number, node: number, by: 1 | -1): void {
    const { holds, matches } = this.#classes[podClass]!;
    for (const { places, holding } of holds) {
      const place = places.ids[node]!;
      if (place >= 0) holding[place]! += by;
    }
    for (const rule of matches) {
      const place = rule.places.ids[node]!;
      rule.total += by;
      if (place >= 0) rule.matching[place]! += by;
    }
  }

  /** Whether a pod that has left `from`, and is counted nowhere, may go to `to`. */
  allows(podClass: number, from: number, to: number): boolean {
    const { suits, holds, matches } = this.#classes[podClass]!;
    if (suits[to] !== 1) return false;
    for (const rule of holds) {
      const place = rule.places.ids[to]!;
      if (place === rule.places.ids[from]!) continue;
      if (rule.kind === 'keepsAway' && place >= 0 && rule.matching[place]! > 0) return false;
      if (rule.kind === 'needs' && !(place >= 0 && (rule.matching[place]! > 0 || isFirst(rule, matches)))) return false;
      if (rule.kind === 'spread' && place < 0) return false;
    }
    for (const rule of matches) {
      const [before, after] = [rule.places.ids[from]!, rule.places.ids[to]!];
      if (before === after) continue;
      if (rule.kind === 'keepsAway' && after >= 0 && rule.holding[after]! > 0) return false;
      if (rule.kind === 'needs' && before >= 0 && rule.holding[before]! > 0 && rule.matching[before] === 0)
        return false;
      if (rule.kind === 'spread' && !isEven(rule, after)) return false;
    }
    return true;
  }

  #suits(pod: Pod, known: Map<string, Uint8Array>): Uint8Array {
    const fixed = filters.filter(isStatic);
    const key = JSON.stringify(fixed.map((filter) => filter.reads!(pod)));
    let suits = known.get(key);
    if (!suits) {
      const checks = checksFor(pod, fixed);
      suits = Uint8Array.from(this.#infos, (info) => Number(firstReason(checks, info) === undefined));
      known.set(key, suits);
    }
    return suits;
  }

  #held(pod: Pod): Rule[] {
    const { affinity, topologySpreadConstraints = [] } = pod.spec;
    const keepsAway = affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    const needs = affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    const hard = topologySpreadConstraints.filter((spread) => spread.whenUnsatisfiable === 'DoNotSchedule');
    return [
      ...keepsAway.map((term) => this.#rule('keepsAway', scopeOf(term, pod), term.topologyKey)),
      ...needs.map((term) => this.#rule('needs', scopeOf(term, pod), term.topologyKey)),
      ...hard.map((spread) => this.#spread(spread, pod)),
    ];
  }

  #spread({ topologyKey, labelSelector, maxSkew }: TopologySpreadConstraint, pod: Pod): Rule {
    const { nodeSelector, affinity } = pod.spec;
    const checks = checksFor(
      pod,
      filters.filter(({ name }) => name === 'NodeSelector' || name === 'NodeAffinity'),
    );
    const scope = { namespaces: [namespaceOf(pod)], selector: labelSelector };
    const rule = this.#rule('spread', scope, topologyKey, maxSkew, [nodeSelector, affinity?.nodeAffinity]);
    for (const [node, info] of this.#infos.entries()) {
      const place = rule.places.ids[node]!;
      if (place >= 0 && firstReason(checks, info) === undefined) rule.usable[place] = 1;
    }
    return rule;
  }

  #rule(kind: Kind, scope: Scope, topologyKey: string, maxSkew = 0, nodes: unknown = null): Rule {
    const key = JSON.stringify([kind, scope, topologyKey, maxSkew, nodes]);
    let rule = this.#rules.get(key);
    if (!rule) {
      const places = this.#picture.nodes.places(topologyKey);
      const [matching, holding] = [new Int32Array(places.size), new Int32Array(places.size)];
      rule = { kind, scope, places, matching, total: 0, holding, usable: new Uint8Array(places.size), maxSkew };
      this.#rules.set(key, rule);
    }
    return rule;
  }
}

/** The first of those that want to be together may go to any place. */
function isFirst(rule: Rule, matches: readonly Rule[]): boolean {
  return rule.total === 0 && matches.includes(rule);
}

/** With one more pod at the place. */
function isEven({ matching, usable, maxSkew }: Rule, added: number): boolean {
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (let place = 0; place < matching.length; place += 1) {
    if (usable[place] === 0) continue;
    const pods = matching[place]! + Number(place === added);
    if (pods < least) least = pods;
    if (pods > most) most = pods;
  }
  return most - least <= maxSkew;
}
