/**
 * Questions to the scheduler, for the API. Any replica answers them from its mirror with the filters of production;
 * nothing is written.
 */
import { GantryError } from '../../lib/errors.ts';
import type { Handlers } from '../../lib/rpc/server.ts';
import type { ExplainPendingResponse, Pod } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';
import { nodeInfos } from './node-info.ts';
import { explain, isPending, verdicts } from './schedule.ts';

export interface SchedulingQuestions {
  readonly state: Snapshot;
}

export function schedulingHandlers({ state }: SchedulingQuestions): Pick<Handlers<'Cluster'>, 'ExplainPending'> {
  return {
    async ExplainPending({ namespace = 'default', name = '' }) {
      const pod = state.get('Pod', namespace, name);
      if (!pod) throw new GantryError('notFound', `pods ${JSON.stringify(name)} not found in namespace ${namespace}`);
      return explainPending(state, pod);
    },
  };
}

/** Pure. */
export function explainPending(state: Snapshot, pod: Pod): ExplainPendingResponse {
  if (!isPending(pod)) return { nodes: [], summary: whyNotPending(pod) };
  const infos = nodeInfos(state.list('Node'), state.list('Pod'));
  const nodes = verdicts(pod, infos);
  const fits = nodes.filter(({ reason }) => reason === undefined).length;
  if (fits === 0) return { nodes, summary: explain(pod, infos) };
  return { nodes, summary: `${fits}/${infos.length} nodes fit; the scheduler will bind it in its next pass` };
}

function whyNotPending({ metadata, spec, status }: Pod): string {
  const name = `pod ${metadata.name}`;
  if (spec.nodeName !== undefined) return `${name} is on node ${spec.nodeName}: it is not waiting for the scheduler`;
  if (metadata.deletionTimestamp !== undefined) return `${name} is being deleted`;
  return `${name} is ${status?.phase ?? 'finished'}: it is not waiting for the scheduler`;
}
