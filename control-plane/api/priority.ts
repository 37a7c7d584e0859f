/** What admission asks of other objects: a pod's PriorityClass, and that at most one class is the default. */
import { GantryError } from '../../lib/errors.ts';
import { kindPrefix } from '../../lib/model/keys.ts';
import { priorityProblem, withPriority } from '../../lib/model/priority.ts';
import { problemsError } from '../../lib/model/problems.ts';
import type { KubeObject, Pod, PriorityClass } from '../../proto/gen/types.ts';
import type { ApiDependencies } from './dependencies.ts';
import { nameOf } from './objects.ts';

/** A new pod with the priority of its class; anything else as it is. */
export async function withClassPriority(dependencies: ApiDependencies, object: KubeObject): Promise<KubeObject> {
  if (object.kind !== 'Pod') return object;
  const { priority: _given, ...spec } = object.spec;
  const settled = withPriority({ ...object, spec }, await priorityClasses(dependencies));
  if ('problem' in settled) throw refusal(object, 'spec.priorityClassName', settled.problem);
  const problem = priorityProblem(object, settled.pod);
  if (problem) throw refusal(object, 'spec.priority', problem);
  return settled.pod;
}

const refusal = (pod: Pod, path: string, message: string): GantryError =>
  problemsError(nameOf(pod), [{ path, message }]);

export async function checkOneDefault(dependencies: ApiDependencies, object: KubeObject): Promise<void> {
  if (object.kind !== 'PriorityClass' || !object.globalDefault) return;
  const other = (await priorityClasses(dependencies)).find(
    ({ metadata, globalDefault }) => globalDefault && metadata.name !== object.metadata.name,
  );
  if (!other) return;
  const message = `PriorityClass ${JSON.stringify(other.metadata.name)} is the default already; only one can be`;
  throw new GantryError('failedPrecondition', `${message}: set its globalDefault to false first`);
}

async function priorityClasses({ store, codec }: ApiDependencies): Promise<PriorityClass[]> {
  const { items } = await store.list(kindPrefix('PriorityClass'));
  return items.flatMap(({ key, value, modRevision }) => {
    const object = codec.decode(key, value, modRevision);
    return object?.kind === 'PriorityClass' ? [object] : [];
  });
}
