/** Apply: lib/model/apply.ts on what is stored, created or written when that changes anything. */
import { GantryError } from '../../lib/errors.ts';
import { applied, conflictsOf, managerProblem } from '../../lib/model/apply.ts';
import { receivedObject, toEnvelope } from '../../lib/model/codec.ts';
import { isDeleting } from '../../lib/model/object.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { admitChange, refuseTooNew } from './admission.ts';
import { autoscalingWarnings } from './autoscaling.ts';
import { writeChange } from './change.ts';
import { createObject } from './create.ts';
import type { ApiDependencies, ClusterHandlers } from './dependencies.ts';
import { nameOf, readObject, retryConflicts, targetOfObject } from './objects.ts';
import { overlapWarnings } from './overlaps.ts';
import { authorizeKind } from './roles.ts';

export const defaultFieldManager = 'ctl';

interface ApplyOptions {
  readonly manager: string;
  readonly dryRun: boolean;
  /** Fields that another manager applied with another value are taken over. */
  readonly force: boolean;
}

type Applied = { readonly object: KubeObject; readonly result: 'created' | 'configured' | 'unchanged' };

export function applyHandler(dependencies: ApiDependencies): ClusterHandlers['Apply'] {
  return async ({ object, fieldManager = defaultFieldManager, dryRun = false, force = false }, { peer, signal }) => {
    const manifest = receivedObject(object);
    authorizeKind(peer, 'write', manifest.kind);
    const problem = managerProblem(fieldManager);
    if (problem) throw new GantryError('invalidArgument', `fieldManager: ${problem}`);
    const call = { ...dependencies, signal };
    const done = await applyObject(call, manifest, { manager: fieldManager, dryRun, force });
    const warnings = [
      ...(isDeleting(done.object) ? [`${nameOf(done.object)} is being deleted`] : []),
      ...(await autoscalingWarnings(dependencies, done.object)),
      ...(done.result === 'unchanged' ? [] : await overlapWarnings(dependencies, done.object)),
    ];
    return { object: toEnvelope(done.object), result: done.result, ...(warnings.length > 0 && { warnings }) };
  };
}

export function applyObject(
  dependencies: ApiDependencies,
  manifest: KubeObject,
  { manager, dryRun, force }: ApplyOptions,
): Promise<Applied> {
  const target = targetOfObject(manifest);
  return retryConflicts(dependencies, nameOf(manifest), async (): Promise<Applied | undefined> => {
    const live = await readObject(dependencies, target);
    refuseTooNew(manifest, live);
    const merged = applied(live, manifest, manager);
    if (live && !force) checkConflicts(live, merged, manager);
    if (!live) {
      const created = await createObject(dependencies, merged, { dryRun, orExisting: true });
      return created && { object: created, result: 'created' };
    }
    const object = await writeChange(dependencies, target, live, admitChange(merged, live), dryRun);
    return object && { object, result: object === live ? 'unchanged' : 'configured' };
  });
}

/** What one manager applies is not silently undone by another. */
function checkConflicts(live: KubeObject, merged: KubeObject, manager: string): void {
  const conflicts = conflictsOf(live, merged, manager);
  if (conflicts.length === 0) return;
  const lines = conflicts.map(({ path, manager: owner }) => `${path}: applied by ${JSON.stringify(owner)}`);
  const cure = 'leave the field out, write the value that it has, or take it over with --force-conflicts';
  const count = lines.length === 1 ? '1 conflict' : `${lines.length} conflicts`;
  const message = `${nameOf(live)}: ${count} with what others applied: ${lines.slice(0, 5).join('; ')}; ${cure}`;
  throw new GantryError('aborted', message, { details: lines.slice(0, 50) });
}
