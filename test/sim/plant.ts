/** What a planted bug is, and the ways in which most are planted. */
import { decodeObject } from '../../lib/model/codec.ts';
import { parseKey } from '../../lib/model/keys.ts';
import { isDeleting } from '../../lib/model/object.ts';
import type { Operation } from '../../lib/store/store.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { Plants } from './cluster.ts';
import type { Focus } from './run.ts';
import type { Invariant } from './violations.ts';

export interface Plant {
  readonly name: string;
  readonly finds: Invariant;
  readonly make: () => Plants;
  /** What a run must be about to show it soon. */
  readonly focus?: Focus;
}

/** As `decode`, but what is read is not what is there. */
export function misreading(change: (object: KubeObject) => KubeObject): NonNullable<Plants['codec']> {
  return (codec) => ({
    encode: (object) => codec.encode(object),
    decode(key, value, revision) {
      const object = codec.decode(key, value, revision);
      return object && change(object);
    },
  });
}

/** What is to go when others are done with it goes at once. */
export function removedAtOnce(applies: (object: KubeObject) => boolean): NonNullable<Plants['transact']> {
  return ({ success, ...rest }) => ({
    ...rest,
    success: success.map((operation): Operation => {
      if (operation.kind !== 'put') return operation;
      const kind = parseKey(operation.key)?.kind;
      if (kind === undefined || kind === 'Secret') return operation;
      const object = decodeObject(kind, operation.value);
      return isDeleting(object) && applies(object) ? { kind: 'delete', key: operation.key } : operation;
    }),
  });
}
