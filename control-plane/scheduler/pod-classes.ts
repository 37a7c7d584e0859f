/** Pending pods by turn, and identical ones together. Pure. */
import { priorityOf } from '../../lib/model/priority.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { workloadOf } from './node-info.ts';

export function isPending(pod: Pod): boolean {
  return (
    pod.spec.nodeName === undefined &&
    pod.metadata.deletionTimestamp === undefined &&
    (pod.status?.phase ?? 'Pending') === 'Pending'
  );
}

/** Each class in the order of turns, the classes in the order of their first pods' turns. */
export function classesOf(pending: readonly Pod[]): Iterable<Pod[]> {
  const classes = new Map<string, Pod[]>();
  for (const pod of [...pending].sort(byTurn)) {
    const key = classKeyOf(pod);
    const members = classes.get(key);
    if (members) members.push(pod);
    else classes.set(key, [pod]);
  }
  return classes.values();
}

/** Pods wait for many passes, and every pass asks. */
const classKeys = new WeakMap<Pod, string>();

/** Everything of a pod that a filter or a strategy reads. Pods with equal keys are interchangeable. */
export function classKeyOf(pod: Pod): string {
  let key = classKeys.get(pod);
  if (key === undefined) {
    key = classKey(pod);
    classKeys.set(pod, key);
  }
  return key;
}

function classKey(pod: Pod): string {
  const { metadata, spec, status } = pod;
  // What runs in it, and under which name, is nothing to the scheduler; all else may be to some filter.
  const { containers, initContainers = [], hostname: _name, nodeName: _none, ...rest } = spec;
  const resources = [...containers, ...initContainers].map((container) => container.resources);
  const ports = containers.map((container) => container.ports);
  return JSON.stringify([
    workloadOf(pod),
    rest,
    resources,
    initContainers.length,
    ports,
    status?.nominatedNodeName,
    // Whom the pods of others attract or repel goes by namespace and labels.
    metadata.namespace,
    metadata.labels,
    metadata.annotations,
  ]);
}

/** Higher priorities first, among equals those for whom room is being made, then the oldest. */
function byTurn(a: Pod, b: Pod): number {
  const nominated = (pod: Pod): number => (pod.status?.nominatedNodeName ? 1 : 0);
  return priorityOf(b) - priorityOf(a) || nominated(b) - nominated(a) || byAge(a, b);
}

function byAge(a: Pod, b: Pod): number {
  const [timeA, timeB] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  if (timeA !== timeB) return timeA < timeB ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}
