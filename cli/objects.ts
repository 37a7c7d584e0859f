/** Reading objects from the cluster. */
import { isGantryError } from '../lib/errors.ts';
import { fromEnvelope } from '../lib/model/codec.ts';
import { type Kind, type KindInfo, kindInfo } from '../lib/model/schema.ts';
import type { KindMap, KubeObject, ObjectEnvelope } from '../proto/gen/types.ts';
import type { Context } from './context.ts';

export interface Selection {
  readonly allNamespaces?: boolean;
  /** Default: the context's. */
  readonly namespace?: string;
  readonly selector?: string;
  readonly fieldSelector?: string;
}

/** The namespace of a List or Watch request: empty for all. */
export function requestNamespace(context: Context, info: KindInfo, { allNamespaces, namespace }: Selection): string {
  return allNamespaces || info.clusterScoped ? '' : (namespace ?? context.namespace);
}

export async function getObject<K extends Kind>(
  context: Context,
  kind: K,
  name: string,
  namespace: string = context.namespace,
): Promise<KindMap[K]> {
  const response = await context.cluster.Get({ kind, namespace, name });
  return fromEnvelope(response.object) as KindMap[K];
}

/** Undefined when there is none. */
export async function findObject<K extends Kind>(
  context: Context,
  kind: K,
  name: string,
  namespace?: string,
): Promise<KindMap[K] | undefined> {
  try {
    return await getObject(context, kind, name, namespace);
  } catch (error) {
    if (isGantryError(error, 'notFound')) return undefined;
    throw error;
  }
}

export async function listObjects<K extends Kind>(
  context: Context,
  kind: K,
  selection: Selection = {},
): Promise<KindMap[K][]> {
  const response = await context.cluster.List({
    kind,
    namespace: requestNamespace(context, kindInfo(kind), selection),
    labelSelector: selection.selector ?? '',
    fieldSelector: selection.fieldSelector ?? '',
  });
  return (response.items ?? []).flatMap((item) => (fromEnvelope(item) as KindMap[K] | undefined) ?? []);
}

/** The object of an answer; what was sent when the answer has none. */
export function objectOr(envelope: ObjectEnvelope | undefined, sent: KubeObject): KubeObject {
  return fromEnvelope(envelope) ?? sent;
}
