/**
 * What the policies of a namespace make of the pods that a controller is about to create: those of the API
 * (control-plane/api/policy.ts), decided on the snapshot. Pure. Where there are no policies the pods come back untouched.
 *
 * Quotas are charged in the transaction that creates the pods (quota-charges.ts), from the same snapshot.
 */
import { findCondition } from '../../lib/model/conditions.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { limitProblems, limitSentence, withLimitDefaults } from '../../lib/model/limit-range.ts';
import { Allowance, forbidden, hasMoreRoom } from '../../lib/model/quota.ts';
import type { Kind } from '../../lib/model/schema.ts';
import type { KubeObject, LimitRange, Pod } from '../../proto/gen/types.ts';
import type { ObjectChange } from '../state/cluster-state.ts';
import type { ReconcileResult, Snapshot } from '../state/snapshot.ts';

export interface PodAdmission {
  /** As many of the first ones as there is room for, each with its defaults. */
  readonly pods: readonly Pod[];
  /** Why the next one is not among them, as Kubernetes words it. */
  readonly refusal?: string;
}

/** `pods`: of one namespace; the same object may be there many times. */
export function admitPods(snapshot: Pick<Snapshot, 'list'>, pods: readonly Pod[], nowMs: number): PodAdmission {
  const namespace = pods[0]?.metadata.namespace;
  if (namespace === undefined) return { pods };
  const ranges = snapshot.list('LimitRange', namespace);
  const quotas = snapshot.list('ResourceQuota', namespace);
  if (ranges.length === 0 && quotas.length === 0) return { pods };
  const allowance = new Allowance(quotas, (kind) => snapshot.list(kind, namespace), nowMs);
  const limited = new Map<Pod, PodAdmission>();
  const admitted: Pod[] = [];
  for (const given of pods) {
    const within = limited.get(given) ?? withinLimits(given, ranges);
    limited.set(given, within);
    const [pod] = within.pods;
    const refusal = within.refusal ?? (pod && allowance.take(pod)?.message);
    if (!pod || refusal !== undefined) return { pods: admitted, ...(refusal !== undefined && { refusal }) };
    admitted.push(pod);
  }
  return { pods: admitted };
}

function withinLimits(given: Pod, ranges: readonly LimitRange[]): PodAdmission {
  const pod = withLimitDefaults(given, ranges);
  const problems = limitProblems(pod, ranges);
  if (problems.length === 0) return { pods: [pod] };
  return { pods: [], refusal: forbidden(pod, limitSentence(problems)) };
}

type Events = NonNullable<ReconcileResult['events']>;

export function refusalEvents(about: KubeObject, refusal: string | undefined): Events {
  if (refusal === undefined) return [];
  return [{ type: 'Warning', reason: 'FailedCreate', message: `Error creating: ${refusal}`, about }];
}

/** The workloads of this kind that may have been refused pods, when their namespace has more room than before. */
export function* roomKeys({ object, previous }: ObjectChange, kind: Kind, snapshot: Snapshot): Generator<string> {
  const policy = object ?? previous;
  if (policy?.kind !== 'ResourceQuota' && policy?.kind !== 'LimitRange') return;
  if (object?.kind === 'ResourceQuota' && !(previous?.kind === 'ResourceQuota' && hasMoreRoom(object, previous)))
    return;
  for (const workload of snapshot.list(kind, policy.metadata.namespace) as readonly KubeObject[]) {
    if (workload.kind !== 'ReplicaSet' || hasFailed(workload)) yield keyOf(workload);
  }
}

/** Of the many ReplicaSets of a namespace, those that say that they were refused. */
function hasFailed(workload: KubeObject): boolean {
  if (workload.kind !== 'ReplicaSet') return true;
  return findCondition(workload.status?.conditions, 'ReplicaFailure')?.status === 'True';
}
