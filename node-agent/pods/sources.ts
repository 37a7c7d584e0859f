/** The ConfigMaps and Secrets a pod names: which are there, which are missing, and when they changed. Pure. */
import type { ConfigMap, Container, Pod, Secret } from '../../proto/gen/types.ts';

/** Reads the node's copy of the cluster. */
export interface SourceReader {
  get(kind: 'ConfigMap', namespace: string | undefined, name: string): ConfigMap | undefined;
  get(kind: 'Secret', namespace: string | undefined, name: string): Secret | undefined;
}

/** The pod's sources at one moment. */
export interface PodSources {
  /** Grows different whenever a volume's source appears, changes or goes. */
  readonly version: string;
  /** Sentences, for volumes: without them no container can start. */
  readonly missingVolumes: readonly string[];
  /** Sentences by container name, for its environment. */
  readonly missingEnv: Readonly<Record<string, string>>;
}

interface Wanted {
  readonly kind: 'ConfigMap' | 'Secret';
  readonly name: string;
  readonly keys: readonly string[];
  readonly optional: boolean;
  /** "volume "conf"" */
  readonly by: string;
}

export function readSources(pod: Pod, reader: SourceReader): PodSources {
  const namespace = pod.metadata.namespace;
  const find = (wanted: Wanted): ConfigMap | Secret | undefined =>
    wanted.kind === 'ConfigMap'
      ? reader.get('ConfigMap', namespace, wanted.name)
      : reader.get('Secret', namespace, wanted.name);
  const missing = (wanted: Wanted): string | undefined => {
    if (wanted.optional) return undefined;
    const source = find(wanted);
    if (!source) {
      return `${wanted.by} names ${wanted.kind} "${wanted.name}", which does not exist in namespace "${namespace}"; create it`;
    }
    const absent = wanted.keys.find((key) => !hasKey(source, key));
    return absent === undefined
      ? undefined
      : `${wanted.by} names key "${absent}" of ${wanted.kind} "${wanted.name}", which has no such key; add it`;
  };

  const volumes = volumeSources(pod);
  const missingEnv: Record<string, string> = {};
  for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    const sentence = envSources(container).map(missing).find(Boolean);
    if (sentence) missingEnv[container.name] = sentence;
  }
  return {
    version: volumes.map((wanted) => versionOf(wanted, find(wanted))).join(' '),
    missingVolumes: volumes.map(missing).filter((sentence) => sentence !== undefined),
    missingEnv,
  };
}

function versionOf(wanted: Wanted, source: ConfigMap | Secret | undefined): string {
  return `${wanted.kind}/${wanted.name}@${source ? `${source.metadata.uid}:${source.metadata.resourceVersion}` : '-'}`;
}

function hasKey(source: ConfigMap | Secret, key: string): boolean {
  if (source.data && Object.hasOwn(source.data, key)) return true;
  return source.kind === 'ConfigMap' && source.binaryData !== undefined && Object.hasOwn(source.binaryData, key);
}

function volumeSources(pod: Pod): readonly Wanted[] {
  const wanted: Wanted[] = [];
  for (const { name, configMap, secret } of pod.spec.volumes ?? []) {
    const by = `volume "${name}"`;
    if (configMap) {
      const keys = (configMap.items ?? []).map((item) => item.key);
      wanted.push({ kind: 'ConfigMap', name: configMap.name ?? '', keys, optional: configMap.optional === true, by });
    }
    if (secret) {
      const keys = (secret.items ?? []).map((item) => item.key);
      wanted.push({ kind: 'Secret', name: secret.secretName ?? '', keys, optional: secret.optional === true, by });
    }
  }
  return wanted;
}

function envSources(container: Container): readonly Wanted[] {
  const wanted: Wanted[] = [];
  const by = `container "${container.name}"`;
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    const add = (kind: Wanted['kind'], ref: { name: string; optional?: boolean } | undefined): void => {
      if (ref) wanted.push({ kind, name: ref.name, keys: [], optional: ref.optional === true, by });
    };
    add('ConfigMap', configMapRef);
    add('Secret', secretRef);
  }
  for (const { valueFrom } of container.env ?? []) {
    const add = (kind: Wanted['kind'], ref: { name: string; key: string; optional?: boolean } | undefined): void => {
      if (ref) wanted.push({ kind, name: ref.name, keys: [ref.key], optional: ref.optional === true, by });
    };
    add('ConfigMap', valueFrom?.configMapKeyRef);
    add('Secret', valueFrom?.secretKeyRef);
  }
  return wanted;
}
