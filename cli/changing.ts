/** Changing an object that others may be writing too: read, change, write at that revision; again when it was lost. */
import { isGantryError } from '../lib/errors.ts';
import { fromEnvelope, toEnvelope } from '../lib/model/codec.ts';
import type { Kind } from '../lib/model/schema.ts';
import type { KindMap, KubeObject } from '../proto/gen/types.ts';
import type { Context } from './context.ts';
import { getObject } from './objects.ts';

const attempts = 5;

export interface Changed {
  readonly object: KubeObject;
  readonly changed: boolean;
}

/** `change` answers undefined when there is nothing to change; it may be called several times. */
export async function changeObject<K extends Kind>(
  context: Context,
  { kind, namespace, name }: { readonly kind: K; readonly namespace: string; readonly name: string },
  change: (object: KindMap[K]) => KindMap[K] | undefined,
  dryRun = false,
): Promise<Changed> {
  for (let attempt = 1; ; attempt += 1) {
    const object = await getObject(context, kind, name, namespace);
    const wanted = change(object);
    if (!wanted) return { object, changed: false };
    try {
      const response = await context.cluster.Update({ object: toEnvelope(wanted), dryRun });
      const written = fromEnvelope(response.object) ?? wanted;
      return {
        object: written,
        changed: written.metadata.resourceVersion !== object.metadata.resourceVersion || dryRun,
      };
    } catch (error) {
      if (!isGantryError(error, 'aborted') || attempt === attempts) throw error;
    }
  }
}
