/**
 * A node's slice of the cluster, and what of it has changed since it was last sent. Pure.
 *
 * A node sees: its own pods, the ConfigMaps and Secrets those name, and all Services, EndpointSlices and Nodes. Nothing
 * else ever goes to it.
 */
import { toEnvelope } from '../../lib/model/codec.ts';
import { keyOf, kindPrefix, parseKey } from '../../lib/model/keys.ts';
import { configurationOf } from '../../lib/model/pod-configuration.ts';
import type { KubeObject, ObjectReference, Slice } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';

/** What an agent has been sent, by store key. */
export type Sent = ReadonlyMap<string, KubeObject>;

/** Kinds that every node sees whole. */
export const sharedKinds = ['Node', 'Service', 'EndpointSlice'] as const;

/** Everything the node is to know, by store key. */
export function sliceOf(snapshot: Snapshot, nodeName: string): Map<string, KubeObject> {
  const objects = new Map<string, KubeObject>();
  const add = (object: KubeObject | undefined): void => {
    if (object) objects.set(keyOf(object), object);
  };
  for (const kind of sharedKinds) snapshot.list(kind).forEach(add);
  snapshot.podsOnNode(nodeName).forEach(add);
  for (const key of configurationKeys(snapshot, nodeName)) add(objectAt(snapshot, key));
  return objects;
}

export interface SliceDifference {
  /** New, or another revision than was sent. */
  readonly changed: readonly KubeObject[];
  /** As they were sent. */
  readonly removed: readonly KubeObject[];
}

/**
 * What to send so that `sent` becomes `sliceOf(snapshot, nodeName)`, given the keys that were written since. Costs
 * as much as was touched plus the node's own pods, however large the cluster.
 */
export function sliceDifference(
  snapshot: Snapshot,
  nodeName: string,
  sent: Sent,
  touched: ReadonlySet<string>,
): SliceDifference {
  const configuration = configurationKeys(snapshot, nodeName);
  // What the node's pods name may change without being written: a new pod names an old ConfigMap.
  const candidates = new Set([...touched, ...configuration]);
  for (const key of sent.keys()) if (isConfiguration(key) && !configuration.has(key)) candidates.add(key);

  const changed: KubeObject[] = [];
  const removed: KubeObject[] = [];
  for (const key of candidates) {
    const before = sent.get(key);
    const object = visible(snapshot, nodeName, key, configuration);
    if (!object) {
      if (before) removed.push(before);
    } else if (before?.metadata.resourceVersion !== object.metadata.resourceVersion) {
      changed.push(object);
    }
  }
  return { changed, removed };
}

/** Whether a write of this object can matter to this node. */
export function concerns(nodeName: string, object: KubeObject): boolean {
  if (object.kind === 'Pod') return object.spec.nodeName === nodeName;
  return object.kind === 'ConfigMap' || object.kind === 'Secret' || isShared(object.kind);
}

function visible(
  snapshot: Snapshot,
  nodeName: string,
  key: string,
  configuration: ReadonlySet<string>,
): KubeObject | undefined {
  const object = objectAt(snapshot, key);
  if (object?.kind === 'Pod') return object.spec.nodeName === nodeName ? object : undefined;
  return object && (isShared(object.kind) || configuration.has(key)) ? object : undefined;
}

const isShared = (kind: string): boolean => (sharedKinds as readonly string[]).includes(kind);

const configurationPrefixes = [kindPrefix('ConfigMap'), kindPrefix('Secret')];
const isConfiguration = (key: string): boolean => configurationPrefixes.some((prefix) => key.startsWith(prefix));

function objectAt(snapshot: Snapshot, key: string): KubeObject | undefined {
  const parsed = parseKey(key);
  return parsed && snapshot.get(parsed.kind, parsed.namespace || undefined, parsed.name);
}

function configurationKeys(snapshot: Snapshot, nodeName: string): Set<string> {
  return new Set(snapshot.podsOnNode(nodeName).flatMap(configurationOf));
}

export function completeMessage(objects: Sent, revision: bigint): Slice {
  return { complete: true, objects: [...objects.values()].map(toEnvelope), revision: revision.toString() };
}

/** Undefined when there is nothing to say. */
export function differenceMessage({ changed, removed }: SliceDifference, revision: bigint): Slice | undefined {
  if (changed.length === 0 && removed.length === 0) return undefined;
  return {
    complete: false,
    objects: changed.map(toEnvelope),
    removed: removed.map(referenceTo),
    revision: revision.toString(),
  };
}

function referenceTo({ kind, metadata }: KubeObject): ObjectReference {
  return {
    kind,
    name: metadata.name,
    ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
    ...(metadata.uid !== undefined && { uid: metadata.uid }),
  };
}
