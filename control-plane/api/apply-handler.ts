/** Apply: lib/model/apply.ts on what is stored, created or written when that changes anything. */
import { GantryError } from '../../lib/errors.ts';
import { applied, managerProblem } from '../../lib/model/apply.ts';
import { toEnvelope } from '../../lib/model/codec.ts';
import { isDeleting } from '../../lib/model/object.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { admitChange, refuseTooNew } from './admission.ts';
import { autoscalingWarnings } from './autoscaling.ts';
import { writeChange } from './change.ts';
import { createObject } from './create.ts';
import type { ApiDependencies, ClusterHandlers } from './dependencies.ts';
import { nameOf, readObject, retryConflicts, targetOfObject } from './objects.ts';
import { authorizeKind } from './roles.ts';
import { objectIn } from './write.ts';

export const defaultFieldManager = 'ctl';

type Applied = { readonly object: KubeObject; readonly result: 'created' | 'configured' | 'unchanged' };

export function applyHandler(dependencies: ApiDependencies): ClusterHandlers['Apply'] {
  return async ({ object, fieldManager = defaultFieldManager, dryRun = false }, { peer }) => {
    const manifest = objectIn(object);
    authorizeKind(peer, 'write', manifest.kind);
    const problem = managerProblem(fieldManager);
    if (problem) throw new GantryError('invalidArgument', `fieldManager: ${problem}`);
    const done = await applyObject(dependencies, manifest, fieldManager, dryRun);
    const warnings = [
      ...(isDeleting(done.object) ? [`${nameOf(done.object)} is being deleted`] : []),
      ...(await autoscalingWarnings(dependencies, done.object)),
    ];
    return { object: toEnvelope(done.object), result: done.result, ...(warnings.length > 0 && { warnings }) };
  };
}

export function applyObject(
  dependencies: ApiDependencies,
  manifest: KubeObject,
  manager: string,
  dryRun: boolean,
): Promise<Applied> {
  const target = targetOfObject(manifest);
  return retryConflicts(dependencies, nameOf(manifest), async (): Promise<Applied | undefined> => {
    const live = await readObject(dependencies, target);
    refuseTooNew(manifest, live);
    const merged = applied(live, manifest, manager);
    if (!live) {
      const created = await createObject(dependencies, merged, { dryRun, orExisting: true });
      return created && { object: created, result: 'created' };
    }
    const object = await writeChange(dependencies, target, live, admitChange(merged, live), dryRun);
    return object && { object, result: object === live ? 'unchanged' : 'configured' };
  });
}
