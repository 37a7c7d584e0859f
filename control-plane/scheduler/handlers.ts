/**
 * Questions to the scheduler, for the API. Any replica answers them from its mirror with the filters of production;
 * nothing is written.
 */
import { GantryError } from '../../lib/errors.ts';
import { priorityOf } from '../../lib/model/priority.ts';
import type { Handlers } from '../../lib/rpc/server.ts';
import type { ExplainPendingResponse, Pod } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';
import { isRoomComing } from './eviction-round.ts';
import { withPriorities } from './loop.ts';
import { nodeInfos, reserve } from './node-info.ts';
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
  const pods = state.list('Pod');
  const { ready, refused } = withPriorities(pods.filter(isPending), state.list('PriorityClass'));
  const problem = refused.find((entry) => entry.pod === pod);
  if (problem) return { nodes: [], summary: problem.message };
  return explainReady(ready.find(({ metadata }) => metadata.uid === pod.metadata.uid) ?? pod, ready, state);
}

function explainReady(pod: Pod, pending: readonly Pod[], state: Snapshot): ExplainPendingResponse {
  const infos = nodeInfos(state.list('Node'), state.list('Pod'));
  for (const other of pending) {
    const info = infos.find(({ name }) => name === other.status?.nominatedNodeName);
    if (info && other !== pod && priorityOf(other) >= priorityOf(pod) && isRoomComing(other, info))
      reserve(info, other);
  }
  const { nominatedNodeName } = pod.status ?? {};
  const nodes = verdicts(pod, infos);
  const fits = nodes.filter(({ reason }) => reason === undefined).length;
  if (fits === 0) {
    const room = nominatedNodeName ? `; room is being made on ${nominatedNodeName}` : '';
    return { nodes, summary: `${explain(pod, infos)}${room}` };
  }
  return { nodes, summary: `${fits}/${infos.length} nodes fit; the scheduler will bind it in its next pass` };
}

function whyNotPending({ metadata, spec, status }: Pod): string {
  const name = `pod ${metadata.name}`;
  if (spec.nodeName !== undefined) return `${name} is on node ${spec.nodeName}: it is not waiting for the scheduler`;
  if (metadata.deletionTimestamp !== undefined) return `${name} is being deleted`;
  return `${name} is ${status?.phase ?? 'finished'}: it is not waiting for the scheduler`;
}
