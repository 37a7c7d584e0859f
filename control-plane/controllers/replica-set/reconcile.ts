/**
 * ReplicaSet: keeps as many active pods as `spec.replicas` says.
 *
 * - A pod counts only while it is active: one that is being deleted, or has finished, is replaced at once.
 * - Only pods that name it as their controller are its own; one whose labels no longer match is let go, not killed, and
 *   one that it has let go, or its namesake before it, comes home when it has no controller (adoption.ts).
 * - Writes: pods (creation and deletion), its own `status`. Never its `spec`.
 */
import { findCondition, setCondition } from '../../../lib/model/conditions.ts';
import { matchesLabels, matchesSelector } from '../../../lib/model/labels.ts';
import { controllerReference, isDeleting, isSame } from '../../../lib/model/object.ts';
import { availableAtMs, isPodActive, isPodAvailable, isPodReady } from '../../../lib/model/pods.ts';
import type { Pod, ReplicaSet, ReplicaSetStatus } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { adoptions } from '../adoption.ts';
import { batchOf, mostAlike } from '../batch.ts';
import { madeMs } from '../made.ts';
import { controlledBy, isNamespaceOpen } from '../owned.ts';
import { admitPods, refusalEvents } from '../pod-admission.ts';
import { podEvents, podsCreated } from '../pod-events.ts';
import { inDeletionOrder } from './deletion-order.ts';

/** Pods made or deleted in one transaction; within etcd's limits on operations and bytes. */
export interface ReplicaSetOptions {
  readonly mostPerTransaction: number;
}

type Events = NonNullable<ReconcileResult['events']>;

/** Finished pods kept for people to look at. */
const finishedKept = 5;
const firstFailureDelayMs = 5000;
const longestFailureDelayMs = 300_000;

export function reconcileReplicaSet(
  snapshot: Snapshot,
  replicaSet: ReplicaSet,
  nowMs: number,
  options: ReplicaSetOptions,
): ReconcileResult {
  if (isDeleting(replicaSet)) return { changes: [] };
  const adopted = adoptions(snapshot, replicaSet, ['Pod']);
  if (adopted.length > 0) return { changes: adopted };
  const owned = controlledBy(snapshot, replicaSet, 'Pod');
  const isMatching = (pod: Pod): boolean => matchesSelector(replicaSet.spec.selector, pod.metadata.labels);
  const matching = owned.filter(isMatching);
  const active = matching.filter(isPodActive);
  const strangers = owned.filter((pod) => !isMatching(pod) && !isDeleting(pod));
  const finished = matching.filter((pod) => !isPodActive(pod) && !isDeleting(pod));

  const missing = (replicaSet.spec.replicas ?? 1) - active.length;
  const open = isNamespaceOpen(snapshot, replicaSet.metadata.namespace);
  const delayMs = missing > 0 ? failureDelayMs(finished, nowMs) : 0;
  const mayCreate = open && delayMs === 0 && missing > 0;
  const made = newPod(replicaSet);
  const wantedCount = mayCreate ? Math.min(missing, mostAlike(made, options.mostPerTransaction)) : 0;
  const { pods: admitted, refusal } = admitPods(snapshot, Array<Pod>(wantedCount).fill(made), nowMs);
  const createCount = admitted.length;
  const surplus = new Set(missing < 0 ? inDeletionOrder(active).slice(0, -missing) : []);
  const changes = [
    ...batchOf(
      [
        ...admitted.map((object): Change => ({ type: 'create', object })),
        ...[...surplus, ...outlived(finished)].map((object): Change => ({ type: 'delete', object })),
        ...strangers.map((pod): Change => ({ type: 'update', object: released(pod, replicaSet) })),
      ],
      options.mostPerTransaction,
    ),
  ];
  const surplusDeletions = changes.filter(({ object }) => object.kind === 'Pod' && surplus.has(object));
  const going = new Set(surplusDeletions.map(({ object }) => object));
  const remaining = active.filter((pod) => !going.has(pod));
  const counts = statusOf(replicaSet, remaining, createCount, nowMs);
  // While it waits for another reason, what it said last still holds.
  const status = missing > 0 && !mayCreate ? counts : withFailure(counts, refusal, nowMs);
  if (!isSame(status, replicaSet.status)) changes.push({ type: 'update', object: { ...replicaSet, status } });
  const requeueAfterMs = earliest(
    delayMs > 0 ? delayMs : undefined,
    nextAvailabilityMs(remaining, replicaSet.spec.minReadySeconds ?? 0, nowMs),
  );
  return {
    changes,
    events: [...podEvents(replicaSet, surplusDeletions), ...newRefusalEvents(replicaSet, refusal)],
    createdEvents: podsCreated(replicaSet),
    ...(requeueAfterMs !== undefined && { requeueAfterMs }),
  };
}

function newPod(replicaSet: ReplicaSet): Pod {
  const { metadata, spec } = replicaSet.spec.template;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: '',
      generateName: `${replicaSet.metadata.name}-`,
      namespace: replicaSet.metadata.namespace ?? 'default',
      ...(metadata?.labels && { labels: metadata.labels }),
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      ownerReferences: [controllerReference(replicaSet)],
    },
    spec,
    status: { phase: 'Pending' },
  };
}

function released(pod: Pod, owner: ReplicaSet): Pod {
  const ownerReferences = (pod.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);
  return { ...pod, metadata: { ...pod.metadata, ownerReferences } };
}

function statusOf(replicaSet: ReplicaSet, pods: readonly Pod[], created: number, nowMs: number): ReplicaSetStatus {
  const { template, minReadySeconds = 0 } = replicaSet.spec;
  const labels = template.metadata?.labels ?? {};
  const fullyLabeled = pods.filter((pod) => matchesLabels(labels, pod.metadata.labels)).length;
  return {
    ...replicaSet.status,
    replicas: pods.length + created,
    fullyLabeledReplicas: fullyLabeled + created,
    readyReplicas: pods.filter(isPodReady).length,
    availableReplicas: pods.filter((pod) => isPodAvailable(pod, minReadySeconds, nowMs)).length,
    observedGeneration: replicaSet.metadata.generation ?? 1,
  };
}

const failureType = 'ReplicaFailure';

/** Kubernetes' condition for pods that cannot be made; it goes when they can. */
function withFailure({ conditions = [], ...status }: ReplicaSetStatus, refusal: string | undefined, nowMs: number) {
  if (refusal === undefined) {
    const others = conditions.filter(({ type }) => type !== failureType);
    return { ...status, ...(others.length > 0 && { conditions: others }) };
  }
  const failure = { type: failureType, status: 'True' as const, reason: 'FailedCreate', message: refusal };
  return { ...status, conditions: setCondition(conditions, failure, nowMs) };
}

/** Said again only when there is something new to say. */
function newRefusalEvents(replicaSet: ReplicaSet, refusal: string | undefined): readonly Events[number][] {
  const said = findCondition(replicaSet.status?.conditions, failureType)?.message;
  return refusal === said ? [] : refusalEvents(replicaSet, refusal);
}

/** When pods that are ready now will have been so for long enough. */
export function nextAvailabilityMs(pods: readonly Pod[], minReadySeconds: number, nowMs: number): number | undefined {
  if (minReadySeconds === 0) return undefined;
  return earliest(
    ...pods.map((pod) => {
      const atMs = availableAtMs(pod, minReadySeconds);
      return atMs !== undefined && atMs > nowMs ? atMs - nowMs : undefined;
    }),
  );
}

/** The first failure is replaced at once; a series of them is slowed down, so that it does not become the load. */
function failureDelayMs(finished: readonly Pod[], nowMs: number): number {
  const failed = finished.filter((pod) => pod.status?.phase === 'Failed');
  if (failed.length < 2) return 0;
  const newestMs = Math.max(...failed.map((pod) => madeMs(pod, nowMs)));
  const delayMs = Math.min(longestFailureDelayMs, firstFailureDelayMs * 2 ** (failed.length - 2));
  return Math.max(0, newestMs + delayMs - nowMs);
}

function outlived(finished: readonly Pod[]): readonly Pod[] {
  const byAge = [...finished].sort((a, b) => compare(b.metadata.creationTimestamp, a.metadata.creationTimestamp));
  return byAge.slice(finishedKept);
}

function earliest(...delays: readonly (number | undefined)[]): number | undefined {
  const known = delays.filter((delay) => delay !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}

function compare(a = '', b = ''): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
