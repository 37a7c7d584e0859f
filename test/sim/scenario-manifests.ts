/**
 * The manifests of scenarios, from words: `apply Deployment web replicas=2 image=web:1`, `apply StatefulSet db
 * fencing=stop-after`, with a volume each `claim=1Gi`, `apply ResourceQuota team pods=2`. Annotations of Gantry's own are written without their prefix.
 */
import type { KubeObject, PersistentVolumeClaimTemplate, PodTemplateSpec } from '../../proto/gen/types.ts';

export function manifest(kind: string, name: string, words: readonly string[]): KubeObject {
  const given = Object.fromEntries(words.map((word) => word.split('='))) as Record<string, string>;
  const { replicas = '1', image = 'web:1', deadline, claim, ...rest } = given;
  if (kind === 'ResourceQuota') {
    return { apiVersion: 'v1', kind, metadata: { name, namespace: 'default' }, spec: { hard: rest } };
  }
  const annotations = Object.fromEntries(Object.entries(rest).map(([key, value]) => [`gantry.dev/${key}`, value]));
  const metadata = { name, namespace: 'default', annotations };
  const labels = { app: name };
  const template: PodTemplateSpec = {
    metadata: { labels },
    spec: { containers: [{ name: 'main', image, resources: { requests: { cpu: '100m', memory: '64Mi' } } }] },
  };
  const spec = { replicas: Number(replicas), selector: { matchLabels: labels }, template };
  const apiVersion = 'apps/v1';
  if (kind === 'StatefulSet') {
    const volumeClaimTemplates = claim === undefined ? [] : [claimTemplate(claim)];
    return { apiVersion, kind, metadata, spec: { ...spec, serviceName: name, volumeClaimTemplates } };
  }
  if (kind !== 'Deployment') throw new Error(`apply ${kind}: a scenario cannot write that yet`);
  const limit = deadline === undefined ? {} : { progressDeadlineSeconds: Number(deadline) };
  return { apiVersion, kind, metadata, spec: { ...spec, ...limit } };
}

const claimTemplate = (storage: string): PersistentVolumeClaimTemplate => ({
  metadata: { name: 'data' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
});
