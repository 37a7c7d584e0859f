/** Why an object that is being deleted is still there. */
import { isGantryError } from '../lib/errors.ts';
import { foregroundFinalizer, holdersOf, holdersSentence } from '../lib/model/deletion-holders.ts';
import { isDeleting } from '../lib/model/object.ts';
import { type Kind, kinds } from '../lib/model/schema.ts';
import type { KubeObject, Node } from '../proto/gen/types.ts';
import type { Context } from './context.ts';
import { findObject, listObjects } from './objects.ts';

/** "waits for Pod default/web on node n1, which ..."; undefined when it is not being deleted, or nothing holds it. */
export async function deletionReason(
  context: Context,
  kind: Kind,
  name: string,
  namespace: string | undefined,
): Promise<string | undefined> {
  const object: KubeObject | undefined = await findObject(context, kind, name, namespace);
  return object && deletionSentence(context, object);
}

export async function deletionSentence(context: Context, object: KubeObject): Promise<string | undefined> {
  if (!isDeleting(object)) return undefined;
  const [dependents, nodes] = await Promise.all([dependentsIn(context, object), nodesOf(context)]);
  const holders = holdersOf(object, {
    dependentsOf: (uid) => dependents.get(uid) ?? [],
    node: (nodeName) => nodes.get(nodeName),
  });
  return holdersSentence(holders);
}

/** By the uid of their owners. Only a deletion in the foreground waits for them, and it is seldom that somebody asks. */
async function dependentsIn(context: Context, object: KubeObject): Promise<ReadonlyMap<string, readonly KubeObject[]>> {
  const byOwner = new Map<string, KubeObject[]>();
  if (!object.metadata.finalizers?.includes(foregroundFinalizer)) return byOwner;
  const { namespace } = object.metadata;
  const selection = namespace === undefined ? { allNamespaces: true } : { namespace };
  const lists = await Promise.all(
    kinds
      .filter(({ kind, clusterScoped }) => kind !== 'Event' && (namespace === undefined || !clusterScoped))
      .map(({ kind }) => readable(listObjects(context, kind, selection), [])),
  );
  for (const dependent of lists.flat() as KubeObject[]) {
    for (const { uid } of dependent.metadata.ownerReferences ?? []) {
      byOwner.set(uid, [...(byOwner.get(uid) ?? []), dependent]);
    }
  }
  return byOwner;
}

async function nodesOf(context: Context): Promise<ReadonlyMap<string, Node>> {
  const nodes = await readable(listObjects(context, 'Node'), []);
  return new Map(nodes.map((node) => [node.metadata.name, node]));
}

/** A viewer may not read Secrets; a control plane of another version may lack a kind. */
async function readable<T>(reading: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    const known = ['permissionDenied', 'invalidArgument', 'unimplemented'] as const;
    if (known.some((code) => isGantryError(error, code))) return otherwise;
    throw error;
  }
}
