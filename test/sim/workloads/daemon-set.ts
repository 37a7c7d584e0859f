/** One pod on every node; it asks for nothing, so that it fits beside all others. */
import { isControlledBy } from '../../../lib/model/object.ts';
import type { DaemonSet } from '../../../proto/gen/types.ts';
import { isSeen, smallPodSpec, type Workload } from './workload.ts';

export const daemonSet: Workload = {
  kind: 'DaemonSet',
  weight: 1,
  make: (name, random) => ({
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name, namespace: 'default' },
    spec: {
      selector: { matchLabels: { daemon: name } },
      template: { metadata: { labels: { daemon: name } }, spec: smallPodSpec(random) },
    },
  }),
  change: (object, random) => daemonSet.make(object.metadata.name, random, 0),
  load: () => 0,
  problem(object, view) {
    const { status = {} } = object as DaemonSet;
    if (!isSeen(object as DaemonSet)) return 'its controller has not seen it';
    const wanted = view.list('Node').length;
    const { desiredNumberScheduled = 0, updatedNumberScheduled = 0, numberReady = 0, numberMisscheduled = 0 } = status;
    const pods = view.list('Pod').filter((pod) => isControlledBy(pod, object));
    const counts = [pods.length, desiredNumberScheduled, updatedNumberScheduled, numberReady];
    if (counts.some((count) => count !== wanted)) return `it counts ${counts.join(', ')} for ${wanted} nodes`;
    return numberMisscheduled > 0 ? `${numberMisscheduled} pods where none should be` : undefined;
  },
};
