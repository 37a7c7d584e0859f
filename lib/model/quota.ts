/**
 * ResourceQuotas: what they count, and whether there is room. Pure.
 *
 * `status.used` is raised in the transaction that creates what it counts, which compares the quota's revision: of two
 * creations for the last place one loses and looks again. It falls when the resource quota controller counts anew.
 */
import type { KubeObject, Pod, ResourceQuota, ResourceQuotaStatus } from '../../proto/gen/types.ts';
import { containerAmounts, podAmounts } from './pod-resources.ts';
import { amountsOf, amountsText, amountText } from './resource-amounts.ts';
import { type Kind, kindInfo } from './schema.ts';
import { computeName, isCompute, kindCountedIn, usageOf } from './usage.ts';

/** The objects of a kind in the quota's namespace. */
export type ObjectsOf = (kind: Kind) => readonly KubeObject[];

const scopeTests: Readonly<Record<string, (pod: Pod) => boolean>> = {
  Terminating: ({ spec }) => spec.activeDeadlineSeconds !== undefined,
  NotTerminating: ({ spec }) => spec.activeDeadlineSeconds === undefined,
  BestEffort: (pod) => isBestEffort(pod),
  NotBestEffort: (pod) => !isBestEffort(pod),
};

function isBestEffort({ spec }: Pod): boolean {
  const { requests, limits } = podAmounts(spec);
  return !['cpu', 'memory'].some((name) => requests.has(name) || limits.has(name));
}

/** Whether the quota is about this object at all. */
export function isInScope({ spec }: ResourceQuota, object: KubeObject): boolean {
  const scopes = spec.scopes ?? [];
  return scopes.length === 0 || (object.kind === 'Pod' && scopes.every((scope) => scopeTests[scope]!(object)));
}

export function kindsCountedBy({ spec }: ResourceQuota): readonly Kind[] {
  return [...new Set(Object.keys(spec.hard ?? {}).flatMap((resource) => kindCountedIn(resource) ?? []))];
}

/** What is there, by each resource of the quota. */
export function countedStatus(quota: ResourceQuota, objectsOf: ObjectsOf, nowMs: number): ResourceQuotaStatus {
  const hard = quota.spec.hard ?? {};
  const used = new Map(Object.keys(hard).map((resource) => [resource, 0]));
  for (const object of kindsCountedBy(quota).flatMap(objectsOf)) {
    if (isInScope(quota, object)) for (const [name, amount] of usageOf(object, nowMs)) raise(used, name, amount);
  }
  return { hard, used: amountsText(used) };
}

function raise(used: Map<string, number>, resource: string, amount: number): void {
  const before = used.get(resource);
  if (before !== undefined) used.set(resource, before + amount);
}

/** False: its spec was changed, and nobody has counted since. */
export function isCounted({ spec, status }: ResourceQuota): boolean {
  return Object.keys(spec.hard ?? {}).every((resource) => status?.used?.[resource] !== undefined);
}

/** Resources of which more is used than there should be: `pods=5 of 3`. */
export function excessOf({ spec, status }: ResourceQuota): readonly string[] {
  const used = amountsOf(status?.used);
  return [...amountsOf(spec.hard)].flatMap(([name, most]) => {
    const now = used.get(name) ?? 0;
    return now > most ? [`${name}=${amountText(name, now)} of ${spec.hard![name]}`] : [];
  });
}

/** Whether something may fit now that did not before. */
export function hasMoreRoom(now: ResourceQuota, before: ResourceQuota): boolean {
  const [hard, used] = [amountsOf(now.spec.hard), amountsOf(now.status?.used)];
  const [oldHard, oldUsed] = [amountsOf(before.spec.hard), amountsOf(before.status?.used)];
  return [...oldHard].some(([name, most]) => {
    return (hard.get(name) ?? Infinity) > most || (used.get(name) ?? 0) < (oldUsed.get(name) ?? Infinity);
  });
}

/** `pods "web-1" is forbidden: why`, as Kubernetes says it. */
export function forbidden({ kind, metadata }: KubeObject, why: string): string {
  return `${kindInfo(kind).plural} ${JSON.stringify(metadata.name || (metadata.generateName ?? ''))} is forbidden: ${why}`;
}

export interface Refusal {
  readonly quota: ResourceQuota;
  /** As Kubernetes words it. */
  readonly message: string;
}

/** The quotas of one namespace while objects are admitted to it, one after another, for one transaction. */
export class Allowance {
  readonly #quotas: readonly { readonly quota: ResourceQuota; readonly used: Map<string, number> }[];
  readonly #charged = new Set<ResourceQuota>();
  readonly #nowMs: number;

  /** `objectsOf` is asked only for quotas that nobody has counted for. */
  constructor(quotas: readonly ResourceQuota[], objectsOf: ObjectsOf, nowMs: number) {
    this.#nowMs = nowMs;
    this.#quotas = quotas.map((quota) => ({
      quota,
      used: amountsOf((isCounted(quota) ? quota.status : countedStatus(quota, objectsOf, nowMs))?.used),
    }));
  }

  /** Takes the object's place in every quota; or in none, and answers which one refuses. `before`: what it replaces. */
  take(object: KubeObject, before?: KubeObject): Refusal | undefined {
    const usage = usageOf(object, this.#nowMs);
    const held = before && usageOf(before, this.#nowMs);
    const more = new Map([...usage].map(([name, amount]) => [name, amount - (held?.get(name) ?? 0)]));
    for (const [name, amount] of more) if (amount <= 0) more.delete(name);
    const concerned = this.#quotas.filter(({ quota }) => isInScope(quota, object));
    for (const { quota, used } of concerned) {
      const why = (before ? undefined : unspecified(quota, object)) ?? exceeded(quota, used, more);
      if (why !== undefined) return { quota, message: forbidden(object, why) };
    }
    for (const { quota, used } of concerned) {
      for (const [name, amount] of more) raise(used, name, amount);
      if ([...more.keys()].some((name) => used.has(name))) this.#charged.add(quota);
    }
    return undefined;
  }

  /** The quotas as they must be written with what was admitted. */
  charged(): readonly ResourceQuota[] {
    return this.#quotas.flatMap(({ quota, used }) => {
      // What the controller counted for last stays, so that it sees a change of the spec.
      const hard = (isCounted(quota) ? quota.status?.hard : undefined) ?? quota.spec.hard ?? {};
      const status = { hard, used: amountsText(used) };
      return this.#charged.has(quota) ? [{ ...quota, status }] : [];
    });
  }
}

/** A container that says nothing of a resource could use any amount of it. */
function unspecified({ metadata, spec }: ResourceQuota, object: KubeObject): string | undefined {
  if (object.kind !== 'Pod') return undefined;
  const containers = [...object.spec.containers, ...(object.spec.initContainers ?? [])];
  const missing = Object.keys(spec.hard ?? {})
    .filter(isCompute)
    .sort()
    .flatMap((resource) => {
      const [list, name] = computeName(resource).split('.') as ['requests' | 'limits', string];
      const silent = containers.filter((container) => !containerAmounts(container)[list].has(name));
      return silent.length > 0 ? [`${resource} for: ${silent.map((container) => container.name).join(',')}`] : [];
    });
  if (missing.length === 0) return undefined;
  return `failed quota: ${metadata.name}: must specify ${missing.join('; ')}`;
}

function exceeded(
  { metadata, spec }: ResourceQuota,
  used: ReadonlyMap<string, number>,
  more: ReadonlyMap<string, number>,
): string | undefined {
  const hard = amountsOf(spec.hard);
  const over = [...more.keys()].filter(
    (name) => (used.get(name) ?? 0) + more.get(name)! > (hard.get(name) ?? Infinity),
  );
  if (over.length === 0) return undefined;
  const text = (amountOf: (name: string) => string): string =>
    over
      .sort()
      .map((name) => `${name}=${amountOf(name)}`)
      .join(',');
  const requested = text((name) => amountText(name, more.get(name)!));
  const now = text((name) => amountText(name, used.get(name) ?? 0));
  const limited = text((name) => spec.hard?.[name] ?? '');
  return `exceeded quota: ${metadata.name}, requested: ${requested}, used: ${now}, limited: ${limited}`;
}
