/** Looks at every pod that is made: whether it still fitted into the quotas of its namespace, by the pods themselves. */
import type { Pod } from '../../proto/gen/types.ts';
import type { Change, Report, StoreChecker } from './store-checker.ts';

export function checkQuotas(store: StoreChecker, changes: readonly Change[], report: Report): void {
  const made = changes.filter(({ object, previous }) => object?.kind === 'Pod' && !previous);
  const namespaces = new Set(made.map(({ object }) => object!.metadata.namespace));
  if (namespaces.size === 0) return;
  for (const { metadata, spec } of store.list('ResourceQuota')) {
    const { namespace, name } = metadata;
    const most = spec.hard?.pods;
    if (most === undefined || !namespaces.has(namespace)) continue;
    const living = store.list('Pod').filter((pod) => pod.metadata.namespace === namespace && isLiving(pod)).length;
    if (living > Number(most)) report('quotas', `${living} pods live in ${namespace}, of which ${name} allows ${most}`);
  }
}

/** Those that end count for a while, by a clock that may be wrong: they are nobody's proof. */
function isLiving({ metadata, status }: Pod): boolean {
  return metadata.deletionTimestamp === undefined && status?.phase !== 'Succeeded' && status?.phase !== 'Failed';
}
