/** The sentences about pods that a workload made and deleted. Pure. */
import type { KubeObject } from '../../proto/gen/types.ts';
import type { Change, ReconcileResult } from '../state/snapshot.ts';

type Events = NonNullable<ReconcileResult['events']>;
const namesShown = 5;

export function podEvents(about: KubeObject, changes: readonly Change[]): Events {
  const of = (type: Change['type']): KubeObject[] =>
    changes.filter((change) => change.type === type && change.object.kind === 'Pod').map(({ object }) => object);
  const [created, deleted] = [of('create'), of('delete')];
  return [
    ...(created.length > 0 ? [event(about, 'SuccessfulCreate', 'Created', created)] : []),
    ...(deleted.length > 0 ? [event(about, 'SuccessfulDelete', 'Deleted', deleted)] : []),
  ];
}

/** Names that are yet to be generated are not told. */
function event(about: KubeObject, reason: string, done: string, pods: readonly KubeObject[]): Events[number] {
  const names = pods.map(({ metadata }) => metadata.name).filter(Boolean);
  const told = names.length > 0 && names.length <= namesShown ? `: ${names.join(', ')}` : '';
  const count = pods.length === 1 ? '1 pod' : `${pods.length} pods`;
  return { type: 'Normal', reason, message: `${done} ${count}${told}`, about };
}
