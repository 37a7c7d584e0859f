/**
 * Secrets that cannot be opened: altered in the store, or sealed with a key that is not here. They must not take lists
 * and watches of the others with them, and can be deleted like any other; only reading one by name fails, and says why.
 */
import { isGantryError } from '../../lib/errors.ts';
import { parseKey } from '../../lib/model/keys.ts';
import type { KubeObject, Secret } from '../../proto/gen/types.ts';
import { KnownValue } from '../state/known-value.ts';
import type { ObjectCodec } from '../state/object-codec.ts';

const unreadableType = 'gantry.dev/unreadable';
/** On the stand-in: why. */
export const unreadableAnnotation = 'gantry.dev/unreadable';

interface Stored {
  readonly key: string;
  readonly value: Uint8Array;
  readonly modRevision: bigint;
}

/** What is stored; in the place of a Secret that cannot be opened one without data, which says so. */
export function decodeOrStandIn(codec: ObjectCodec, stored: Stored): KubeObject | undefined {
  if (stored instanceof KnownValue) return stored.object;
  const { key, value, modRevision } = stored;
  try {
    return codec.decode(key, value, modRevision);
  } catch (error) {
    const parsed = parseKey(key);
    if (parsed?.kind !== 'Secret' || !isGantryError(error, 'dataLoss')) throw error;
    const { namespace, name } = parsed;
    const annotations = { [unreadableAnnotation]: error.message };
    const metadata = { name, namespace, annotations, resourceVersion: modRevision.toString() };
    const secret: Secret = { apiVersion: 'v1', kind: 'Secret', metadata, type: unreadableType };
    return secret;
  }
}
