/** What an object counts for in the ResourceQuotas of its namespace, and by which names. Pure. */
import type { KubeObject, Pod, PodSpec } from '../../proto/gen/types.ts';
import { isDeleting } from './object.ts';
import { computeResources, podAmounts } from './pod-resources.ts';
import { isPodFinished } from './pods.ts';
import { type Amounts, amountIn } from './resource-amounts.ts';
import { findKind, type Kind, type KindInfo, kindInfo, kinds } from './schema.ts';
import { fromSharedParts } from './shared-parts.ts';

/** Kinds with a name of their own beside `count/...`. */
const plainNames = ['pods', 'services', 'configmaps', 'secrets', 'resourcequotas', 'persistentvolumeclaims'];
const nodePorts = 'services.nodeports';
const storage = 'requests.storage';

/** `count/pods`, `count/deployments.apps`. */
function countName({ plural, apiVersion }: KindInfo): string {
  const [group, version] = apiVersion.split('/');
  return version === undefined ? `count/${plural}` : `count/${plural}.${group}`;
}

/** Events are the system's to write and to remove. */
const countable = kinds.filter(({ kind, clusterScoped }) => !clusterScoped && kind !== 'Event');
const kindOfResource = new Map<string, Kind>([
  ...countable.map((info) => [countName(info), info.kind] as const),
  ...plainNames.map((name) => [name, kindInfo(name).kind] as const),
  [nodePorts, 'Service'],
  [storage, 'PersistentVolumeClaim'],
  ...computeResources.flatMap((name) =>
    [name, `requests.${name}`, `limits.${name}`].map((one) => [one, 'Pod'] as const),
  ),
]);

/** The kind that a quota's resource is counted from; undefined when there is no such resource. */
export function kindCountedIn(resource: string): Kind | undefined {
  return kindOfResource.get(resource);
}

export const plainResources: readonly string[] = [...kindOfResource.keys()].filter((name) => !name.includes('/'));

/** The right name for `count/deployment` and the like, when one can be told. */
export function countNameLike(resource: string): string | undefined {
  const [name = ''] = resource.replace(/^count\//, '').split('.');
  const info = findKind(name);
  return info && countable.includes(info) ? countName(info) : undefined;
}

/** `requests.cpu` for `cpu`, which means the same. */
export function computeName(resource: string): string {
  return (computeResources as readonly string[]).includes(resource) ? `requests.${resource}` : resource;
}

const compute = new Set(computeResources.flatMap((name) => [`requests.${name}`, `limits.${name}`]));

/** Whether each container must say it, so that the quota can hold. */
export function isCompute(resource: string): boolean {
  return compute.has(computeName(resource));
}

/** All that an object counts for. */
export function usageOf(object: KubeObject, nowMs: number): Amounts {
  if (object.kind === 'Pod') return usesResources(object, nowMs) ? podUsage(object.spec) : endedPod;
  const info = kindInfo(object.kind);
  const usage = new Map([[countName(info), 1]]);
  if (object.kind === 'Service' && object.spec.type === 'NodePort')
    usage.set(nodePorts, object.spec.ports?.length ?? 0);
  if (object.kind === 'PersistentVolumeClaim') {
    usage.set(storage, amountIn(storage, object.spec.resources.requests?.storage ?? '0'));
  }
  return plainNames.includes(info.plural) ? usage.set(info.plural, 1) : usage;
}

const endedPod: Amounts = new Map([['count/pods', 1]]);
/** A namespace may have very many pods, which are counted again and again. */
const podUsage: (spec: PodSpec) => Amounts = fromSharedParts(['initContainers'], (spec) => {
  const { requests, limits } = podAmounts(spec);
  return new Map([
    ['count/pods', 1],
    ['pods', 1],
    ...[...requests].flatMap(([name, amount]): [string, number][] => [
      [name, amount],
      [`requests.${name}`, amount],
    ]),
    ...[...limits].map(([name, amount]): [string, number] => [`limits.${name}`, amount]),
  ]);
});

function usesResources(pod: Pod, nowMs: number): boolean {
  return !isPodFinished(pod) && nowMs < (usesUntilMs(pod) ?? Number.POSITIVE_INFINITY);
}

/** A pod that was told to go counts until its grace is over, whether its node can still say that it went or not. */
export function usesUntilMs(pod: Pod): number | undefined {
  if (!isDeleting(pod)) return undefined;
  const { deletionTimestamp = '', deletionGracePeriodSeconds = 0 } = pod.metadata;
  return Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1000;
}
