/**
 * Priorities: what a pod's PriorityClass means for it. Pods that a client creates get theirs at admission, those of a
 * template from the scheduler, before it first considers them. Pure.
 */
import type { Pod, PriorityClass } from '../../proto/gen/types.ts';

export const highestClientPriority = 1_000_000_000;

type ClassFacts = Pick<PriorityClass, 'value' | 'preemptionPolicy'>;

/** There without an object; their prefix is nobody else's. */
export const systemClassPrefix = 'system-';
const systemClasses: Readonly<Record<string, ClassFacts>> = {
  'system-cluster-critical': { value: 2_000_000_000 },
  'system-node-critical': { value: 2_000_001_000 },
};

export function priorityOf({ spec }: Pod): number {
  return spec.priority ?? 0;
}

export type Prioritized = { readonly pod: Pod } | { readonly problem: string };

/** The pod with the priority of its class; the same pod when that is settled, or when there is no class to settle it. */
export function withPriority(pod: Pod, classes: readonly PriorityClass[]): Prioritized {
  const { spec } = pod;
  // A template may carry the 0 that Kubernetes writes; its class says more.
  if (spec.priority !== undefined && !(spec.priority === 0 && spec.priorityClassName)) return { pod };
  const name = spec.priorityClassName || classes.find(({ globalDefault }) => globalDefault)?.metadata.name;
  if (name === undefined) return { pod };
  const facts = classFacts(name, classes);
  if (!facts) {
    const known = [...Object.keys(systemClasses), ...classes.map(({ metadata }) => metadata.name)].join(', ');
    return { problem: `there is no PriorityClass ${JSON.stringify(name)}; create it, or use one of ${known}` };
  }
  const preemptionPolicy = facts.preemptionPolicy ?? spec.preemptionPolicy;
  return {
    pod: {
      ...pod,
      spec: {
        ...spec,
        priorityClassName: name,
        priority: facts.value,
        ...(preemptionPolicy && { preemptionPolicy }),
      },
    },
  };
}

function classFacts(name: string, classes: readonly PriorityClass[]): ClassFacts | undefined {
  if (Object.hasOwn(systemClasses, name)) return systemClasses[name];
  return classes.find(({ metadata }) => metadata.name === name);
}

/** What a client wrote beside the class must say the same. */
export function priorityProblem(given: Pod, admitted: Pod): string | undefined {
  const { priority } = given.spec;
  if (priority === undefined || priority === priorityOf(admitted)) return undefined;
  return `${priority} is not the class's (${priorityOf(admitted)}); leave it out and set priorityClassName`;
}
