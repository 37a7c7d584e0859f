/** Looks at the copies that revisions name: they never change, and are there while one does, or there is no way back. */
import { isControlledBy, isDeleting } from '../../lib/model/object.ts';
import type { ConfigMap, KubeObject, Secret } from '../../proto/gen/types.ts';
import type { Writer } from './store.ts';
import type { Change, Report, StoreChecker } from './store-checker.ts';
import { contentOf, isSame, referencesOf } from './workloads/configuration.ts';

const copyOf = 'gantry.dev/copy-of';

export function checkCopies(
  store: Pick<StoreChecker, 'list'>,
  changes: readonly Change[],
  writer: Writer | undefined,
  report: Report,
): void {
  for (const { key, object, previous } of changes) {
    if (!previous || !isCopy(previous)) continue;
    if (object?.metadata.uid === previous.metadata.uid) {
      if (!isSame(contentOf(object as ConfigMap | Secret), contentOf(previous)))
        report('configuration', `the copy ${key} has changed`);
      continue;
    }
    // Who deletes it by hand has given up the way back.
    if (writer?.operation?.includes(' delete ')) continue;
    const revision = revisionWith(previous, store);
    if (revision) report('configuration', `the copy ${key} is gone, which ${revision.metadata.name} names`);
  }
}

export const isCopy = (object: KubeObject): object is ConfigMap | Secret =>
  (object.kind === 'ConfigMap' || object.kind === 'Secret') && object.metadata.annotations?.[copyOf] !== undefined;

/** Of a Deployment that lives. */
function revisionWith(copy: ConfigMap | Secret, store: Pick<StoreChecker, 'list'>): KubeObject | undefined {
  const owner = store.list('Deployment').find((one) => isControlledBy(copy, one) && !isDeleting(one));
  if (!owner || store.list('Namespace').some((one) => one.metadata.name === copy.metadata.namespace && isDeleting(one)))
    return undefined;
  return store
    .list('ReplicaSet')
    .filter((set) => isControlledBy(set, owner) && !isDeleting(set))
    .find(({ spec }) =>
      referencesOf(spec.template).some(({ kind, name }) => kind === copy.kind && name === copy.metadata.name),
    );
}
