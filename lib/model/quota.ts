/**
 * ResourceQuotas: what they count, and whether there is room. Pure.
 *
 * `status.used` is raised in the transaction that creates what it counts, which compares the quota's revision: of two
 * creations for the last place one loses and looks again. It falls when the resource quota controller counts anew.
 */
import type { KubeObject, Pod, ResourceQuota, ResourceQuotaStatus } from '../../proto/gen/types.ts';
import { containerAmounts, podAmounts } from './pod-resources.ts';
import { type Amounts, amountsOf, amountsText, amountText } from './resource-amounts.ts';
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
  const resources = Object.keys(hard);
  const sums = resources.map(() => 0);
  for (const kind of kindsCountedBy(quota)) {
    for (const object of objectsOf(kind)) {
      if (!isInScope(quota, object)) continue;
      const usage = usageOf(object, nowMs);
      for (const [index, resource] of resources.entries()) sums[index]! += usage.get(resource) ?? 0;
    }
  }
  return { hard, used: amountsText(new Map(resources.map((resource, index) => [resource, sums[index]!]))) };
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

interface Account {
  readonly quota: ResourceQuota;
  readonly hard: Amounts;
  readonly used: Map<string, number>;
  readonly isCharged: () => boolean;
  charge(more: Amounts): void;
}

/** The quotas of one namespace while objects are admitted to it, one after another, for one transaction. */
export class Allowance {
  readonly #accounts: readonly Account[];
  readonly #nowMs: number;

  /** `objectsOf` is asked only for quotas that nobody has counted for. */
  constructor(quotas: readonly ResourceQuota[], objectsOf: ObjectsOf, nowMs: number) {
    this.#nowMs = nowMs;
    this.#accounts = quotas.map((quota) => accountOf(quota, objectsOf, nowMs));
  }

  /** Takes the object's place in every quota; or in none, and answers which one refuses. `before`: what it replaces. */
  take(object: KubeObject, before?: KubeObject): Refusal | undefined {
    const usage = usageOf(object, this.#nowMs);
    const more = before ? increase(usage, usageOf(before, this.#nowMs)) : usage;
    const concerned = this.#accounts.filter(({ quota }) => isInScope(quota, object));
    for (const account of concerned) {
      const why = (before ? undefined : unspecified(account.quota, object)) ?? exceeded(account, more);
      if (why !== undefined) return { quota: account.quota, message: forbidden(object, why) };
    }
    for (const account of concerned) account.charge(more);
    return undefined;
  }

  /** The quotas as they must be written with what was admitted. */
  charged(): readonly ResourceQuota[] {
    return this.#accounts.flatMap(({ quota, used, isCharged }) => {
      // What the controller counted for last stays, so that it sees a change of the spec.
      const hard = (isCounted(quota) ? quota.status?.hard : undefined) ?? quota.spec.hard ?? {};
      return isCharged() ? [{ ...quota, status: { hard, used: amountsText(used) } }] : [];
    });
  }
}

function accountOf(quota: ResourceQuota, objectsOf: ObjectsOf, nowMs: number): Account {
  const used = amountsOf((isCounted(quota) ? quota.status : countedStatus(quota, objectsOf, nowMs))?.used);
  let charged = false;
  return {
    quota,
    hard: amountsOf(quota.spec.hard),
    used,
    isCharged: () => charged,
    charge(more) {
      for (const [name, amount] of more) {
        const before = used.get(name);
        if (before === undefined || amount === 0) continue;
        used.set(name, before + amount);
        charged = true;
      }
    },
  };
}

/** Where it is one. */
function increase(usage: Amounts, before: Amounts): Amounts {
  return new Map([...usage].map(([name, amount]) => [name, Math.max(0, amount - (before.get(name) ?? 0))]));
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

function exceeded({ quota: { metadata, spec }, hard, used }: Account, more: Amounts): string | undefined {
  const isOver = (name: string, amount: number): boolean =>
    amount > 0 && (used.get(name) ?? 0) + amount > (hard.get(name) ?? Number.POSITIVE_INFINITY);
  const over = [...more].flatMap(([name, amount]) => (isOver(name, amount) ? [name] : [])).sort();
  if (over.length === 0) return undefined;
  const text = (amountOf: (name: string) => string): string =>
    over.map((name) => `${name}=${amountOf(name)}`).join(',');
  const requested = text((name) => amountText(name, more.get(name)!));
  const now = text((name) => amountText(name, used.get(name) ?? 0));
  const limited = text((name) => spec.hard?.[name] ?? '');
  return `exceeded quota: ${metadata.name}, requested: ${requested}, used: ${now}, limited: ${limited}`;
}
