/**
 * A node's slice of the cluster, and what of it has changed since it was last sent. Pure.
 *
 * A node sees: its own pods, the ConfigMaps and Secrets those name (here), and all Services, EndpointSlices and Nodes
 * (shared-slice.ts). Nothing else ever goes to it.
 */
import { toEnvelope } from '../../lib/model/codec.ts';
import { keyOf, kindPrefix, parseKey } from '../../lib/model/keys.ts';
import { configurationOf } from '../../lib/model/pod-configuration.ts';
import type { KubeObject, ObjectReference, Slice } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';

/** What an agent has been sent of its own, by store key. */
export type Sent = ReadonlyMap<string, KubeObject>;

/** The node's own pods and what they name, by store key. */
export function ownSlice(snapshot: Snapshot, nodeName: string): Map<string, KubeObject> {
  const objects = new Map<string, KubeObject>();
  const add = (object: KubeObject | undefined): void => {
    if (object) objects.set(keyOf(object), object);
  };
  snapshot.podsOnNode(nodeName).forEach(add);
  for (const key of namedByPodsOf(snapshot, nodeName)) add(objectAt(snapshot, key));
  return objects;
}

export interface SliceDifference {
  /** New, or another revision than was sent. */
  readonly changed: readonly KubeObject[];
  /** As they were sent. */
  readonly removed: readonly KubeObject[];
}

/**
 * What to send so that `sent` becomes `ownSlice(snapshot, nodeName)`, given the keys that were written since. Costs as
 * much as was touched plus the node's own pods, however large the cluster.
 */
export function sliceDifference(
  snapshot: Snapshot,
  nodeName: string,
  sent: Sent,
  touched: ReadonlySet<string>,
): SliceDifference {
  const configuration = namedByPodsOf(snapshot, nodeName);
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

function visible(
  snapshot: Snapshot,
  nodeName: string,
  key: string,
  configuration: ReadonlySet<string>,
): KubeObject | undefined {
  const object = objectAt(snapshot, key);
  if (object?.kind === 'Pod') return object.spec.nodeName === nodeName ? object : undefined;
  return object && configuration.has(key) ? object : undefined;
}

const configurationPrefixes = [kindPrefix('ConfigMap'), kindPrefix('Secret')];
const isConfiguration = (key: string): boolean => configurationPrefixes.some((prefix) => key.startsWith(prefix));

function objectAt(snapshot: Snapshot, key: string): KubeObject | undefined {
  const parsed = parseKey(key);
  return parsed && snapshot.get(parsed.kind, parsed.namespace || undefined, parsed.name);
}

function namedByPodsOf(snapshot: Snapshot, nodeName: string): Set<string> {
  const keys = new Set<string>();
  for (const pod of snapshot.podsOnNode(nodeName)) for (const key of configurationOf(pod)) keys.add(key);
  return keys;
}

/** Everything in one message. */
export function completeMessage(own: Sent, shared: Iterable<KubeObject>, revision: bigint): Slice {
  const objects = [...shared, ...own.values()].map(toEnvelope);
  return { complete: true, objects, revision: revision.toString() };
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
