/** The agent's slice as a value: what a message of the control plane makes of it, and whom that concerns. Pure. */
import { fromEnvelope } from '../../lib/model/codec.ts';
import { keyOf, objectKey } from '../../lib/model/keys.ts';
import { isSame } from '../../lib/model/object.ts';
import { configurationOf } from '../../lib/model/pod-configuration.ts';
import { findKind, type Kind } from '../../lib/model/schema.ts';
import { isSharedKind } from '../../lib/model/slice.ts';
import type { KubeObject, Pod, Slice } from '../../proto/gen/types.ts';
import type { SliceChange } from './slice.ts';

/** By store key. */
export type SliceObjects = ReadonlyMap<string, KubeObject>;

export function applySlice(before: SliceObjects, slice: Slice): { objects: SliceObjects; change: SliceChange } {
  const kept = keptBy(slice, before);
  const objects = new Map(kept);
  const written = new Set(slice.complete ? keysBeside(kept, before) : []);
  for (const reference of slice.removed ?? []) {
    const kind = findKind(reference.kind ?? '')?.kind;
    if (!kind) continue;
    const key = objectKey(kind, reference.namespace, reference.name ?? '');
    objects.delete(key);
    written.add(key);
  }
  for (const envelope of slice.objects ?? []) {
    const object = fromEnvelope(envelope);
    if (!object) continue; // a kind that only a newer control plane knows
    objects.set(keyOf(object), object);
    written.add(keyOf(object));
  }
  return { objects, change: changeBetween(before, objects, written) };
}

/** What is there still if the message does not say otherwise. */
function keptBy({ complete, keepsShared }: Slice, before: SliceObjects): SliceObjects {
  if (!complete) return before;
  return new Map(keepsShared ? [...before].filter(([, { kind }]) => isSharedKind(kind)) : []);
}

function keysBeside(kept: SliceObjects, all: SliceObjects): string[] {
  return [...all.keys()].filter((key) => !kept.has(key));
}

function changeBetween(before: SliceObjects, after: SliceObjects, written: ReadonlySet<string>): SliceChange {
  const kinds = new Set<Kind>();
  const podUIDs = new Set<string>();
  const configuration = new Set<string>();
  for (const key of written) {
    const [old, now] = [before.get(key), after.get(key)];
    if (old === now || (old && now && old.metadata.resourceVersion === now.metadata.resourceVersion)) continue;
    const { kind } = now ?? old!;
    kinds.add(kind);
    if (kind === 'Pod') for (const uid of touchedPods(old as Pod | undefined, now as Pod | undefined)) podUIDs.add(uid);
    if (kind === 'ConfigMap' || kind === 'Secret') configuration.add(key);
  }
  if (configuration.size > 0) for (const uid of podsNaming(configuration, after)) podUIDs.add(uid);
  return { kinds, podUIDs };
}

/** The echo of our own report, a change of status alone, touches nobody. */
function touchedPods(old: Pod | undefined, now: Pod | undefined): string[] {
  if (old && now && isSame(withoutReport(old), withoutReport(now))) return [];
  return [old?.metadata.uid, now?.metadata.uid].filter((uid) => uid !== undefined);
}

function withoutReport({ status, metadata, ...pod }: Pod): object {
  const { resourceVersion: _version, ...rest } = metadata;
  return { ...pod, metadata: rest, podIP: status?.podIP, hostIP: status?.hostIP };
}

function podsNaming(configuration: ReadonlySet<string>, objects: SliceObjects): string[] {
  const uids: string[] = [];
  for (const object of objects.values()) {
    if (object.kind !== 'Pod' || object.metadata.uid === undefined) continue;
    if (configurationOf(object).some((key) => configuration.has(key))) uids.push(object.metadata.uid);
  }
  return uids;
}
