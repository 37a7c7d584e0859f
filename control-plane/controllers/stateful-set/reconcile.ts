/**
 * StatefulSet: pods with names that stay.
 *
 * - A name belongs to one object of the store at a time, and a pod's object goes only when its agent has said that nothing
 *   of it is left, or its node was declared out of service (node-lifecycle): a name never runs twice at once.
 * - What comes next is decided by plan.ts from the pods as they are, one step at a time.
 * - Writes: its pods, their claims and its ControllerRevisions, its own `status`. Never its `spec`.
 */
import { isDeleting, isSame } from '../../../lib/model/object.ts';
import { isPodAvailable, isPodBound, isPodFinished, isPodReady } from '../../../lib/model/pods.ts';
import { claimsFor } from '../../../lib/model/stateful-claims.ts';
import type { Pod, StatefulSet, StatefulSetStatus } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { adoptions } from '../adoption.ts';
import { batchOf } from '../batch.ts';
import { configuredTemplate } from '../configuration/copies.ts';
import { madeMs } from '../made.ts';
import { controlledBy, isNamespaceOpen } from '../owned.ts';
import { admitPods, refusalEvents } from '../pod-admission.ts';
import { podEvents, podsCreated } from '../pod-events.ts';
import { nextAvailabilityMs } from '../replica-set/reconcile.ts';
import { withoutRequest } from '../rollback.ts';
import { hashOf, type TemplateHistory, templateHistory, waitingForConfiguration } from '../template-history.ts';
import { newPod, ordinalIn, podName } from './identity.ts';
import { nextSteps, partitionOf, type Revisions } from './plan.ts';

export interface StatefulSetOptions {
  readonly mostPerTransaction: number;
}

/** A pod that failed is replaced no sooner than this after it was made, so that failing does not become the load. */
const failedRestMs = 10_000;

type Events = NonNullable<ReconcileResult['events']>;

export function reconcileStatefulSet(
  snapshot: Snapshot,
  statefulSet: StatefulSet,
  nowMs: number,
  { mostPerTransaction }: StatefulSetOptions,
): ReconcileResult {
  if (isDeleting(statefulSet) || !isNamespaceOpen(snapshot, statefulSet.metadata.namespace)) return { changes: [] };
  const adopted = adoptions(snapshot, statefulSet, ['Pod', 'ControllerRevision']);
  if (adopted.length > 0) return { changes: adopted };
  const configured = configuredTemplate(snapshot, statefulSet);
  if (configured.missing.length > 0) return { changes: batchOf(configured.missing, mostPerTransaction) };
  const owned = controlledBy(snapshot, statefulSet, 'Pod');
  const { currentRevision = '' } = statefulSet.status ?? {};
  const currentHash = currentRevision.slice(statefulSet.metadata.name.length + 1);
  const history = templateHistory(snapshot, statefulSet, configured, owned, [currentHash]);
  if (!history) return waitingForConfiguration(statefulSet, configured);
  const revisions = revisionsOf(history, currentRevision);
  const pods = byOrdinal(statefulSet, owned);
  const steps = nextSteps(statefulSet, pods, revisions, nowMs);
  const { free, events } = nameable(snapshot, statefulSet, steps.create);
  const restMs = (pod: Pod): number => (isPodFinished(pod) ? madeMs(pod, nowMs) + failedRestMs - nowMs : 0);
  const made = free.map(({ ordinal, revision }) => newPod(statefulSet, ordinal, revision));
  const { pods: admitted, refusal } = admitPods(snapshot, made, nowMs);
  // A claim that was deleted goes while the next pod of its name waits for another one.
  const waiting = owned.filter((pod) => !isDeleting(pod) && !isPodBound(pod) && !isPodFinished(pod));
  const wanted = [
    ...waiting.flatMap((pod) => missingClaims(snapshot, statefulSet, pod)),
    ...admitted.flatMap((pod) => [
      ...missingClaims(snapshot, statefulSet, pod),
      { type: 'create' as const, object: pod },
    ]),
    ...steps.remove.filter((pod) => restMs(pod) <= 0).map((object): Change => ({ type: 'delete', object })),
  ];
  const batch = batchOf(wanted, Math.max(1, mostPerTransaction - history.changes.length));
  const changes: Change[] = [...history.changes, ...batch];
  const status = statusOf(statefulSet, pods, revisions, history, nowMs);
  const updated = withoutRequest({ ...statefulSet, status });
  if (!isSame(updated, statefulSet)) changes.push({ type: 'update', object: updated });
  const delays = [
    ...steps.remove.map(restMs).filter((ms) => ms > 0),
    nextAvailabilityMs(owned, statefulSet.spec.minReadySeconds ?? 0, nowMs) ?? [],
  ].flat();
  return {
    changes,
    events: [...podEvents(statefulSet, batch), ...events, ...history.events, ...refusalEvents(statefulSet, refusal)],
    createdEvents: podsCreated(statefulSet),
    ...(delays.length > 0 && { requeueAfterMs: Math.min(...delays) }),
  };
}

/** Claims come before their pods, and stay when those go. */
function missingClaims(snapshot: Snapshot, statefulSet: StatefulSet, { metadata }: Pod): readonly Change[] {
  return claimsFor(statefulSet, metadata.name)
    .filter((claim) => !snapshot.get('PersistentVolumeClaim', metadata.namespace, claim.metadata.name))
    .map((object): Change => ({ type: 'create', object }));
}

/** Before the first rollout has ended there is no former template: then the present one is both. */
function revisionsOf({ newest, old }: TemplateHistory, currentName: string): Revisions {
  return { current: old.find(({ metadata }) => metadata.name === currentName) ?? newest, update: newest };
}

function byOrdinal({ metadata }: StatefulSet, pods: readonly Pod[]): ReadonlyMap<number, Pod> {
  return new Map(
    pods.flatMap((pod) => {
      const { base, ordinal } = ordinalIn(pod.metadata.name);
      return ordinal !== undefined && base === metadata.name ? [[ordinal, pod] as const] : [];
    }),
  );
}

/** A stranger that has the name of one of our pods (or a pod of a former StatefulSet) must go first; we say so. */
function nameable<T extends { readonly ordinal: number }>(
  snapshot: Snapshot,
  statefulSet: StatefulSet,
  wanted: readonly T[],
): { readonly free: readonly T[]; readonly events: Events } {
  const isTaken = ({ ordinal }: T): boolean =>
    snapshot.get('Pod', statefulSet.metadata.namespace, podName(statefulSet, ordinal)) !== undefined;
  const events = wanted.filter(isTaken).map(({ ordinal }): Events[number] => {
    const name = podName(statefulSet, ordinal);
    const message = `Pod ${name} exists and is not of this StatefulSet; its name is needed: delete it`;
    return { type: 'Warning', reason: 'FailedCreate', message, about: statefulSet };
  });
  return { free: wanted.filter((one) => !isTaken(one)), events };
}

function statusOf(
  statefulSet: StatefulSet,
  pods: ReadonlyMap<number, Pod>,
  { current, update }: Revisions,
  { collisionCount, rollback, waitsFor }: TemplateHistory,
  nowMs: number,
): StatefulSetStatus {
  const { replicas = 1, minReadySeconds = 0 } = statefulSet.spec;
  const living = [...pods.values()].filter((pod) => !isDeleting(pod) && !isPodFinished(pod));
  const count = (test: (pod: Pod) => boolean): number => living.filter(test).length;
  const ready = count(isPodReady);
  const updated = count((pod) => hashOf(pod) === hashOf(update));
  // The rollout has ended when all are of the new template: from then on it is the current one.
  const isOver = partitionOf(statefulSet) === 0 && updated === replicas && ready === replicas && pods.size === replicas;
  const now = isOver ? update : current;
  const { rollback: _over, observedGeneration: before = 0, ...kept } = statefulSet.status ?? {};
  return {
    ...kept,
    observedGeneration: waitsFor === undefined ? (statefulSet.metadata.generation ?? 1) : before,
    replicas: pods.size,
    readyReplicas: ready,
    availableReplicas: count((pod) => isPodAvailable(pod, minReadySeconds, nowMs)),
    currentReplicas: count((pod) => hashOf(pod) === hashOf(now)),
    updatedReplicas: updated,
    currentRevision: now.metadata.name,
    updateRevision: update.metadata.name,
    ...(collisionCount > 0 && { collisionCount }),
    ...(rollback && { rollback }),
  };
}
