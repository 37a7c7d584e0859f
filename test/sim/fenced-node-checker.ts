/** Looks at bindings, and at nodes that go: a pod that must not run twice is never left on a node that is not there. */
import { controllerOf } from '../../lib/model/object.ts';
import { isPodFinished } from '../../lib/model/pods.ts';
import type { KubeObject, Pod } from '../../proto/gen/types.ts';
import type { Change, Report, StoreChecker } from './store-checker.ts';

const nodeKey = (name: string): string => `/gantry/nodes/${name}`;

export function checkNodesOfFenced(store: StoreChecker, changes: readonly Change[], report: Report): void {
  for (const { key, object, previous } of changes) {
    if (!object && previous?.kind === 'Node') {
      for (const pod of store.list('Pod').filter((one) => needs(one) === previous.metadata.name))
        report('fenced-node', `${key} is gone, and pod ${pod.metadata.name} is bound to it`);
    }
    const nodeName = needs(object);
    if (nodeName !== undefined && nodeName !== needs(previous) && !store.objects.has(nodeKey(nodeName)))
      report('fenced-node', `${key} came to node ${nodeName}, which is not there`);
  }
}

/** The node that it may be running on, if nobody else may say that it is not. */
function needs(object: KubeObject | undefined): string | undefined {
  const isMember = object?.kind === 'Pod' && controllerOf(object)?.kind === 'StatefulSet';
  return isMember && !isPodFinished(object as Pod) ? (object as Pod).spec.nodeName || undefined : undefined;
}
