import { conditionStatus } from '../../../lib/model/conditions.ts';
import { keyOf, objectKey, parseKey } from '../../../lib/model/keys.ts';
import type { Node } from '../../../proto/gen/types.ts';
import type { Controller } from '../run-controller.ts';
import { Pauses } from './disruption.ts';
import { reconcileNode, removePodsOfMissingNode } from './reconcile.ts';

/** What control-plane/session knows: see SessionKnowledge. */
export interface NodeLifecycleOptions {
  readonly evictionsPaused: () => boolean;
  readonly lostForMs: (nodeName: string) => number | undefined;
}

export function nodeLifecycleController({ evictionsPaused, lostForMs }: NodeLifecycleOptions): Controller {
  const pauses = new Pauses();
  return {
    name: 'node-lifecycle-controller',
    reconcile(snapshot, key, nowMs) {
      const name = parseKey(key)?.name ?? '';
      const node = snapshot.get('Node', undefined, name);
      if (!node) return removePodsOfMissingNode(snapshot, name, nowMs);
      return reconcileNode(snapshot, node, nowMs, { evictionsPaused, lostForMs: lostForMs(name) }, pauses);
    },
    *keysOf(change, snapshot) {
      const object = change.object ?? change.previous;
      // How many others are lost counts too, but a node whose pods are held back for that is looked at every few seconds anyway;
      // and thousands may be lost together.
      if (object?.kind === 'Node') {
        if (!change.object) pauses.forget(object.metadata.uid ?? '');
        yield keyOf(object);
      } else if (object?.kind === 'Pod' && object.spec.nodeName) {
        const node = snapshot.get('Node', undefined, object.spec.nodeName);
        if (!node || needsCare(node)) yield objectKey('Node', undefined, object.spec.nodeName);
      }
    },
  };
}

function needsCare({ spec, status }: Node): boolean {
  const isReady = conditionStatus(status?.conditions, 'Ready') === 'True';
  return !isReady || (spec.taints ?? []).some(({ effect }) => effect === 'NoExecute');
}
