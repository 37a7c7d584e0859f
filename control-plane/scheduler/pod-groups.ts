/**
 * Pods as selectors see them: those of one namespace with the same labels are one group, of which it is known how many
 * are on each node. Whoever counts the pods that match a selector adds up groups, and never looks at pods.
 */
import type { Pod } from '../../proto/gen/types.ts';
import type { NodeInfo } from './node-info.ts';
import { append, isInScope, type Labelled, labelsOf, namespaceOf, type Scope, wantedLabel } from './scope.ts';

export interface PodGroup extends Labelled {
  /** Pods on each node, without those on their way out: they neither attract nor repel. */
  readonly perNode: Map<NodeInfo, number>;
}

/** Groups without pods that may be kept before they are thought of as too many. */
const mostEmpty = 1000;

export class PodGroups {
  readonly #groups = new Map<string, PodGroup>();
  /** Under each of their labels, and under the one that stands for none. */
  readonly #byLabel = new Map<string, PodGroup[]>();
  /** Groups of a scope, as far as the list was looked through. */
  readonly #matching = new Map<string, { readonly groups: PodGroup[]; seen: number }>();

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

  /** Forgets what no pod belongs to any more, when there is much of it, and says so. Not while somebody holds groups. */
  prune(): boolean {
    if (this.#groups.size <= mostEmpty) return false;
    let empty = 0;
    for (const { perNode } of this.#groups.values()) if (perNode.size === 0) empty += 1;
    if (empty <= mostEmpty || empty * 2 < this.#groups.size) return false;
    for (const [key, { perNode }] of this.#groups) if (perNode.size === 0) this.#groups.delete(key);
    this.#matching.clear();
    this.#byLabel.clear();
    for (const group of this.#groups.values()) this.#file(group);
    return true;
  }

  #file(group: PodGroup): void {
    for (const label of labelsOf(group)) append(this.#byLabel, label, group);
  }
}

const none: readonly never[] = [];

/** Counts one more or one less at the key; what reaches 0 is removed. */
export function count<K>(counts: Map<K, number>, key: K, by: 1 | -1): void {
  const sum = (counts.get(key) ?? 0) + by;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
}
