/** What a cluster has from its first moment: the namespace `default`, and a class for claims that name none. */
import { keyOf } from '../../lib/model/keys.ts';
import { defaultClassAnnotation, localProvisioner } from '../../lib/model/storage.ts';
import { absent, putOf } from '../../lib/store/store.ts';
import type { StorageClass } from '../../proto/gen/types.ts';
import { admitNew } from './admission.ts';
import type { ApiDependencies } from './dependencies.ts';
import { write } from './objects.ts';

const localClass: StorageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'local', annotations: { [defaultClassAnnotation]: 'true' } },
  provisioner: localProvisioner,
};

/** At every start; what is there already stays as it is, and what somebody has deleted since does not come back. */
export async function ensureDefaults(
  dependencies: Pick<ApiDependencies, 'store' | 'codec' | 'clock' | 'random'>,
): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } } as const;
  const objects = [namespace, localClass].map((object) =>
    admitNew(object, dependencies.random, dependencies.clock.nowMs()),
  );
  const keys = objects.map(keyOf);
  await write(dependencies, {
    compare: [absent(keys[0]!)],
    success: objects.map((object, index) => putOf(keys[index]!, dependencies.codec.encode(object))),
  });
}
