/** Says that a workload runs on with a copy of what somebody has deleted: it would else be noticed at its next change. Pure. */
import type { ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import type { ConfiguredTemplate, Workload } from './copies.ts';

export const configurationMissing = 'ConfigurationMissing';

/** Once as far as Events know, which is an hour: a workload's turn comes whenever one of its pods changes. */
export function originalGone(
  snapshot: Snapshot,
  about: Workload,
  { absent }: ConfiguredTemplate,
): NonNullable<ReconcileResult['events']> {
  if (absent === undefined) return [];
  const message = `${absent} not found: pods run on with a copy of the content; changes of the template, ctl rollout restart among them, wait until it is there again`;
  const { namespace, uid } = about.metadata;
  const isTold = snapshot
    .list('Event', namespace)
    .some((event) => event.involvedObject?.uid === uid && event.message === message);
  return isTold ? [] : [{ type: 'Warning', reason: configurationMissing, message, about }];
}
