/** ResourceQuota and LimitRange. */
import type { LimitRange, LimitRangeItem, ResourceQuota } from '../../../proto/gen/types.ts';
import { sameValue } from '../equal.ts';
import { computeResources } from '../pod-resources.ts';
import { at, atKey } from '../problems.ts';
import { parseQuantity } from '../quantity.ts';
import { suggest } from '../suggest.ts';
import { countNameLike, isCompute, kindCountedIn, plainResources } from '../usage.ts';
import { checkUnique, type Report } from './checks.ts';

export function checkResourceQuota({ spec }: ResourceQuota, old: ResourceQuota | undefined, report: Report): void {
  if (!spec) return;
  const scopes: readonly string[] = spec.scopes ?? [];
  for (const [resource, text] of Object.entries(spec.hard ?? {})) {
    const here = atKey('spec.hard', resource);
    report(here, resourceProblem(resource) ?? scopedProblem(resource, scopes) ?? amountProblem(resource, text));
  }
  checkUnique(scopes, 'spec.scopes', (scope) => scope, 'scope', report);
  for (const [scope, other] of [
    ['Terminating', 'NotTerminating'],
    ['BestEffort', 'NotBestEffort'],
  ] as const) {
    if (scopes.includes(scope) && scopes.includes(other)) {
      report('spec.scopes', `no pod is ${scope} and ${other}; keep one of them`);
    }
  }
  if (old && !sameValue([...scopes].sort(), [...(old.spec.scopes ?? [])].sort())) {
    report('spec.scopes', 'never change; delete the quota and create it again');
  }
}

function resourceProblem(resource: string): string | undefined {
  if (kindCountedIn(resource)) return undefined;
  if (resource === 'services.loadbalancers') return 'Gantry has no load balancers, so that there is nothing to count';
  if (resource === 'count/events') return 'events are written and removed by the system; remove it';
  const near = resource.startsWith('count/') ? countNameLike(resource) : suggest(resource, plainResources);
  if (near !== undefined) return `Gantry does not count this; did you mean ${near}?`;
  return `Gantry does not count this; use one of ${plainResources.join(', ')}, or count/PLURAL.GROUP, such as count/jobs.batch`;
}

function scopedProblem(resource: string, scopes: readonly string[]): string | undefined {
  if (scopes.length === 0) return undefined;
  if (kindCountedIn(resource) !== 'Pod')
    return `cannot be counted by scope (${scopes.join(', ')}): only pods have scopes`;
  if (!scopes.includes('BestEffort') || !isCompute(resource)) return undefined;
  return 'pods of the scope BestEffort request nothing; count pods instead';
}

function amountProblem(resource: string, text: string): string | undefined {
  const amount = typeof text === 'string' ? parseQuantity(text) : undefined;
  if (amount === undefined) return undefined; // the schema has said so
  if (amount < 0) return `${text} is negative; use 0 to allow none`;
  return isCompute(resource) || resource === 'requests.storage' || Number.isInteger(amount)
    ? undefined
    : `${text} is not a whole number`;
}

type List = 'min' | 'defaultRequest' | 'default' | 'max';

export function checkLimitRange({ spec }: LimitRange, report: Report): void {
  checkUnique(spec?.limits, 'spec.limits', ({ type }) => type, 'type', report);
  for (const [index, item] of (spec?.limits ?? []).entries()) checkItem(item, at('spec.limits', index), report);
}

function checkItem(item: LimitRangeItem, path: string, report: Report): void {
  for (const list of ['min', 'max', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const) {
    for (const [name, text] of Object.entries(item[list] ?? {})) {
      const here = atKey(at(path, list), name);
      const known: readonly string[] = item.type === 'PersistentVolumeClaim' ? ['storage'] : computeResources;
      if (!known.includes(name)) report(here, `there are limits for ${known.join(', ')} only`);
      if ((parseQuantity(String(text)) ?? 0) < 0) report(here, `${text} is negative`);
    }
  }
  if (item.type !== 'Container') {
    for (const list of ['default', 'defaultRequest'] as const) {
      if (item[list]) report(at(path, list), 'only containers have defaults; use an item of type Container');
    }
  }
  if (item.type === 'PersistentVolumeClaim' && item.maxLimitRequestRatio) {
    report(at(path, 'maxLimitRequestRatio'), 'claims have no limits; remove it');
  }
  const pairs: readonly (readonly [List, List])[] = [
    ['min', 'max'],
    ['min', 'defaultRequest'],
    ['min', 'default'],
    ['defaultRequest', 'default'],
    ['defaultRequest', 'max'],
    ['default', 'max'],
  ];
  for (const [less, more] of pairs) checkOrder(item, less, more, path, report);
  checkRatio(item, path, report);
}

function checkOrder(item: LimitRangeItem, less: List, more: List, path: string, report: Report): void {
  for (const [name, text] of Object.entries(item[less] ?? {})) {
    const bound = item[more]?.[name];
    if (bound === undefined || (parseQuantity(text) ?? 0) <= (parseQuantity(bound) ?? Infinity)) continue;
    report(atKey(at(path, less), name), `${text} is more than ${more} (${bound}); lower it or raise that`);
  }
}

function checkRatio({ maxLimitRequestRatio, min, max }: LimitRangeItem, path: string, report: Report): void {
  for (const [name, text] of Object.entries(maxLimitRequestRatio ?? {})) {
    const here = atKey(at(path, 'maxLimitRequestRatio'), name);
    const ratio = parseQuantity(text) ?? 1;
    if (ratio < 1) report(here, `${text} is less than 1; a limit is never less than the request`);
    const [least, most] = [parseQuantity(min?.[name] ?? ''), parseQuantity(max?.[name] ?? '')];
    if (least && most !== undefined && ratio > most / least) {
      report(
        here,
        `${text} can never be reached with min ${min![name]} and max ${max![name]}; use at most ${most / least}`,
      );
    }
  }
}
