/** Creating objects: in a namespace that is there and stays, with their addresses, in one transaction. */
import { GantryError } from '../../lib/errors.ts';
import { keyOf, objectKey } from '../../lib/model/keys.ts';
import { isDeleting, revisionOf } from '../../lib/model/object.ts';
import { absent, type Compare, modRevisionIs, putOf } from '../../lib/store/store.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { admitNew } from './admission.ts';
import { claimAllocations } from './allocations.ts';
import type { ApiDependencies } from './dependencies.ts';
import { nameOf, readObject, retryConflicts, targetOf, withRevision, write } from './objects.ts';
import { checkOneDefault, withClassPriority } from './priority.ts';

export interface CreateOptions {
  readonly dryRun: boolean;
  /** True: an object of that name answers undefined instead of alreadyExists. */
  readonly orExisting?: boolean;
}

export async function createObject(
  dependencies: ApiDependencies,
  given: KubeObject,
  options: CreateOptions & { readonly orExisting: true },
): Promise<KubeObject | undefined>;
export async function createObject(
  dependencies: ApiDependencies,
  given: KubeObject,
  options: CreateOptions,
): Promise<KubeObject>;
export async function createObject(
  dependencies: ApiDependencies,
  given: KubeObject,
  { dryRun, orExisting = false }: CreateOptions,
): Promise<KubeObject | undefined> {
  const result = await retryConflicts(nameOf(given), async () => {
    // Drawn anew each time: a generated name may be taken.
    const fresh = admitNew(given, dependencies.random, dependencies.clock.nowMs());
    const admitted = await withClassPriority(dependencies, fresh);
    await checkOneDefault(dependencies, admitted);
    const key = keyOf(admitted);
    const namespaceHolds = await checkNamespace(dependencies, admitted);
    if ((await dependencies.store.get(key)).kv) {
      if (!given.metadata.name) return undefined;
      if (orExisting) return { object: undefined };
      throw new GantryError('alreadyExists', `${nameOf(admitted)} already exists; use apply to change it`);
    }
    const claim = await claimAllocations(dependencies, admitted);
    if (dryRun) return { object: claim.object };
    const { succeeded, revision } = await write(dependencies, {
      compare: [absent(key), ...namespaceHolds, ...claim.compare],
      success: [putOf(key, dependencies.codec.encode(claim.object)), ...claim.operations],
    });
    return succeeded ? { object: withRevision(claim.object, revision) } : undefined;
  });
  return result.object;
}

/** The namespace must exist, must not be on its way out, and must still be so when the object is written. */
async function checkNamespace(dependencies: ApiDependencies, { metadata }: KubeObject): Promise<Compare[]> {
  const { namespace } = metadata;
  if (namespace === undefined) return [];
  const found = await readObject(dependencies, targetOf({ kind: 'Namespace', name: namespace }));
  if (!found) {
    const cure = `create it first: ctl create namespace ${namespace}`;
    throw new GantryError('notFound', `namespaces ${JSON.stringify(namespace)} not found; ${cure}`);
  }
  if (isDeleting(found)) {
    const message = `namespace ${JSON.stringify(namespace)} is being deleted and takes nothing new`;
    throw new GantryError('failedPrecondition', `${message}; wait until it has gone, then create it again`);
  }
  return [modRevisionIs(objectKey('Namespace', undefined, namespace), revisionOf(found))];
}
