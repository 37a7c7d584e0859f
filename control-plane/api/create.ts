/** Creating objects: in a namespace that is there and stays, with their addresses, in one transaction. */
import { GantryError } from '../../lib/errors.ts';
import { keyOf, objectKey } from '../../lib/model/keys.ts';
import { isDeleting, revisionOf } from '../../lib/model/object.ts';
import { absent, modRevisionIs, putOf } from '../../lib/store/store.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { admitNew } from './admission.ts';
import { claimAllocations } from './allocations.ts';
import type { Charge } from './delete.ts';
import type { ApiDependencies } from './dependencies.ts';
import { nameOf, readObject, retryConflicts, targetOf, withRevision, write } from './objects.ts';
import { checkOwners } from './owners.ts';
import { chargeQuotas, underPolicies, withinLimits } from './policy.ts';
import { checkOneDefault, withClassPriority } from './priority.ts';

export interface CreateOptions {
  readonly dryRun: boolean;
  /** True: answers undefined when the object, or what it depends on, has changed meanwhile: look again. */
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
  const result = await retryConflicts(dependencies, nameOf(given), () => {
    // Drawn anew each time: a generated name may be taken.
    const fresh = admitNew(given, dependencies.random, dependencies.clock.nowMs());
    return attempt(dependencies, fresh, { dryRun, orExisting, isNamed: Boolean(given.metadata.name) });
  });
  return result.object;
}

interface Attempt extends Required<CreateOptions> {
  readonly isNamed: boolean;
}

type Outcome = { readonly object: KubeObject | undefined } | undefined;

async function attempt(
  dependencies: ApiDependencies,
  fresh: KubeObject,
  { dryRun, orExisting, isNamed }: Attempt,
): Promise<Outcome> {
  const key = keyOf(fresh);
  const [prioritized, namespace, { kv }] = await Promise.all([
    withClassPriority(dependencies, fresh),
    checkNamespace(dependencies, fresh),
    // Apply has looked already, and looks again when the write finds it there.
    orExisting ? { kv: undefined } : dependencies.store.get(key),
    checkOneDefault(dependencies, fresh),
    checkOwners(dependencies, fresh),
  ]);
  if (kv) {
    if (!isNamed) return undefined;
    throw new GantryError('alreadyExists', `${nameOf(fresh)} already exists; use apply to change it`);
  }
  // Read after the namespace: a quota that is made later rewrites that.
  return underPolicies(dependencies, prioritized, async (admitted, policies): Promise<Outcome> => {
    const claim = await claimAllocations(dependencies, withinLimits(admitted, policies));
    const charge = await chargeQuotas(dependencies, claim.object, policies);
    if (dryRun) return { object: claim.object };
    const { succeeded, revision } = await write(dependencies, {
      compare: [absent(key), ...namespace.compare, ...claim.compare, ...charge.compare],
      success: [
        putOf(key, dependencies.codec.encode(claim.object)),
        ...namespace.operations,
        ...claim.operations,
        ...charge.operations,
      ],
    });
    if (succeeded) return { object: withRevision(claim.object, revision) };
    return orExisting ? { object: undefined } : undefined;
  });
}

/**
 * The namespace must exist, must not be on its way out, and must still be so when the object is written. A new quota
 * rewrites it: creations that did not see the quota then lose, and look again.
 */
async function checkNamespace(dependencies: ApiDependencies, { kind, metadata }: KubeObject): Promise<Charge> {
  const { namespace } = metadata;
  if (namespace === undefined) return { compare: [], operations: [] };
  const found = await readObject(dependencies, targetOf({ kind: 'Namespace', name: namespace }));
  if (!found) {
    const cure = `create it first: ctl create namespace ${namespace}`;
    throw new GantryError('notFound', `namespaces ${JSON.stringify(namespace)} not found; ${cure}`);
  }
  if (isDeleting(found)) {
    const message = `namespace ${JSON.stringify(namespace)} is being deleted and takes nothing new`;
    throw new GantryError('failedPrecondition', `${message}; wait until it has gone, then create it again`);
  }
  const key = objectKey('Namespace', undefined, namespace);
  return {
    compare: [modRevisionIs(key, revisionOf(found))],
    operations: kind === 'ResourceQuota' ? [putOf(key, dependencies.codec.encode(found))] : [],
  };
}
