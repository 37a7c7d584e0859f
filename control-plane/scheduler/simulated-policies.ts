/**
 * ResourceQuotas and LimitRanges in a simulation: those that are there and those that are applied in it, by the rules of
 * the API and of the controllers. What is used is counted anew each time over what is there by then. Pure.
 *
 * Pods and what is applied itself are counted; what controllers make beside pods (ReplicaSets, claims of StatefulSets)
 * is not part of a simulation.
 */
import { GantryError } from '../../lib/errors.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { limitProblems, limitSentence, withLimitDefaults } from '../../lib/model/limit-range.ts';
import { Allowance, forbidden } from '../../lib/model/quota.ts';
import type { Kind } from '../../lib/model/schema.ts';
import type { KindMap, KubeObject, Pod } from '../../proto/gen/types.ts';
import { admitPods, type PodAdmission } from '../controllers/pod-admission.ts';
import type { Snapshot } from '../state/snapshot.ts';

export class SimulatedPolicies {
  readonly #live: Pick<Snapshot, 'list'>;
  readonly #pods: () => readonly Pod[];
  readonly #nowMs: number;
  readonly #applied = new Map<string, KubeObject>();

  /** `pods`: all that are in the simulated cluster at the moment. */
  constructor(live: Pick<Snapshot, 'list'>, pods: () => readonly Pod[], nowMs: number) {
    this.#live = live;
    this.#pods = pods;
    this.#nowMs = nowMs;
  }

  /** An applied object as it would be stored. Throws what the API would answer where a policy is against it. */
  admit(given: KubeObject, live: KubeObject | undefined): KubeObject {
    const { namespace } = given.metadata;
    const object = live || namespace === undefined ? given : this.#withinLimits(given, namespace);
    if (namespace !== undefined) this.#charge(object, live, namespace);
    this.#applied.set(keyOf(object), object);
    return object;
  }

  /** What a controller could make of these pods of one namespace. */
  admitPods(pods: readonly Pod[]): PodAdmission {
    return admitPods({ list: (kind, namespace) => this.#list(kind, namespace) }, pods, this.#nowMs);
  }

  #withinLimits(given: KubeObject, namespace: string): KubeObject {
    const ranges = this.#list('LimitRange', namespace);
    const object = given.kind === 'Pod' ? withLimitDefaults(given, ranges) : given;
    const problems = limitProblems(object, ranges);
    if (problems.length === 0) return object;
    const message = `${forbidden(object, limitSentence(problems))} (see: ctl describe limitrange -n ${namespace})`;
    throw new GantryError('permissionDenied', message);
  }

  #charge(object: KubeObject, live: KubeObject | undefined, namespace: string): void {
    const quotas = this.#list('ResourceQuota', namespace);
    const allowance = new Allowance(quotas, (kind) => this.#list(kind, namespace), this.#nowMs);
    const refused = allowance.take(object, live);
    if (!refused) return;
    const look = `ctl describe quota ${refused.quota.metadata.name} -n ${namespace}`;
    throw new GantryError('permissionDenied', `${refused.message} (see: ${look})`);
  }

  #list<K extends Kind>(kind: K, namespace?: string): readonly KindMap[K][] {
    return this.#objects(kind, namespace) as readonly unknown[] as readonly KindMap[K][];
  }

  #objects(kind: Kind, namespace: string | undefined): readonly KubeObject[] {
    const isHere = ({ metadata }: KubeObject): boolean => namespace === undefined || metadata.namespace === namespace;
    if (kind === 'Pod') return this.#pods().filter(isHere);
    const applied = [...this.#applied.values()].filter((object) => object.kind === kind && isHere(object));
    const kept = this.#live.list(kind, namespace).filter((object) => !this.#applied.has(keyOf(object)));
    return [...kept, ...applied].map(uncounted);
  }
}

/** What the cluster counted last for a quota is not what the simulation has. */
function uncounted(object: KubeObject): KubeObject {
  if (object.kind !== 'ResourceQuota') return object;
  const { status: _counted, ...quota } = object;
  return quota;
}
