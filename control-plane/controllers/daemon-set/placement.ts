/** Which nodes a DaemonSet's pods are for, and how a pod says which one is its own. Pure. */
import { isTolerated } from '../../../lib/model/tolerations.ts';
import type { DaemonSet, Node, NodeSelectorTerm, Pod, PodSpec, Taint, Toleration } from '../../../proto/gen/types.ts';
import { requiredNodeAffinityHolds } from '../../scheduler/node-affinity.ts';
import { notReadyTaint, unreachableTaint } from '../node-lifecycle/taints.ts';

const nameField = 'metadata.name';

/** What befalls a node as a whole is no reason for its own services to leave it, or to stay away. */
const daemonTolerations: readonly Toleration[] = [
  { key: notReadyTaint, operator: 'Exists' },
  { key: unreachableTaint, operator: 'Exists' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];
const hostNetworkToleration: Toleration = {
  key: 'node.kubernetes.io/network-unavailable',
  operator: 'Exists',
  effect: 'NoSchedule',
};

export interface Fit {
  /** A pod should be made there. */
  readonly run: boolean;
  /** One that is there may stay. */
  readonly stay: boolean;
}

export function fitOf({ spec }: DaemonSet, node: Node): Fit {
  const { template } = spec;
  const labels = node.metadata.labels ?? {};
  const selected = Object.entries(template.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
  if (!selected || !requiredNodeAffinityHolds({ spec: template.spec }, node)) return { run: false, stay: false };
  const tolerations = tolerationsFor(template.spec);
  const refused = (node.spec.taints ?? []).filter((taint) => isHard(taint) && !isTolerated(taint, tolerations));
  return { run: refused.length === 0, stay: refused.every(({ effect }) => effect !== 'NoExecute') };
}

function isHard({ effect }: Taint): boolean {
  return effect !== 'PreferNoSchedule';
}

function tolerationsFor({ tolerations = [], hostNetwork }: PodSpec): Toleration[] {
  const own = hostNetwork ? [...daemonTolerations, hostNetworkToleration] : daemonTolerations;
  const has = ({ key, effect }: Toleration): boolean =>
    tolerations.some((other) => other.key === key && other.operator === 'Exists' && other.effect === effect);
  return [...tolerations, ...own.filter((toleration) => !has(toleration))];
}

/** The template's spec for the pod of this node: the scheduler binds it, and can bind it nowhere else. */
export function specFor(spec: PodSpec, nodeName: string): PodSpec {
  const nodeAffinity = spec.affinity?.nodeAffinity;
  const matchFields = [{ key: nameField, operator: 'In' as const, values: [nodeName] }];
  const terms: readonly NodeSelectorTerm[] = nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
    ?.nodeSelectorTerms ?? [{}];
  const required = { nodeSelectorTerms: terms.map((term) => ({ ...term, matchFields })) };
  return {
    ...spec,
    tolerations: tolerationsFor(spec),
    affinity: {
      ...spec.affinity,
      nodeAffinity: { ...nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: required },
    },
  };
}

/** The node the pod is on, or waits for. */
export function nodeOf({ spec }: Pod): string | undefined {
  if (spec.nodeName) return spec.nodeName;
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const names = terms.flatMap(({ matchFields = [] }) => matchFields.filter(({ key }) => key === nameField));
  return names[0]?.values?.[0];
}
