/** Deployments whose pods follow what is in a ConfigMap and a Secret. */
import { isControlledBy } from '../../../lib/model/object.ts';
import type { Random } from '../../../lib/random.ts';
import type { ConfigMap, Deployment, KubeObject, Pod, PodTemplateSpec, Secret } from '../../../proto/gen/types.ts';
import { appNames, pick, type View } from './workload.ts';

export const followsConfiguration = ({ metadata }: KubeObject): boolean =>
  metadata.annotations?.['gantry.dev/rollout-on-config-change'] === 'true';
export const following = { 'gantry.dev/rollout-on-config-change': 'true' } as const;

/** Content of a volume on a machine, by file. */
export type Content = Readonly<Record<string, string>>;

export interface Reference {
  readonly volume: string;
  readonly kind: 'ConfigMap' | 'Secret';
  readonly name: string;
}

export function withConfiguration(template: PodTemplateSpec, random: Random): PodTemplateSpec {
  const optional = random.next() < 0.7;
  const volumes = [
    { name: 'configuration', configMap: { name: pick(appNames, random), optional } },
    ...(random.next() < 0.5 ? [{ name: 'keys', secret: { secretName: pick(appNames, random), optional } }] : []),
  ];
  return { ...template, spec: { ...template.spec, volumes } };
}

export function referencesOf({ spec }: PodTemplateSpec): readonly Reference[] {
  return (spec.volumes ?? []).flatMap(({ name: volume, configMap, secret }): Reference[] => {
    if (configMap?.name) return [{ volume, kind: 'ConfigMap', name: configMap.name }];
    return secret?.secretName ? [{ volume, kind: 'Secret', name: secret.secretName }] : [];
  });
}

/** As the files of a volume; of what is not there, none. */
export function contentOf(object: ConfigMap | Secret | undefined): Content {
  const { data = {} } = object ?? {};
  if (object?.kind !== 'Secret') return { ...data };
  return Object.fromEntries(
    Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString('utf8')]),
  );
}

/** What is required and not there: the rollout waits for it. */
export function missingReferences({ metadata, spec }: Deployment, view: Pick<View, 'list'>): readonly Reference[] {
  const required = (spec.template.spec.volumes ?? []).filter(
    ({ configMap, secret }) => (configMap ?? secret)?.optional !== true,
  );
  const template: PodTemplateSpec = { ...spec.template, spec: { ...spec.template.spec, volumes: required } };
  return referencesOf(template).filter((one) => !find(one, metadata.namespace, view));
}

/** What its machines show its pods, against what there is now, or (gone back) what there was when the revision was made. */
export function configurationProblem(deployment: Deployment, view: View): string | undefined {
  const { metadata, spec, status } = deployment;
  const sets = view.list('ReplicaSet').filter((set) => isControlledBy(set, deployment));
  const former = sets.find((set) => set.metadata.name === status?.rollback?.revision);
  const { template } = former?.spec ?? spec;
  const pods = view.list('Pod').filter((pod) => sets.some((set) => isControlledBy(pod, set)));
  for (const reference of referencesOf(template)) {
    const wanted = contentOf(find(reference, metadata.namespace, view));
    const stale = pods.find((pod) => !isSame(shown(pod, reference, view), wanted));
    if (!stale) continue;
    const what = `volume ${reference.volume} of pod ${stale.metadata.name}`;
    return `${what} holds ${JSON.stringify(shown(stale, reference, view))}, and not ${JSON.stringify(wanted)}`;
  }
  return undefined;
}

const shown = (pod: Pod, { volume }: Reference, view: View): Content | undefined =>
  view.volume(pod.spec.nodeName ?? '', pod.metadata.uid ?? '', volume);

function find(
  { kind, name }: Reference,
  namespace: string | undefined,
  view: Pick<View, 'list'>,
): ConfigMap | Secret | undefined {
  const all: readonly (ConfigMap | Secret)[] = view.list(kind);
  return all.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
}

export function isSame(a: Content | undefined, b: Content): boolean {
  const text = (content: Content): string =>
    JSON.stringify(Object.entries(content).sort(([x], [y]) => (x < y ? -1 : 1)));
  return a !== undefined && text(a) === text(b);
}
