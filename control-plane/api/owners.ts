/**
 * References to owners must lead somewhere: the garbage collector removes what is owned only by what is not there, so
 * that an object with a wrong reference would vanish without a word, and a circle of owners would never go by itself.
 */

import { at, type Problem, problemsError } from '../../lib/model/problems.ts';
import { findKind } from '../../lib/model/schema.ts';
import type { KubeObject, OwnerReference } from '../../proto/gen/types.ts';
import type { ApiDependencies } from './dependencies.ts';
import { nameOf, readObject, targetOf } from './objects.ts';

/** Longer chains than any workload's; beyond it nobody can say what owns what. */
const longestChain = 16;

/** Looks at the references that `old` does not have. Throws with all problems. */
export async function checkOwners(dependencies: ApiDependencies, object: KubeObject, old?: KubeObject): Promise<void> {
  const references = object.metadata.ownerReferences ?? [];
  const before = new Set(old?.metadata.ownerReferences?.map(({ uid }) => uid));
  const problems: Problem[] = [];
  for (const [index, reference] of references.entries()) {
    if (before.has(reference.uid)) continue;
    const message = await ownerProblem(dependencies, object, reference);
    if (message !== undefined) problems.push({ path: at('metadata.ownerReferences', index), message });
  }
  if (problems.length > 0) throw problemsError(nameOf(object), problems);
}

async function ownerProblem(
  dependencies: ApiDependencies,
  object: KubeObject,
  reference: OwnerReference,
): Promise<string | undefined> {
  const { kind, name, uid } = reference;
  const { namespace } = object.metadata;
  const info = findKind(kind);
  if (!info) return `Gantry has no kind ${JSON.stringify(kind)}; remove the reference`;
  if (!info.clusterScoped && namespace === undefined) {
    return `a ${object.kind} lives in no namespace, a ${kind} does; it can only be owned by what lives in none`;
  }
  const owner = await ownerOf(dependencies, reference, namespace);
  if (!owner) {
    const where = info.clusterScoped ? '' : ` in namespace ${JSON.stringify(namespace)}`;
    return `there is no ${kind} ${JSON.stringify(name)}${where}, so that the object would be removed at once; create it first, or remove the reference`;
  }
  if (owner.metadata.uid !== uid) {
    return `${kind} ${JSON.stringify(name)} has uid ${owner.metadata.uid}, not ${uid}, so that the object would be removed at once; write the uid that it has, or remove the reference`;
  }
  const chain = await chainTo(dependencies, object, owner);
  return chain && `makes a circle (${chain.join(' -> ')}), in which nothing goes before the other; remove it`;
}

function ownerOf(
  dependencies: ApiDependencies,
  { kind, name }: OwnerReference,
  namespace: string | undefined,
): Promise<KubeObject | undefined> {
  return readObject(dependencies, targetOf({ kind, name, ...(namespace !== undefined && { namespace }) }));
}

/** The owners from `owner` up to `object` again, if they lead there. */
async function chainTo(
  dependencies: ApiDependencies,
  object: KubeObject,
  owner: KubeObject,
): Promise<readonly string[] | undefined> {
  const seen = new Set<string>();
  let level: readonly { readonly owner: KubeObject; readonly path: readonly string[] }[] = [
    { owner, path: [nameOf(object), nameOf(owner)] },
  ];
  for (let depth = 0; depth < longestChain && level.length > 0; depth += 1) {
    const circle = level.find((step) => step.owner.metadata.uid === object.metadata.uid);
    if (circle) return circle.path;
    const above = level.flatMap((step) =>
      (step.owner.metadata.ownerReferences ?? [])
        .filter(({ uid }) => !seen.has(uid))
        .map((reference) => ({ step, reference })),
    );
    for (const { reference } of above) seen.add(reference.uid);
    const next = await Promise.all(
      above.map(async ({ step, reference }) => {
        const found = await ownerOf(
          dependencies,
          reference,
          step.owner.metadata.namespace ?? object.metadata.namespace,
        );
        return found?.metadata.uid === reference.uid ? [{ owner: found, path: [...step.path, nameOf(found)] }] : [];
      }),
    );
    level = next.flat();
  }
  return undefined;
}
