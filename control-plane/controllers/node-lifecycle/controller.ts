import { conditionStatus } from '../../../lib/model/conditions.ts';
import { keyOf, objectKey, parseKey } from '../../../lib/model/keys.ts';
import type { KubeObject, Node } from '../../../proto/gen/types.ts';
import type { ObjectChange } from '../../state/cluster-state.ts';
import type { Snapshot } from '../../state/snapshot.ts';
import type { Controller } from '../run-controller.ts';
import { reconcileNode, removePodsOfMissingNode } from './reconcile.ts';

/** What control-plane/session knows: see SessionKnowledge. */
export interface NodeLifecycleOptions {
  readonly evictionsPaused: () => boolean;
  readonly lostForMs: (nodeName: string) => number | undefined;
}

export function nodeLifecycleController({ evictionsPaused, lostForMs }: NodeLifecycleOptions): Controller {
  const told = new WeakSet<readonly Node[]>();
  return {
    name: 'node-lifecycle-controller',
    reconcile(snapshot, key, nowMs) {
      const name = parseKey(key)?.name ?? '';
      const node = snapshot.get('Node', undefined, name);
      if (!node) return removePodsOfMissingNode(snapshot, name);
      return reconcileNode(snapshot, node, nowMs, { evictionsPaused, lostForMs: lostForMs(name) });
    },
    *keysOf(change, snapshot) {
      const object = change.object ?? change.previous;
      if (object?.kind === 'Node') yield* afterNodeChange(change, object, snapshot, told);
      else if (object?.kind === 'Pod' && object.spec.nodeName) {
        const node = snapshot.get('Node', undefined, object.spec.nodeName);
        if (!node || needsCare(node)) yield objectKey('Node', undefined, object.spec.nodeName);
      }
    },
  };
}

/**
 * How many are lost decides about every lost node. Thousands may change together, and when a term begins all of them do:
 * for one state of all the nodes the lost ones are named once.
 */
function* afterNodeChange(
  change: ObjectChange,
  node: Node,
  snapshot: Snapshot,
  told: WeakSet<readonly Node[]>,
): Iterable<string> {
  yield keyOf(node);
  const nodes = snapshot.list('Node');
  if (readiness(change.object) === readiness(change.previous) || told.has(nodes)) return;
  told.add(nodes);
  for (const other of nodes) if (readiness(other) !== 'True') yield keyOf(other);
}

function readiness(object: KubeObject | undefined): string | undefined {
  return object?.kind === 'Node' ? conditionStatus(object.status?.conditions, 'Ready') : undefined;
}

function needsCare(node: Node): boolean {
  return readiness(node) !== 'True' || (node.spec.taints ?? []).some(({ effect }) => effect === 'NoExecute');
}
