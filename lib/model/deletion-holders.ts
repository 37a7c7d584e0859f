/** What an object that is being deleted waits for, as sentences for people: its node, finalizers, dependents. Pure. */
import type { KubeObject, Node, Pod } from '../../proto/gen/types.ts';
import { findCondition } from './conditions.ts';
import { needsNode, nodeIsGone } from './fencing.ts';
import { isDeleting } from './object.ts';
import { isPodBound } from './pods.ts';
import { claimProtection, volumeProtection } from './storage.ts';

/** Goes when nothing is left of what it owns (as far as a reference says blockOwnerDeletion). */
export const foregroundFinalizer = 'foregroundDeletion';
/** Goes when what it owns has been set free. */
export const orphanFinalizer = 'orphan';

export interface World {
  /** Objects with a reference to this uid. */
  dependentsOf(uid: string): readonly KubeObject[];
  node(name: string): Node | undefined;
}

export interface Holder {
  /** "Pod default/web on node n1, which is NotReady: ...". */
  readonly sentence: string;
  /** It will not end by itself: somebody has to do something. */
  readonly isStuck: boolean;
}

const deepest = 8;

/** Empty when nothing holds it any more. Of what it waits for, the innermost is told. */
export function holdersOf(object: KubeObject, world: World, depth = 0): Holder[] {
  const finalizers = object.metadata.finalizers ?? [];
  const own: Holder[] = finalizers
    .filter((finalizer) => finalizer !== foregroundFinalizer && finalizer !== orphanFinalizer)
    .map((finalizer) => ({ sentence: finalizerSentence(finalizer, nameOf(object)), isStuck: true }));
  if (finalizers.includes(orphanFinalizer)) {
    own.push({ sentence: `what ${nameOf(object)} owns being set free`, isStuck: false });
  }
  if (object.kind === 'Pod' && isPodBound(object)) own.push(onNode(object, world));
  if (object.kind === 'Namespace') own.push(...content(object));
  if (!finalizers.includes(foregroundFinalizer) || depth === deepest) return own;
  return [...own, ...blockingDependents(object, world).flatMap((one) => dependentHolders(one, world, depth))];
}

/** Gantry's own go with what they are there for. */
function finalizerSentence(finalizer: string, name: string): string {
  if (finalizer === claimProtection) return `the pods that use ${name}; it goes when they are deleted`;
  if (finalizer === volumeProtection) return `the claim that ${name} is bound to; it goes when that is deleted`;
  return `finalizer ${finalizer} of ${name}, which whoever set it must take away`;
}

/** Those that hold up its deletion in the foreground. Nothing waits for itself. */
export function blockingDependents({ metadata }: KubeObject, world: World): KubeObject[] {
  const { uid = '' } = metadata;
  return world
    .dependentsOf(uid)
    .filter(
      (dependent) =>
        dependent.metadata.uid !== uid &&
        dependent.metadata.ownerReferences?.some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true),
    );
}

function dependentHolders(dependent: KubeObject, world: World, depth: number): Holder[] {
  const inner = isDeleting(dependent) ? holdersOf(dependent, world, depth + 1) : [];
  return inner.length > 0 ? inner : [{ sentence: nameOf(dependent), isStuck: false }];
}

function onNode(pod: Pod, world: World): Holder {
  const nodeName = pod.spec.nodeName ?? '';
  const where = `${nameOf(pod)} on node ${nodeName}`;
  const node = world.node(nodeName);
  if (!node && needsNode(pod)) return { sentence: `${where}, which is gone: ${nodeIsGone(pod)}`, isStuck: true };
  if (!node) return { sentence: `${where}, which is gone`, isStuck: false };
  const ready = findCondition(node.status?.conditions, 'Ready');
  if (ready?.status === 'True') return { sentence: `${where}, which is stopping it`, isStuck: false };
  const why = ready?.message ? `: ${ready.message}` : '';
  const cure = `it goes when the node is back, or when somebody says that it is down: ctl node out-of-service ${nodeName}`;
  return { sentence: `${where}, which is NotReady${why}; ${cure}`, isStuck: true };
}

function content({ status }: KubeObject & { kind: 'Namespace' }): Holder[] {
  const remaining = findCondition(status?.conditions, 'NamespaceContentRemaining');
  return remaining?.status === 'True' && remaining.message ? [{ sentence: remaining.message, isStuck: false }] : [];
}

function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`;
}

const mostTold = 5;

/** "waits for A; B; and 3 more"; undefined when there are none. Those that are stuck come first. */
export function holdersSentence(holders: readonly Holder[]): string | undefined {
  if (holders.length === 0) return undefined;
  const ordered = [...holders].sort((a, b) => Number(b.isStuck) - Number(a.isStuck));
  const told = ordered.slice(0, mostTold).map(({ sentence }) => sentence);
  const more = ordered.length - told.length;
  return `waits for ${[...told, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')}`;
}
