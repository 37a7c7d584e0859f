/** Which nodes have pods that name a ConfigMap or Secret: who is to be told when it changes. Pure state. */
import { configurationOf } from '../../lib/model/pod-configuration.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { ObjectChange } from '../state/cluster-state.ts';
import type { Snapshot } from '../state/snapshot.ts';

export class ConfigurationUsers {
  /** Key of the ConfigMap or Secret -> node -> how many of its pods name it. */
  readonly #users = new Map<string, Map<string, number>>();

  constructor(snapshot: Snapshot) {
    for (const pod of snapshot.list('Pod')) this.#count(pod, 1);
  }

  apply({ object, previous }: ObjectChange): void {
    this.#count(object, 1);
    this.#count(previous, -1);
  }

  of(key: string): Iterable<string> {
    return this.#users.get(key)?.keys() ?? [];
  }

  #count(object: KubeObject | undefined, by: 1 | -1): void {
    if (object?.kind !== 'Pod' || !object.spec.nodeName) return;
    for (const key of configurationOf(object)) {
      const nodes = this.#users.get(key) ?? new Map<string, number>();
      const count = (nodes.get(object.spec.nodeName) ?? 0) + by;
      if (count > 0) nodes.set(object.spec.nodeName, count);
      else nodes.delete(object.spec.nodeName);
      if (nodes.size > 0) this.#users.set(key, nodes);
      else this.#users.delete(key);
    }
  }
}
