/**
 * Pods as selectors see them: those of one namespace with the same labels are one group, of which it is known how many
 * are on each node. Whoever counts the pods that match a selector adds up groups, and never looks at pods.
 */
import { matchesSelector } from '../../lib/model/labels.ts';
import type { LabelSelector, Pod, PodAffinityTerm } from '../../proto/gen/types.ts';
import type { NodeInfo } from './node-info.ts';

export interface PodGroup {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Pods on each node, without those on their way out: they neither attract nor repel. */
  readonly perNode: Map<NodeInfo, number>;
}

/** Which pods a term or a spread constraint is about. */
export interface Scope {
  readonly namespaces: readonly string[];
  /** Absent: no pod at all. */
  readonly selector: LabelSelector | undefined;
}

type Labelled = Omit<PodGroup, 'perNode'>;

/** A required anti-affinity term of pods that are there: it keeps matching pods away from their places. */
export interface Repellent {
  readonly topologyKey: string;
  readonly scope: Scope;
  /** Pods that have it, by node. */
  readonly perNode: Map<NodeInfo, number>;
}

export const namespaceOf = ({ metadata }: Pod): string => metadata.namespace ?? 'default';

export function scopeOf(term: PodAffinityTerm, owner: Pod): Scope {
  const { namespaces = [], labelSelector } = term;
  return { namespaces: namespaces.length > 0 ? namespaces : [namespaceOf(owner)], selector: labelSelector };
}

export function isInScope({ namespaces, selector }: Scope, { namespace, labels }: Labelled): boolean {
  return selector !== undefined && namespaces.includes(namespace) && matchesSelector(selector, labels);
}

/** Groups without pods that may be kept before they are thought of as too many. */
const mostEmpty = 1000;

export class PodGroups {
  readonly #groups = new Map<string, PodGroup>();
  /** Under each of their labels, and under `anything`. */
  readonly #byLabel = new Map<string, PodGroup[]>();
  /** Groups of a scope, as far as the list was looked through. */
  readonly #matching = new Map<string, { readonly groups: PodGroup[]; seen: number }>();
  readonly #repellents = new Map<string, Repellent>();
  /** Under a label that they ask for, or under `anything`. */
  readonly #repellentsByLabel = new Map<string, Repellent[]>();

  groupOf(pod: Pod): PodGroup {
    const { labels } = pod.metadata;
    const namespace = namespaceOf(pod);
    const key = JSON.stringify([namespace, labels]);
    let group = this.#groups.get(key);
    if (!group) {
      group = { namespace, labels, perNode: new Map() };
      this.#groups.set(key, group);
      this.#file(group);
    }
    return group;
  }

  /** Every group that the scope is about. */
  matching(scope: Scope): readonly PodGroup[] {
    const key = JSON.stringify(scope);
    let known = this.#matching.get(key);
    if (!known) {
      known = { groups: [], seen: 0 };
      this.#matching.set(key, known);
    }
    const list = this.#byLabel.get(wantedLabel(scope)) ?? none;
    for (; known.seen < list.length; known.seen += 1) {
      const group = list[known.seen]!;
      if (isInScope(scope, group)) known.groups.push(group);
    }
    return known.groups;
  }

  repellentsOf(pod: Pod): readonly Repellent[] {
    const terms = pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    return terms === undefined ? none : terms.map((term) => this.#repellent(term.topologyKey, scopeOf(term, pod)));
  }

  /** Those that keep such a pod away from somewhere. */
  repelling(pod: Pod): readonly Repellent[] {
    if (this.#repellents.size === 0) return none;
    const given = { namespace: namespaceOf(pod), labels: pod.metadata.labels };
    return labelsOf(given)
      .flatMap((label): readonly Repellent[] => this.#repellentsByLabel.get(label) ?? none)
      .filter(({ perNode, scope }) => perNode.size > 0 && isInScope(scope, given));
  }

  /** Forgets what no pod belongs to any more, when there is much of it. Not while somebody holds groups. */
  prune(): void {
    if (this.#groups.size <= mostEmpty) return;
    let empty = 0;
    for (const { perNode } of this.#groups.values()) if (perNode.size === 0) empty += 1;
    if (empty <= mostEmpty || empty * 2 < this.#groups.size) return;
    for (const [key, { perNode }] of this.#groups) if (perNode.size === 0) this.#groups.delete(key);
    for (const [key, { perNode }] of this.#repellents) if (perNode.size === 0) this.#repellents.delete(key);
    this.#matching.clear();
    this.#byLabel.clear();
    for (const group of this.#groups.values()) this.#file(group);
    this.#repellentsByLabel.clear();
    for (const repellent of this.#repellents.values()) this.#fileRepellent(repellent);
  }

  #file(group: PodGroup): void {
    for (const label of labelsOf(group)) append(this.#byLabel, label, group);
  }

  #repellent(topologyKey: string, scope: Scope): Repellent {
    const key = JSON.stringify([topologyKey, scope]);
    let repellent = this.#repellents.get(key);
    if (!repellent) {
      repellent = { topologyKey, scope, perNode: new Map() };
      this.#repellents.set(key, repellent);
      this.#fileRepellent(repellent);
    }
    return repellent;
  }

  #fileRepellent(repellent: Repellent): void {
    append(this.#repellentsByLabel, wantedLabel(repellent.scope), repellent);
  }
}

const anything = '';

/** A label that every pod of the scope has. */
function wantedLabel({ selector }: Scope): string {
  for (const key in selector?.matchLabels) return `${key}=${selector.matchLabels[key]}`;
  const exact = selector?.matchExpressions?.find(({ operator, values }) => operator === 'In' && values?.length === 1);
  return exact ? `${exact.key}=${exact.values![0]}` : anything;
}

function labelsOf({ labels }: Labelled): string[] {
  return [anything, ...Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`)];
}

function append<V>(lists: Map<string, V[]>, key: string, value: V): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

const none: readonly never[] = [];

/** Counts one more or one less at the key; what reaches 0 is removed. */
export function count<K>(counts: Map<K, number>, key: K, by: 1 | -1): void {
  const sum = (counts.get(key) ?? 0) + by;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
}
