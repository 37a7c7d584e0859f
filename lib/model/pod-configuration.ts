/** The ConfigMaps and Secrets behind a pod's volumes and environment. */
import type { Container, Pod, PodSpec, Volume } from '../../proto/gen/types.ts';
import { objectKey } from './keys.ts';
import { fromSharedParts } from './shared-parts.ts';

export type ConfigurationKind = 'ConfigMap' | 'Secret';

export interface ConfigurationReference {
  readonly kind: ConfigurationKind;
  readonly name: string;
  /** Everywhere it is named, the pod can do without. */
  readonly optional: boolean;
}

type Rename = (kind: ConfigurationKind, name: string, optional: boolean) => string;

/** Store keys of the ConfigMaps and Secrets that a pod names, whether they exist or not. */
export function configurationOf({ metadata, spec }: Pod): string[] {
  return referencesOf(spec).map(({ kind, name }) => objectKey(kind, metadata.namespace, name));
}

const referencesOf = fromSharedParts(['initContainers', 'volumes'], configurationReferences);

/** Each once, in the order of the first mention. */
export function configurationReferences(spec: PodSpec): ConfigurationReference[] {
  const found = new Map<string, ConfigurationReference>();
  withConfigurationNames(spec, (kind, name, optional) => {
    const key = `${kind}/${name}`;
    found.set(key, { kind, name, optional: optional && found.get(key)?.optional !== false });
    return name;
  });
  return [...found.values()];
}

/** The spec with other ConfigMaps and Secrets in the places of those that it names. */
export function withConfigurationNames(spec: PodSpec, rename: Rename): PodSpec {
  return {
    ...spec,
    ...(spec.volumes && { volumes: spec.volumes.map((volume) => renamedVolume(volume, rename)) }),
    ...(spec.initContainers && { initContainers: spec.initContainers.map((one) => renamedContainer(one, rename)) }),
    containers: spec.containers.map((one) => renamedContainer(one, rename)),
  };
}

function renamedVolume(volume: Volume, rename: Rename): Volume {
  const { configMap, secret } = volume;
  if (configMap?.name) {
    return { ...volume, configMap: renamed(configMap, 'ConfigMap', rename) };
  }
  if (secret?.secretName) {
    const secretName = rename('Secret', secret.secretName, secret.optional === true);
    return { ...volume, secret: { ...secret, secretName } };
  }
  return volume;
}

function renamedContainer(container: Container, rename: Rename): Container {
  const { env, envFrom } = container;
  return {
    ...container,
    ...(env && {
      env: env.map((variable) => {
        const { configMapKeyRef, secretKeyRef } = variable.valueFrom ?? {};
        if (!configMapKeyRef && !secretKeyRef) return variable;
        const valueFrom = {
          ...variable.valueFrom,
          ...(configMapKeyRef && { configMapKeyRef: renamed(configMapKeyRef, 'ConfigMap', rename) }),
          ...(secretKeyRef && { secretKeyRef: renamed(secretKeyRef, 'Secret', rename) }),
        };
        return { ...variable, valueFrom };
      }),
    }),
    ...(envFrom && {
      envFrom: envFrom.map((source) => ({
        ...source,
        ...(source.configMapRef && { configMapRef: renamed(source.configMapRef, 'ConfigMap', rename) }),
        ...(source.secretRef && { secretRef: renamed(source.secretRef, 'Secret', rename) }),
      })),
    }),
  };
}

function renamed<T extends { readonly name?: string; readonly optional?: boolean }>(
  reference: T,
  kind: ConfigurationKind,
  rename: Rename,
): T {
  return reference.name ? { ...reference, name: rename(kind, reference.name, reference.optional === true) } : reference;
}
