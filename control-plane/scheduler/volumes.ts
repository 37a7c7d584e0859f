/**
 * Volumes of pods that have yet to be placed: which nodes their claims leave them, and what is bound together with them.
 *
 * - A pod whose claims are all bound goes where the volumes' nodeAffinity allows.
 * - A claim of a class that waits for its first consumer is bound in the transaction that binds the pod, to a volume of
 *   that node: one that is there, or (gantry.dev/local) a new one. The transaction compares the claim and the volume, so
 *   that two pods never bind one claim to two nodes, nor two claims to one volume.
 * - A claim that is bound is compared, too: one that is deleted meanwhile may go as soon as no bound pod uses it.
 * - Claims that are missing, lost, or bound by somebody else and not bound yet keep the pod waiting, with the reason.
 */
import { timestamp } from '../../lib/clock.ts';
import { encodeObject } from '../../lib/model/codec.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { isDeleting, revisionOf } from '../../lib/model/object.ts';
import {
  bound,
  claimNamesOf,
  defaultClassOf,
  isBoundTo,
  localProvisioner,
  provisionedByAnnotation,
  suitableVolumes,
  volumeProtection,
} from '../../lib/model/storage.ts';
import { absent, type Compare, modRevisionIs, type Operation, putOf } from '../../lib/store/store.ts';
import type {
  BoundVolume,
  Node,
  NodeSelector,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';
import { hostnameLabel, isUsableOn } from '../storage/volume-nodes.ts';

type Storage = Pick<Snapshot, 'get' | 'list'>;

/** A claim that is bound together with its pod. */
export interface OpenClaim {
  readonly claim: PersistentVolumeClaim;
  readonly storageClass: StorageClass;
  /** Those that it could have, the best first. Absent: a new one is made. */
  readonly candidates?: readonly PersistentVolume[];
}

export interface VolumeNeeds {
  /** Of claims that are bound, which are these, in the same order. */
  readonly volumes: readonly PersistentVolume[];
  readonly bound: readonly PersistentVolumeClaim[];
  readonly open: readonly OpenClaim[];
}

/** Of the pods of one pass; nothing of it is stored. */
const needs = new WeakMap<Pod, VolumeNeeds>();

/** Pods as they can be scheduled, and those that cannot yet. Pods without claims come out as they went in. */
export function withVolumes(
  pending: readonly Pod[],
  storage: Storage,
): { readonly ready: readonly Pod[]; readonly refused: readonly { readonly pod: Pod; readonly message: string }[] } {
  if (!pending.some(hasClaims)) return { ready: pending, refused: [] };
  const ready: Pod[] = [];
  const refused: { pod: Pod; message: string }[] = [];
  for (const pod of pending) {
    const found = needsOf(pod, storage);
    if (typeof found === 'string') refused.push({ pod, message: found });
    else ready.push(found ? remember(pod, found) : pod);
  }
  return { ready, refused };
}

/** Of most pods this is asked in every pass. */
function hasClaims({ spec }: Pod): boolean {
  return spec.volumes?.some(({ persistentVolumeClaim }) => persistentVolumeClaim !== undefined) === true;
}

/** Of a pod that `withVolumes` gave out; undefined when it has no claims. */
export function volumeNeedsOf(pod: Pod): VolumeNeeds | undefined {
  return needs.get(pod);
}

function remember(pod: Pod, found: VolumeNeeds): Pod {
  needs.set(pod, found);
  return pod;
}

/** Undefined: the pod has no claims. A sentence: it must wait. */
function needsOf(pod: Pod, storage: Storage): VolumeNeeds | string | undefined {
  if (!hasClaims(pod)) return undefined;
  const volumes: PersistentVolume[] = [];
  const bound: PersistentVolumeClaim[] = [];
  const open: OpenClaim[] = [];
  for (const name of claimNamesOf(pod.spec)) {
    const claim = storage.get('PersistentVolumeClaim', pod.metadata.namespace, name);
    if (!claim) return `persistentvolumeclaim "${name}" not found; create it`;
    if (isDeleting(claim)) return `persistentvolumeclaim "${name}" is being deleted; create it again when it is gone`;
    const found = volumeOf(claim, storage);
    if (typeof found === 'string') return found;
    if ('open' in found) {
      open.push(found.open);
      continue;
    }
    volumes.push(found.volume);
    bound.push(claim);
  }
  return { volumes, bound, open };
}

type Found = { readonly volume: PersistentVolume } | { readonly open: OpenClaim };

function volumeOf(given: PersistentVolumeClaim, storage: Storage): Found | string {
  const claim = withClass(given, storage);
  const { name } = claim.metadata;
  const { volumeName, storageClassName } = claim.spec;
  if (volumeName !== undefined) {
    const volume = storage.get('PersistentVolume', undefined, volumeName);
    if (volume && isBoundTo(volume, claim)) return { volume };
    const wasBound = claim.status?.phase === 'Lost' || claim.status?.phase === 'Bound';
    if (!volume && wasBound)
      return `persistentvolumeclaim "${name}" has lost its volume ${volumeName}; delete the claim`;
    return unbound(name);
  }
  const storageClass = storageClassName ? storage.get('StorageClass', undefined, storageClassName) : undefined;
  if (storageClass?.volumeBindingMode !== 'WaitForFirstConsumer') return unbound(name);
  if (storageClass.provisioner === localProvisioner) return { open: { claim, storageClass } };
  return { open: { claim, storageClass, candidates: suitableVolumes(claim, storage.list('PersistentVolume')) } };
}

/** A claim that names no class has the default one; nobody has to have written that yet. */
function withClass(claim: PersistentVolumeClaim, storage: Storage): PersistentVolumeClaim {
  if (claim.spec.storageClassName !== undefined || claim.spec.volumeName !== undefined) return claim;
  const chosen = defaultClassOf(storage.list('StorageClass'));
  return chosen ? { ...claim, spec: { ...claim.spec, storageClassName: chosen.metadata.name } } : claim;
}

function unbound(name: string): string {
  return `pod has unbound immediate PersistentVolumeClaims: ${name}; see ctl describe pvc ${name}`;
}

export const affinityConflict = 'node(s) had volume node affinity conflict';
export const noVolumeThere = "node(s) didn't find available persistent volumes to bind";

/** A volume as far as nodes go. */
interface Term {
  readonly name: string;
  readonly required: NodeSelector | undefined;
}

export interface VolumeTerms {
  readonly volumes: readonly (NodeSelector | undefined)[];
  /** For each claim that needs a volume that is there: those that it could have, the best first. */
  readonly open: readonly (readonly Term[])[];
}

/** All that a node's answer depends on; plain data. */
export function volumeTerms(pod: Pod): VolumeTerms | null {
  const found = needs.get(pod);
  if (!found) return null;
  return {
    volumes: found.volumes.map(({ spec }) => spec.nodeAffinity?.required),
    open: found.open.filter(({ candidates }) => candidates).map(({ candidates = [] }) => candidates.map(termOf)),
  };
}

const termOf = ({ metadata, spec }: PersistentVolume): Term => ({
  name: metadata.name,
  required: spec.nodeAffinity?.required,
});

/** Why the pod's volumes keep it from a node; undefined when they keep it from none. */
export function volumeCheck(pod: Pod): ((node: Node) => string | undefined) | undefined {
  const terms = volumeTerms(pod);
  if (!terms) return undefined;
  return (node) => {
    if (terms.volumes.some((required) => !isUsableOn(required, node))) return affinityConflict;
    return choicesOn(terms.open, node) ? undefined : noVolumeThere;
  };
}

/** A volume for each claim, none twice; undefined when there are not enough. */
function choicesOn(open: VolumeTerms['open'], node: Node): readonly string[] | undefined {
  const chosen: string[] = [];
  for (const candidates of open) {
    const best = candidates.find(({ name, required }) => !chosen.includes(name) && isUsableOn(required, node));
    if (!best) return undefined;
    chosen.push(best.name);
  }
  return chosen;
}

export interface VolumeBinding {
  /** With what its claims stand for. */
  readonly pod: Pod;
  /** Of volumes and claims that are bound together with the pod. */
  readonly compare: readonly Compare[];
  readonly success: readonly Operation[];
}

/** Undefined: the pod has no claims. Of a pod that has passed the filter for this node. */
export function volumeBinding(pod: Pod, node: Node, nowMs: number, uuid: () => string): VolumeBinding | undefined {
  const found = needs.get(pod);
  if (!found) return undefined;
  const chosen = [...(choicesOn(volumeTerms(pod)?.open ?? [], node) ?? [])];
  const compare: Compare[] = found.bound.map((claim) => modRevisionIs(keyOf(claim), revisionOf(claim)));
  const success: Operation[] = [];
  const volumes = [...found.volumes];
  for (const { claim, candidates, storageClass } of found.open) {
    const name = candidates && chosen.shift();
    const there = candidates?.find(({ metadata }) => metadata.name === name);
    const volume = there ?? newVolume(claim, storageClass, node, { nowMs, uid: uuid() });
    const sides = bound(volume, claim);
    const [volumeKey, claimKey] = [keyOf(volume), keyOf(claim)];
    compare.push(there ? modRevisionIs(volumeKey, revisionOf(there)) : absent(volumeKey));
    compare.push(modRevisionIs(claimKey, revisionOf(claim)));
    success.push(putOf(volumeKey, encodeObject(sides.volume)), putOf(claimKey, encodeObject(sides.claim)));
    volumes.push(sides.volume);
  }
  return { pod: withBoundVolumes(pod, volumes), compare, success };
}

/** Its directory is made by the agent, when the first pod with it starts there. */
function newVolume(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  node: Node,
  { nowMs, uid }: { readonly nowMs: number; readonly uid: string },
): PersistentVolume {
  const name = `pvc-${claim.metadata.uid}`;
  const hostname = node.metadata.labels?.[hostnameLabel] ?? node.metadata.name;
  const requirement = { key: hostnameLabel, operator: 'In' as const, values: [hostname] };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name,
      uid,
      generation: 1,
      creationTimestamp: timestamp(nowMs),
      annotations: { [provisionedByAnnotation]: localProvisioner },
      finalizers: [volumeProtection],
    },
    spec: {
      capacity: { storage: claim.spec.resources.requests?.storage ?? '0' },
      local: { path: `volumes/${name}` },
      accessModes: [...claim.spec.accessModes],
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass.metadata.name,
      volumeMode: 'Filesystem',
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [requirement] }] } },
    },
  };
}

function withBoundVolumes(pod: Pod, volumes: readonly PersistentVolume[]): Pod {
  const byClaim = new Map(volumes.map((volume) => [volume.spec.claimRef?.name, volume]));
  const own = (pod.spec.volumes ?? []).map((volume) => {
    const { persistentVolumeClaim: claim } = volume;
    const found = claim && byClaim.get(claim.claimName);
    return found ? { ...volume, persistentVolumeClaim: { ...claim, bound: boundVolume(found) } } : volume;
  });
  return { ...pod, spec: { ...pod.spec, volumes: own } };
}

function boundVolume({ metadata, spec }: PersistentVolume): BoundVolume {
  const { local, hostPath } = spec;
  if (hostPath) return { volumeName: metadata.name, path: hostPath.path, pathType: hostPath.type ?? '' };
  const path = local?.path ?? '';
  return { volumeName: metadata.name, path, pathType: path.startsWith('/') ? 'Directory' : 'DirectoryOrCreate' };
}
