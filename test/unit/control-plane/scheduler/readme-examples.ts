/** The examples of control-plane/scheduler/README.md, word for word; readme.test.ts compares and runs them. */
import type { Filter } from '../../../../control-plane/scheduler/filters.ts';
import { workloadOf } from '../../../../control-plane/scheduler/node-info.ts';
import { rankedPicker } from '../../../../control-plane/scheduler/ranked-picker.ts';
import { type Strategy, wishes } from '../../../../control-plane/scheduler/strategies.ts';

/** A quarantined node takes only pods that are there to examine it. */
export const quarantine: Filter = {
  name: 'Quarantine',
  reads: ({ metadata }) => metadata.labels?.['example.com/examines'],
  checkFor({ metadata }) {
    if (metadata.labels?.['example.com/examines'] !== undefined) return undefined;
    return ({ node }) => (node.metadata.labels?.['example.com/quarantined'] === 'true' ? 'quarantined' : undefined);
  },
};

/** At most three pods of one workload on a node. */
export const threeOfAKind: Filter = {
  name: 'ThreeOfAKind',
  checkFor(pod) {
    const owner = workloadOf(pod);
    if (owner === undefined) return undefined;
    return ({ pods }) =>
      pods.filter((other) => workloadOf(other) === owner).length < 3 ? undefined : 'with three of its workload';
  },
};

/** The node with the fewest pods, whatever they ask for; of those the one with the most memory. */
export const fewestPods: Strategy = {
  name: 'fewest-pods',
  picker: (podClass, candidates) =>
    rankedPicker(podClass, candidates, [
      ...wishes(podClass),
      { node: ({ podCount }) => podCount },
      { node: ({ allocatable }) => -allocatable.memoryBytes },
    ]),
};
