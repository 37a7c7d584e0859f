/** The sentences about pods that a workload made and deleted. Pure. */
import type { KubeObject } from '../../proto/gen/types.ts';
import type { Change, ReconcileResult } from '../state/snapshot.ts';

type Events = NonNullable<ReconcileResult['events']>;
const namesShown = 5;

/** Of those that were deleted. */
export function podEvents(about: KubeObject, changes: readonly Change[]): Events {
  const deleted = changes.filter(({ type, object }) => type === 'delete' && object.kind === 'Pod');
  return event(
    about,
    'SuccessfulDelete',
    'Deleted',
    deleted.map(({ object }) => object),
  );
}

/** Of those that were made, by the names that they have got. */
export function podsCreated(about: KubeObject): NonNullable<ReconcileResult['createdEvents']> {
  return (created) =>
    event(
      about,
      'SuccessfulCreate',
      'Created',
      created.filter(({ kind }) => kind === 'Pod'),
    );
}

function event(about: KubeObject, reason: string, done: string, pods: readonly KubeObject[]): Events {
  if (pods.length === 0) return [];
  const names = pods.slice(0, namesShown).map(({ metadata }) => metadata.name);
  const more = pods.length > namesShown ? ` and ${pods.length - namesShown} more` : '';
  const count = pods.length === 1 ? 'pod:' : `${pods.length} pods:`;
  return [{ type: 'Normal', reason, message: `${done} ${count} ${names.join(', ')}${more}`, about }];
}
