/** What each of a pod's volumes must hold, and how containers see it. Pure; pod-files-disk.ts makes it so. */
import { GantryError } from '../../lib/errors.ts';
import { wholeUnits } from '../../lib/model/quantity.ts';
import { holdsUnknown } from '../../lib/model/unknown.ts';
import type {
  Container,
  KeyToPath,
  PersistentVolumeClaimVolumeSource,
  Pod,
  Volume,
  VolumeMount,
} from '../../proto/gen/types.ts';
import type { SourceReader } from './sources.ts';

export type VolumePlan =
  | { readonly type: 'emptyDir'; readonly name: string; readonly memory: boolean; readonly sizeBytes?: number }
  /** A ConfigMap's or Secret's keys as files, switched over all at once when they change. */
  | { readonly type: 'files'; readonly name: string; readonly secret: boolean; readonly files: readonly VolumeFile[] }
  | {
      readonly type: 'hostPath';
      readonly name: string;
      readonly path: string;
      readonly pathType: string;
      readonly readOnly?: boolean;
    }
  /** Of a claim: a directory below the data directory that outlives the pod. */
  | { readonly type: 'persistent'; readonly name: string; readonly path: string; readonly readOnly: boolean };

export interface VolumeFile {
  /** Relative to the volume, no `..`. */
  readonly path: string;
  readonly data: Uint8Array;
  readonly mode: number;
}

/** Whose the files are, in host ids. */
export interface VolumeOwner {
  readonly uid: number;
  readonly gid: number;
  /** spec.securityContext.fsGroup: the group may do what the owner may. */
  readonly groupShared: boolean;
}

const defaultMode = 0o644;

/** One plan per volume, in order. Throws invalidArgument when an item's path leads out of its volume. */
export function planVolumes(pod: Pod, sources: SourceReader): readonly VolumePlan[] {
  return (pod.spec.volumes ?? []).map((volume) => planVolume(volume, pod.metadata.namespace, sources));
}

function planVolume(volume: Volume, namespace: string | undefined, sources: SourceReader): VolumePlan {
  const { name, emptyDir, configMap, secret, hostPath, persistentVolumeClaim } = volume;
  if (persistentVolumeClaim) return planClaim(name, persistentVolumeClaim);
  if (hostPath) return { type: 'hostPath', name, path: hostPath.path, pathType: hostPath.type ?? '' };
  if (configMap) {
    const source = sources.get('ConfigMap', namespace, configMap.name ?? '');
    const data = new Map<string, Uint8Array>();
    for (const [key, text] of Object.entries(source?.data ?? {})) data.set(key, Buffer.from(text, 'utf8'));
    for (const [key, text] of Object.entries(source?.binaryData ?? {})) data.set(key, Buffer.from(text, 'base64'));
    const files = project(name, data, configMap.items, configMap.defaultMode, configMap.optional === true);
    return { type: 'files', name, secret: false, files };
  }
  if (secret) {
    const source = sources.get('Secret', namespace, secret.secretName ?? '');
    const data = new Map<string, Uint8Array>();
    for (const [key, text] of Object.entries(source?.data ?? {})) data.set(key, Buffer.from(text, 'base64'));
    const files = project(name, data, secret.items, secret.defaultMode, secret.optional === true);
    return { type: 'files', name, secret: true, files };
  }
  // In a folder of its own the pod would lose what it was to keep.
  if (!emptyDir && holdsUnknown(volume)) {
    const message = `volume ${name} is of a kind that this agent, of an older version, does not know; upgrade it`;
    throw new GantryError('failedPrecondition', message);
  }
  const sizeLimit = emptyDir?.sizeLimit;
  return {
    type: 'emptyDir',
    name,
    memory: emptyDir?.medium === 'Memory',
    ...(sizeLimit !== undefined && { sizeBytes: wholeUnits(sizeLimit) }),
  };
}

function planClaim(
  name: string,
  { claimName, readOnly = false, bound }: PersistentVolumeClaimVolumeSource,
): VolumePlan {
  if (!bound) {
    const message = `volume ${name}: claim ${claimName} stood for no volume when the pod was bound; delete the pod`;
    throw new GantryError('failedPrecondition', message);
  }
  const { path, pathType = '' } = bound;
  if (path.startsWith('/')) return { type: 'hostPath', name, path, pathType, readOnly };
  requireVolumePath(path);
  return { type: 'persistent', name, path, readOnly };
}

/** Of the volumes that agents make and remove: nothing else is ever removed. */
export function requireVolumePath(path: string): void {
  if (/^volumes\/pvc-[0-9a-f-]{8,64}$/.test(path)) return;
  throw new GantryError('invalidArgument', `${JSON.stringify(path)} is not the directory of a volume of this agent`);
}

function project(
  volume: string,
  data: ReadonlyMap<string, Uint8Array>,
  items: readonly KeyToPath[] | undefined,
  mode: number | undefined,
  optional: boolean,
): readonly VolumeFile[] {
  const wanted = items ?? [...data.keys()].sort().map((key): KeyToPath => ({ key, path: key }));
  const files: VolumeFile[] = [];
  for (const item of wanted) {
    const bytes = data.get(item.key);
    if (!bytes) {
      if (optional) continue;
      throw new GantryError('invalidArgument', `volume "${volume}": its source has no key "${item.key}"; add it`);
    }
    requireInside(item.path, `volume "${volume}", item "${item.key}"`);
    files.push({ path: item.path, data: bytes, mode: item.mode ?? mode ?? defaultMode });
  }
  return files;
}

/** Refuses paths that lead out of where they are used. */
export function requireInside(path: string, what: string): void {
  if (path === '' || path.startsWith('/') || path.split('/').includes('..')) {
    throw new GantryError('invalidArgument', `${what}: path "${path}" must be relative and without ".."`);
  }
}

export function volumeOwner(pod: Pod, hostIdStart: number | undefined): VolumeOwner {
  const base = hostIdStart ?? 0;
  const fsGroup = pod.spec.securityContext?.fsGroup;
  return { uid: base, gid: base + (fsGroup ?? 0), groupShared: fsGroup !== undefined };
}

/** The container's mounts with their volumes, parents before what is mounted inside them. */
export function plannedMounts(
  container: Container,
  plans: readonly VolumePlan[],
): readonly { readonly mount: VolumeMount; readonly plan: VolumePlan }[] {
  const mounts = (container.volumeMounts ?? []).map((mount) => {
    const plan = plans.find(({ name }) => name === mount.name);
    if (!plan) {
      const message = `container "${container.name}" mounts volume "${mount.name}", which spec.volumes does not have`;
      throw new GantryError('invalidArgument', message);
    }
    if (mount.subPath) requireInside(mount.subPath, `container "${container.name}", mount "${mount.mountPath}"`);
    return { mount, plan };
  });
  return mounts.sort((a, b) => (a.mount.mountPath < b.mount.mountPath ? -1 : 1));
}
