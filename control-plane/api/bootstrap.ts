/** What a cluster has from its first moment: the namespace `default`. */
import { keyOf } from '../../lib/model/keys.ts';
import { absent, putOf } from '../../lib/store/store.ts';
import { admitNew } from './admission.ts';
import type { ApiDependencies } from './dependencies.ts';
import { write } from './objects.ts';

/** At every start; what is there already stays as it is. */
export async function ensureDefaults(
  dependencies: Pick<ApiDependencies, 'store' | 'codec' | 'clock' | 'random'>,
): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } } as const;
  const object = admitNew(namespace, dependencies.random, dependencies.clock.nowMs());
  const key = keyOf(object);
  await write(dependencies, {
    compare: [absent(key)],
    success: [putOf(key, dependencies.codec.encode(object))],
  });
}
