/** The ConfigMaps and Secrets behind a pod's volumes and environment. */
import type { Container, Pod } from '../../proto/gen/types.ts';
import { objectKey } from './keys.ts';

/** Store keys of the ConfigMaps and Secrets that a pod names, whether they exist or not. */
export function configurationOf({ metadata, spec }: Pod): string[] {
  const configMaps: (string | undefined)[] = [];
  const secrets: (string | undefined)[] = [];
  for (const volume of spec.volumes ?? []) {
    configMaps.push(volume.configMap?.name);
    secrets.push(volume.secret?.secretName);
  }
  const containers: Container[] = [...(spec.initContainers ?? []), ...spec.containers];
  for (const { env = [], envFrom = [] } of containers) {
    configMaps.push(...env.map(({ valueFrom }) => valueFrom?.configMapKeyRef?.name));
    configMaps.push(...envFrom.map(({ configMapRef }) => configMapRef?.name));
    secrets.push(...env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name));
    secrets.push(...envFrom.map(({ secretRef }) => secretRef?.name));
  }
  const keys = (kind: 'ConfigMap' | 'Secret', names: (string | undefined)[]): string[] =>
    names.flatMap((name) => (name ? [objectKey(kind, metadata.namespace, name)] : []));
  return [...keys('ConfigMap', configMaps), ...keys('Secret', secrets)];
}
