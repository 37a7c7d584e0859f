/**
 * Questions to the scheduler, for the API. Any replica answers them from its mirror with the filters of production;
 * nothing is written.
 */
import { GantryError } from '../../lib/errors.ts';
import { receivedObject } from '../../lib/model/codec.ts';
import { isPodBound } from '../../lib/model/pods.ts';
import { priorityOf } from '../../lib/model/priority.ts';
import type { Handlers } from '../../lib/rpc/serve-call.ts';
import type { ExplainPendingResponse, KubeObject, Pod, SimulatedPod } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';
import { boundPodSentence } from './bound-pod.ts';
import { isRoomComing } from './eviction-round.ts';
import { explain, verdicts } from './explain.ts';
import { withPriorities } from './loop.ts';
import { pictureOf } from './picture.ts';
import { isPending } from './pod-classes.ts';
import { simulate } from './simulate.ts';
import type { StrategyName } from './strategies.ts';
import { withVolumes } from './volumes.ts';

export interface SchedulingQuestions {
  readonly state: Snapshot;
  readonly defaultStrategy: StrategyName;
  /** An applied object as it would be stored. Throws with what is wrong with it. */
  readonly admit: (given: KubeObject, live: KubeObject | undefined) => KubeObject;
  readonly nowMs: () => number;
}

type SchedulingHandlers = Pick<Handlers<'Cluster'>, 'ExplainPending' | 'Simulate'>;

export function schedulingHandlers({ state, defaultStrategy, admit, nowMs }: SchedulingQuestions): SchedulingHandlers {
  return {
    async ExplainPending({ namespace = 'default', name = '' }) {
      const pod = state.get('Pod', namespace, name);
      if (!pod) throw new GantryError('notFound', `pods ${JSON.stringify(name)} not found in namespace ${namespace}`);
      return explainPending(state, pod, nowMs());
    },

    async Simulate({ killNodes = [], objects = [] }) {
      for (const name of killNodes) {
        if (state.get('Node', undefined, name)) continue;
        throw new GantryError('notFound', `nodes ${JSON.stringify(name)} not found; \`ctl get nodes\` lists them`);
      }
      const admitted = objects.map((envelope) => {
        const given = receivedObject(envelope);
        const { namespace, name } = given.metadata;
        return admit(given, name ? state.get(given.kind, namespace ?? 'default', name) : undefined);
      });
      const pods = simulate(state, { killNodes, objects: admitted, nowMs: nowMs() }, defaultStrategy);
      return { pods, summary: summaryOf(pods), resourceVersion: state.revision.toString() };
    },
  };
}

/** Pure. */
export function summaryOf(pods: readonly SimulatedPod[]): string {
  const count = (wanted: SimulatedPod['outcome']): number => pods.filter(({ outcome }) => outcome === wanted).length;
  const parts = [
    `${count('Moved')} would move`,
    `${count('Placed')} would be placed`,
    `${count('Waiting')} would wait`,
    `${count('Gone')} would be gone`,
  ];
  return `${parts.join(', ')}; nothing was changed`;
}

/** Pure. */
export function explainPending(state: Snapshot, pod: Pod, nowMs: number): ExplainPendingResponse {
  if (!isPending(pod)) return { nodes: [], summary: whyNotPending(pod, state, nowMs) };
  const pods = state.list('Pod');
  const prioritized = withPriorities(pods.filter(isPending), state.list('PriorityClass'));
  const { ready, refused: withoutVolumes } = withVolumes(prioritized.ready, state);
  const isIt = (entry: { readonly pod: Pod }): boolean => entry.pod.metadata.uid === pod.metadata.uid;
  const problem = prioritized.refused.find(isIt) ?? withoutVolumes.find(isIt);
  if (problem) return { nodes: [], summary: problem.message };
  return explainReady(ready.find(({ metadata }) => metadata.uid === pod.metadata.uid) ?? pod, ready, state);
}

function explainReady(pod: Pod, pending: readonly Pod[], state: Snapshot): ExplainPendingResponse {
  const picture = pictureOf(state.list('Node'), state.list('Pod'));
  for (const other of pending) {
    const info = picture.info(other.status?.nominatedNodeName ?? '');
    if (info && other !== pod && priorityOf(other) >= priorityOf(pod) && isRoomComing(other, info))
      picture.reserve(info, other);
  }
  const { nominatedNodeName } = pod.status ?? {};
  const nodes = verdicts(pod, picture);
  const fits = nodes.filter(({ reason }) => reason === undefined).length;
  if (fits === 0) {
    const room = nominatedNodeName ? `; room is being made on ${nominatedNodeName}` : '';
    return { nodes, summary: `${explain(pod, picture)}${room}` };
  }
  return { nodes, summary: `${fits}/${nodes.length} nodes fit; the scheduler will bind it in its next pass` };
}

function whyNotPending(pod: Pod, state: Snapshot, nowMs: number): string {
  const { metadata, spec, status } = pod;
  if (isPodBound(pod)) {
    const node = state.get('Node', undefined, spec.nodeName ?? '');
    return boundPodSentence(pod, node, state.list('Node'), nowMs);
  }
  const name = `pod ${metadata.name}`;
  if (metadata.deletionTimestamp !== undefined) return `${name} is being deleted`;
  return `${name} is ${status?.phase ?? 'finished'}: it is not waiting for the scheduler`;
}
