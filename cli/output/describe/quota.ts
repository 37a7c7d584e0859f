/** `ctl describe quota` and `limits`, as kubectl lays them out. Pure. */
import { excessOf } from '../../../lib/model/quota.ts';
import type { LimitRange, LimitRangeItem, ResourceQuota } from '../../../proto/gen/types.ts';

const scopeTexts: Readonly<Record<string, string>> = {
  Terminating: 'Matches all pods that have an active deadline.',
  NotTerminating: 'Matches all pods that do not have an active deadline.',
  BestEffort: 'Matches all pods whose containers have no requests and no limits.',
  NotBestEffort: 'Matches all pods that have at least one request or limit.',
};

export function resourceQuotaLines(quota: ResourceQuota): string[] {
  const { metadata, spec, status } = quota;
  const scopes = [...(spec.scopes ?? [])].sort();
  const excess = excessOf(quota);
  return [
    `Name:\t${metadata.name}`,
    `Namespace:\t${metadata.namespace ?? ''}`,
    ...(scopes.length > 0 ? [`Scopes:\t${scopes.join(', ')}`] : []),
    ...scopes.map((scope) => ` * ${scopeTexts[scope] ?? ''}`),
    'Resource\tUsed\tHard',
    '--------\t----\t----',
    ...Object.entries(spec.hard ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([resource, hard]) => `${resource}\t${status?.used?.[resource] ?? '<unknown>'}\t${hard}`),
    ...(excess.length > 0 ? [`Exceeded:\t${excess.join(', ')}; nothing is deleted, nothing more is admitted`] : []),
  ];
}

export function limitRangeLines({ metadata, spec }: LimitRange): string[] {
  const header = ['Type', 'Resource', 'Min', 'Max', 'Default Request', 'Default Limit', 'Max Limit/Request Ratio'];
  return [
    `Name:\t${metadata.name}`,
    `Namespace:\t${metadata.namespace ?? ''}`,
    header.join('\t'),
    header.map((word) => '-'.repeat(word.length)).join('\t'),
    ...(spec.limits ?? []).flatMap(itemLines),
  ];
}

function itemLines({ type, min, max, defaultRequest, maxLimitRequestRatio, default: limit }: LimitRangeItem): string[] {
  const lists = [min, max, defaultRequest, limit, maxLimitRequestRatio];
  const resources = new Set(lists.flatMap((list) => Object.keys(list ?? {})));
  return [...resources].map((resource) => {
    const cells = lists.map((list) => list?.[resource] ?? '-');
    return [type, resource, ...cells].join('\t');
  });
}
