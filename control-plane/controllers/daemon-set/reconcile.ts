/**
 * DaemonSet: one pod on every node that the template fits.
 *
 * - A node's place is taken until its pod has really gone: the next one is made only when nothing is left of the last.
 * - A pod is bound like any other, by the scheduler, which its node affinity leaves one node to choose from.
 * - A rolling update takes pods away, at most so many that `maxUnavailable` nodes are without an available one; the pods
 *   that are missing are then made from the newest template. Pods that do not work are taken first, and cost nothing.
 * - Writes: its pods and ControllerRevisions, its own `status`. Never its `spec`.
 */
import { matchesSelector } from '../../../lib/model/labels.ts';
import { controllerReference, isDeleting, isSame } from '../../../lib/model/object.ts';
import { isPodAvailable, isPodFinished, isPodReady } from '../../../lib/model/pods.ts';
import type { DaemonSet, DaemonSetStatus, Node, Pod } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { adoptions } from '../adoption.ts';
import { batchOf } from '../batch.ts';
import { configuredTemplate } from '../configuration/copies.ts';
import { madeMs } from '../made.ts';
import { controlledBy, isNamespaceOpen } from '../owned.ts';
import { admitPods, refusalEvents } from '../pod-admission.ts';
import { podEvents, podsCreated } from '../pod-events.ts';
import { inDeletionOrder } from '../replica-set/deletion-order.ts';
import { nextAvailabilityMs } from '../replica-set/reconcile.ts';
import { withoutRequest } from '../rollback.ts';
import {
  hashOf,
  revisionHashLabel,
  type TemplateHistory,
  templateHistory,
  waitingForConfiguration,
} from '../template-history.ts';
import { fitOf, nodeOf, specFor } from './placement.ts';

export interface DaemonSetOptions {
  readonly mostPerTransaction: number;
}

/** A pod that failed is replaced no sooner than this after it was made, so that failing does not become the load. */
const failedRestMs = 10_000;

/** A node that has a pod of the DaemonSet or should have one. */
interface Place {
  /** Undefined: there is no such node. */
  readonly node?: Node;
  readonly run: boolean;
  readonly stay: boolean;
  /** All of them, the one to keep last. */
  readonly pods: readonly Pod[];
}

export function reconcileDaemonSet(
  snapshot: Snapshot,
  daemonSet: DaemonSet,
  nowMs: number,
  { mostPerTransaction }: DaemonSetOptions,
): ReconcileResult {
  if (isDeleting(daemonSet) || !isNamespaceOpen(snapshot, daemonSet.metadata.namespace)) return { changes: [] };
  const pods = controlledBy(snapshot, daemonSet, 'Pod').filter((pod) =>
    matchesSelector(daemonSet.spec.selector, pod.metadata.labels),
  );
  const adopted = adoptions(snapshot, daemonSet, ['Pod', 'ControllerRevision']);
  if (adopted.length > 0) return { changes: adopted };
  const configured = configuredTemplate(snapshot, daemonSet);
  if (configured.missing.length > 0) return { changes: batchOf(configured.missing, mostPerTransaction) };
  const history = templateHistory(snapshot, daemonSet, configured, pods);
  if (!history) return waitingForConfiguration(daemonSet, configured);
  const places = placesOf(snapshot, daemonSet, pods);
  const failed = pods.filter((pod) => isPodFinished(pod) && !isDeleting(pod));
  const restMs = (pod: Pod): number => madeMs(pod, nowMs) + failedRestMs - nowMs;
  const surplus = [
    ...places.flatMap((place) => misplaced(place)),
    ...failed.filter((pod) => restMs(pod) <= 0),
    ...outdated(daemonSet, places, history, nowMs),
  ];
  const missing = places.filter(({ run, pods: there }) => run && there.length === 0);
  const made = missing.map(({ node }) => newPod(daemonSet, node!, history));
  const { pods: admitted, refusal } = admitPods(snapshot, made, nowMs);
  const wanted = [
    ...admitted.map((object): Change => ({ type: 'create', object })),
    ...[...new Set(surplus)].map((object): Change => ({ type: 'delete', object })),
  ];
  // One is left for our own status, and those of the history.
  const batch = batchOf(wanted, Math.max(1, mostPerTransaction - history.changes.length));
  const changes: Change[] = [...history.changes, ...batch];
  const status = statusOf(daemonSet, places, history, nowMs);
  const updated = withoutRequest({ ...daemonSet, status });
  if (!isSame(updated, daemonSet)) changes.push({ type: 'update', object: updated });
  const resting = failed.map(restMs).filter((ms) => ms > 0);
  const available = nextAvailabilityMs(pods, daemonSet.spec.minReadySeconds ?? 0, nowMs);
  const delays = [...resting, ...(available === undefined ? [] : [available])];
  return {
    changes,
    events: [
      ...podEvents(daemonSet, batch),
      ...failedEvents(daemonSet, batch),
      ...history.events,
      ...refusalEvents(daemonSet, refusal),
    ],
    createdEvents: podsCreated(daemonSet),
    ...(delays.length > 0 && { requeueAfterMs: Math.min(...delays) }),
  };
}

/** In the order of the nodes' names, so that a rollout has an order that people can follow. */
function placesOf(snapshot: Snapshot, daemonSet: DaemonSet, pods: readonly Pod[]): Place[] {
  const byNode = new Map<string, Pod[]>();
  for (const pod of pods) {
    const name = nodeOf(pod) ?? '';
    byNode.set(name, [...(byNode.get(name) ?? []), pod]);
  }
  const nodes = new Map(snapshot.list('Node').map((node) => [node.metadata.name, node]));
  const names = [...new Set([...nodes.keys(), ...byNode.keys()])].sort();
  return names.flatMap((name): Place[] => {
    const node = nodes.get(name);
    const fit = node && !isDeleting(node) ? fitOf(daemonSet, node) : { run: false, stay: false };
    const there = inDeletionOrder(byNode.get(name) ?? []);
    return there.length > 0 || fit.run ? [{ ...(node && { node }), ...fit, pods: there }] : [];
  });
}

function misplaced({ stay, pods }: Place): readonly Pod[] {
  const living = pods.filter((pod) => !isDeleting(pod) && !isPodFinished(pod));
  return stay ? living.slice(0, -1) : living;
}

/** Pods of older templates that may go now. */
function outdated(
  daemonSet: DaemonSet,
  places: readonly Place[],
  { newest }: TemplateHistory,
  nowMs: number,
): readonly Pod[] {
  if (daemonSet.spec.updateStrategy?.type === 'OnDelete') return [];
  const { minReadySeconds = 0 } = daemonSet.spec;
  const wanted = places.filter(({ run }) => run);
  const isAvailable = (pod: Pod): boolean => !isDeleting(pod) && isPodAvailable(pod, minReadySeconds, nowMs);
  const unavailable = wanted.filter(({ pods }) => !pods.some(isAvailable)).length;
  const old = wanted.flatMap(({ pods }) =>
    pods.filter((pod) => !isDeleting(pod) && !isPodFinished(pod) && hashOf(pod) !== hashOf(newest)),
  );
  const allowed = Math.max(0, maxUnavailableOf(daemonSet, wanted.length) - unavailable);
  return [...old.filter((pod) => !isAvailable(pod)), ...old.filter(isAvailable).slice(0, allowed)];
}

/** Parts are rounded up, so that it is at least one while there are nodes. */
function maxUnavailableOf({ spec }: DaemonSet, nodes: number): number {
  const text = spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? '1';
  return text.endsWith('%') ? Math.ceil((Number(text.slice(0, -1)) * nodes) / 100) : Number(text);
}

/** Why a pod is replaced that nobody asked to go. */
function failedEvents(about: DaemonSet, changes: readonly Change[]): NonNullable<ReconcileResult['events']> {
  return changes.flatMap(({ type, object }) => {
    if (type !== 'delete' || object.kind !== 'Pod' || !isPodFinished(object)) return [];
    const { name, namespace } = object.metadata;
    const why = object.status?.reason ? ` (${object.status.reason})` : '';
    const message = `Found failed daemon pod ${namespace}/${name} on node ${nodeOf(object)}${why}, deleting it`;
    return [{ type: 'Warning' as const, reason: 'FailedDaemonPod', message, about }];
  });
}

function newPod(daemonSet: DaemonSet, node: Node, { newest }: TemplateHistory): Pod {
  const { metadata, spec } = newest.data?.spec?.template ?? daemonSet.spec.template;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: '',
      generateName: `${daemonSet.metadata.name}-`,
      namespace: daemonSet.metadata.namespace ?? 'default',
      labels: { ...metadata?.labels, [revisionHashLabel]: hashOf(newest) },
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      ownerReferences: [controllerReference(daemonSet)],
    },
    spec: specFor(spec, node.metadata.name),
    status: { phase: 'Pending' },
  };
}

function statusOf(
  daemonSet: DaemonSet,
  places: readonly Place[],
  { newest, collisionCount, rollback, waitsFor }: TemplateHistory,
  nowMs: number,
): DaemonSetStatus {
  const { minReadySeconds = 0 } = daemonSet.spec;
  const wanted = places.filter(({ run }) => run);
  const count = (test: (pod: Pod) => boolean): number =>
    wanted.filter(({ pods }) => pods.some((pod) => !isDeleting(pod) && !isPodFinished(pod) && test(pod))).length;
  const available = count((pod) => isPodAvailable(pod, minReadySeconds, nowMs));
  const { rollback: _over, observedGeneration: before = 0, ...kept } = daemonSet.status ?? {};
  return {
    ...kept,
    currentNumberScheduled: wanted.filter(({ pods }) => pods.length > 0).length,
    numberMisscheduled: places.filter(({ run, pods }) => !run && pods.length > 0).length,
    desiredNumberScheduled: wanted.length,
    numberReady: count(isPodReady),
    observedGeneration: waitsFor === undefined ? (daemonSet.metadata.generation ?? 1) : before,
    updatedNumberScheduled: count((pod) => hashOf(pod) === hashOf(newest)),
    numberAvailable: available,
    numberUnavailable: wanted.length - available,
    ...(collisionCount > 0 && { collisionCount }),
    ...(rollback && { rollback }),
  };
}
