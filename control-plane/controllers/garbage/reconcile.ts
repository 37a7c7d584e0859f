/**
 * Garbage collection: what exists only for an owner goes when the owner has gone.
 *
 * The unit of work is an owner's uid, so that everything an owner leaves behind goes in a few transactions.
 * - An object goes when none of its owners exists any more; with one left it only loses the references to the others.
 *   An owner of a kind that only a newer control plane knows is taken to exist.
 * - An owner with the finalizer `orphan` sets its dependents free first, and then goes.
 * - An owner with the finalizer `foregroundDeletion` goes after its dependents: all are deleted, those whose reference
 *   says blockOwnerDeletion are waited for. Dependents with dependents of their own are deleted in the same way.
 * - In a circle of owners each would wait for the other: the last one is then deleted without waiting.
 * - A node stays while it has pods that must not run twice (lib/model/fencing.ts). Whatever brings another one there
 *   rewrites the Node, whose revision its removal compares.
 * - An object that is being deleted and waits for no finalizer goes too (pods wait for their agent, namespaces for theirs).
 */
import {
  blockingDependents,
  foregroundFinalizer,
  holdersOf,
  holdersSentence,
  orphanFinalizer,
  type World,
} from '../../../lib/model/deletion-holders.ts';
import { needsNode, nodeIsNeeded } from '../../../lib/model/fencing.ts';
import { isDeleting } from '../../../lib/model/object.ts';
import { isPodBound } from '../../../lib/model/pods.ts';
import type { KubeObject, OwnerReference, Pod } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { batchOf } from '../batch.ts';
import { isKnownKind, isSenseless, mayExist, ownerOf } from './owners.ts';

type Events = NonNullable<ReconcileResult['events']>;

const mostPerTransaction = 80;
/** A deletion that takes longer says what it waits for. */
const patienceMs = 30_000;

export function reconcileOwner(snapshot: Snapshot, uid: string, nowMs: number): ReconcileResult {
  return sparingNodes(snapshot, ownerGone(snapshot, uid, nowMs));
}

function ownerGone(snapshot: Snapshot, uid: string, nowMs: number): ReconcileResult {
  const owner = snapshot.byUID(uid);
  if (!owner) {
    const changes = snapshot.ownedBy(uid).flatMap((object) => collect(snapshot, object));
    return { changes: batchOf(changes, mostPerTransaction) };
  }
  if (!isDeleting(owner)) return { changes: [] };
  const finalizers = owner.metadata.finalizers ?? [];
  if (finalizers.includes(orphanFinalizer)) return { changes: setFree(snapshot, owner) };
  const foreground = finalizers.includes(foregroundFinalizer) ? goAfter(snapshot, owner) : undefined;
  if (foreground && foreground.changes.length > 0) return foreground;
  if (finalizers.length === 0 && !waitsForOthers(owner)) return { changes: [{ type: 'remove', object: owner }] };
  return finalizers.length > 0 ? complaint(snapshot, owner, nowMs) : { changes: [] };
}

/** An object whose references lead nowhere: what is wrong with them is said, since there was no owner to be seen going. */
export function reconcileReferences(snapshot: Snapshot, uid: string): ReconcileResult {
  const object = snapshot.byUID(uid);
  if (!object || isDeleting(object)) return { changes: [] };
  const known = (object.metadata.ownerReferences ?? []).filter(isKnownKind);
  const bad = known.filter((one) => ownerOf(snapshot, object, one) === undefined);
  const events = bad.map((reference) =>
    isSenseless(object, reference) || snapshot.byUID(reference.uid)
      ? outOfReach(object, reference)
      : ownerMissing(object, reference),
  );
  return sparingNodes(snapshot, { changes: collect(snapshot, object), events });
}

/** Without the ends of nodes that pods need; we look again. */
function sparingNodes(snapshot: Snapshot, result: ReconcileResult): ReconcileResult {
  const needing = ({ type, object }: Change): readonly Pod[] =>
    object.kind === 'Node' && (type === 'delete' || type === 'remove')
      ? snapshot.podsOnNode(object.metadata.name).filter(needsNode)
      : [];
  const spared = result.changes.filter((change) => needing(change).length > 0);
  if (spared.length === 0) return result;
  const said = spared.map((change): Events[number] => {
    const message = `Deletion waits: ${nodeIsNeeded(change.object.metadata.name, needing(change))}`;
    return { type: 'Warning', reason: 'DeletionBlocked', message, about: change.object };
  });
  return {
    ...result,
    changes: result.changes.filter((change) => !spared.includes(change)),
    events: [...(result.events ?? []), ...said],
    requeueAfterMs: Math.min(result.requeueAfterMs ?? patienceMs, patienceMs),
  };
}

/** Without the references that lead nowhere; deleted when no other is left. */
function collect(snapshot: Snapshot, object: KubeObject): Change[] {
  const references = object.metadata.ownerReferences ?? [];
  const living = references.filter((one) => mayExist(snapshot, object, one));
  if (living.length === references.length) return [];
  if (living.length > 0) return [{ type: 'update', object: withOwners(object, living) }];
  return isDeleting(object) ? [] : [{ type: 'delete', object }];
}

/** Deletes the dependents; and the owner's finalizer when none is left to wait for. */
function goAfter(snapshot: Snapshot, owner: KubeObject): ReconcileResult {
  const { uid = '' } = owner.metadata;
  const dependents = snapshot
    .ownedBy(uid)
    .filter((one) => one !== owner && ownerOf(snapshot, one, referenceTo(one, uid)) !== undefined);
  const events: Events[number][] = [];
  const changes = dependents.flatMap((dependent): Change[] => {
    const others = (dependent.metadata.ownerReferences ?? []).filter((one) => staysFor(snapshot, dependent, one));
    if (others.length > 0) return [{ type: 'update', object: withOwners(dependent, others) }];
    if (isDeleting(dependent)) return [];
    const below = snapshot.ownedBy(dependent.metadata.uid ?? '');
    const circle = below.find((one) => isDeleting(one) && one.metadata.finalizers?.includes(foregroundFinalizer));
    if (circle) events.push(ownsItself(dependent, circle));
    const waits = below.length > 0 && !circle && dependent.kind !== 'Pod';
    return [{ type: 'delete', object: waits ? withFinalizer(dependent, foregroundFinalizer) : dependent }];
  });
  if (changes.length > 0) return { changes: batchOf(changes, mostPerTransaction), events };
  if (blockingDependents(owner, worldOf(snapshot)).length > 0) return { changes: [] };
  return { changes: [withoutFinalizer(owner, foregroundFinalizer)] };
}

/** An owner that lives, as far as we know, and does not itself wait for its dependents to go. */
function staysFor(snapshot: Snapshot, object: KubeObject, reference: OwnerReference): boolean {
  const owner = ownerOf(snapshot, object, reference);
  if (!owner) return mayExist(snapshot, object, reference);
  return !(isDeleting(owner) && owner.metadata.finalizers?.includes(foregroundFinalizer));
}

function setFree(snapshot: Snapshot, owner: KubeObject): readonly Change[] {
  const dependents = snapshot.ownedBy(owner.metadata.uid ?? '');
  if (dependents.length === 0) return [withoutFinalizer(owner, orphanFinalizer)];
  const changes = dependents.slice(0, mostPerTransaction).map((object): Change => {
    const others = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);
    return { type: 'update', object: withOwners(object, others) };
  });
  return batchOf(changes, mostPerTransaction);
}

/** What will not end by itself is said, once it has lasted. */
function complaint(snapshot: Snapshot, owner: KubeObject, nowMs: number): ReconcileResult {
  const sinceMs = Date.parse(owner.metadata.deletionTimestamp ?? '') || nowMs;
  const restMs = sinceMs + patienceMs - nowMs;
  if (restMs > 0) return { changes: [], requeueAfterMs: restMs };
  const stuck = holdersOf(owner, worldOf(snapshot)).filter(({ isStuck }) => isStuck);
  const message = holdersSentence(stuck);
  if (message === undefined) return { changes: [], requeueAfterMs: patienceMs };
  return {
    changes: [],
    events: [{ type: 'Warning', reason: 'DeletionBlocked', message: `Deletion ${message}`, about: owner }],
  };
}

function worldOf(snapshot: Snapshot): World {
  return {
    dependentsOf: (uid) => snapshot.ownedBy(uid),
    node: (name) => snapshot.get('Node', undefined, name),
  };
}

function referenceTo(object: KubeObject, uid: string): OwnerReference {
  return object.metadata.ownerReferences!.find((reference) => reference.uid === uid)!;
}

function withOwners(object: KubeObject, ownerReferences: readonly OwnerReference[]): KubeObject {
  return { ...object, metadata: { ...object.metadata, ownerReferences } } as KubeObject;
}

function withFinalizer(object: KubeObject, finalizer: string): KubeObject {
  const finalizers = [...(object.metadata.finalizers ?? []), finalizer];
  return { ...object, metadata: { ...object.metadata, finalizers } } as KubeObject;
}

function withoutFinalizer(owner: KubeObject, finalizer: string): Change {
  const finalizers = (owner.metadata.finalizers ?? []).filter((one) => one !== finalizer);
  if (finalizers.length === 0 && !waitsForOthers(owner)) return { type: 'remove', object: owner };
  return { type: 'update', object: { ...owner, metadata: { ...owner.metadata, finalizers } } as KubeObject };
}

/** For its agent, or for what is in it. */
function waitsForOthers(object: KubeObject): boolean {
  return object.kind === 'Namespace' || (object.kind === 'Pod' && isPodBound(object));
}

function ownerMissing(about: KubeObject, { kind, name, uid }: OwnerReference): Events[number] {
  const message = `Owner ${kind} ${name} (uid ${uid}) does not exist: what belongs to nobody else is deleted`;
  return { type: 'Warning', reason: 'OwnerNotFound', message, about };
}

function outOfReach(about: KubeObject, { apiVersion, kind, name, uid }: OwnerReference): Events[number] {
  const where =
    about.metadata.namespace === undefined ? 'outside of all namespaces' : `in namespace "${about.metadata.namespace}"`;
  const message = `ownerRef [${apiVersion}/${kind}, name: ${name}, uid: ${uid}] does not exist ${where}`;
  return { type: 'Warning', reason: 'OwnerRefInvalidNamespace', message, about };
}

function ownsItself(about: KubeObject, circle: KubeObject): Events[number] {
  const message = `Owns ${circle.kind} ${circle.metadata.name} and is owned by it: deleted without waiting for it`;
  return { type: 'Warning', reason: 'OwnerReferenceCycle', message, about };
}
