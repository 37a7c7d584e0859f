/**
 * Deletions that would let a pod run twice that must not (lib/model/fencing.ts) are refused: by force, which does not
 * wait for its agent, and of a node, whose agent nobody would wait for any more.
 *
 * No such pod comes to a node between the look at its pods and its deletion: whatever puts one there also rewrites the
 * Node (control-plane/scheduler/fenced-bindings.ts), and the deletion compares the Node's revision, read before the pods.
 */
import { GantryError } from '../../lib/errors.ts';
import { isOutOfService, needsNode, nodeIsNeeded } from '../../lib/model/fencing.ts';
import { kindPrefix } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import type { KubeObject, Node, Pod } from '../../proto/gen/types.ts';
import type { ApiDependencies } from './dependencies.ts';
import { nameOf, readObject, targetOf } from './objects.ts';

/** Throws when `object` must not be removed so. Read before; whoever removes it compares its revision. */
export async function checkFencing(
  dependencies: ApiDependencies,
  object: KubeObject,
  gracePeriodSeconds: number | undefined,
): Promise<void> {
  if (object.kind === 'Node') await checkNode(dependencies, object);
  else if (object.kind === 'Pod' && gracePeriodSeconds === 0) await checkPod(dependencies, object);
}

async function checkPod(dependencies: ApiDependencies, pod: Pod): Promise<void> {
  if (!needsNode(pod)) return;
  const nodeName = pod.spec.nodeName ?? '';
  const node = (await readObject(dependencies, targetOf({ kind: 'Node', name: nodeName }))) as Node | undefined;
  if (!node || isOutOfService(node)) return;
  const cure = `delete it without force; if the machine is down, say so: ctl node out-of-service ${nodeName}`;
  const message = `${nameOf(pod)} is of a StatefulSet and must not run twice, and it may still run on node ${nodeName}`;
  throw new GantryError('failedPrecondition', `${message}; ${cure}`);
}

async function checkNode(dependencies: ApiDependencies, node: Node): Promise<void> {
  const { name } = node.metadata;
  const pods = (await podsOn(node, dependencies)).filter(needsNode);
  if (pods.length > 0) throw new GantryError('failedPrecondition', nodeIsNeeded(name, pods));
}

/** As of the Node's revision, or later. */
async function podsOn(node: Node, { store, codec, upToDate }: ApiDependencies): Promise<readonly Pod[]> {
  const { name: nodeName } = node.metadata;
  const state = await upToDate?.();
  if (state && state.revision >= revisionOf(node)) return state.podsOnNode(nodeName);
  const { items } = await store.list(kindPrefix('Pod'));
  return items.flatMap(({ key, value, modRevision }) => {
    const pod = codec.decode(key, value, modRevision);
    return pod?.kind === 'Pod' && pod.spec.nodeName === nodeName ? [pod] : [];
  });
}
