/** A read shows every write that was acknowledged before it began, whichever replicas served the two. */
import { isGantryError } from '../../lib/errors.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { Report, StoreChecker } from './store-checker.ts';

/** Reads what has just been acknowledged. Whoever does not answer has shown nothing. */
export async function readBack(
  written: KubeObject,
  get: () => Promise<KubeObject | undefined>,
  store: Pick<StoreChecker, 'log'>,
  report: Report,
): Promise<void> {
  const key = keyOf(written);
  const revision = revisionOf(written);
  let shown: KubeObject | undefined;
  try {
    shown = await get();
  } catch (error) {
    if (!isGantryError(error)) throw error;
    if (isGantryError(error, 'notFound') && !wasRemoved(key, revision, store)) {
      report('fresh-reads', `${key} was acknowledged at revision ${revision}, and a read after that did not find it`);
    }
    return;
  }
  if (!shown || revisionOf(shown) >= revision) return;
  const message = `${key} was acknowledged at revision ${revision}, and a read after that showed revision ${revisionOf(shown)}`;
  report('fresh-reads', message);
}

function wasRemoved(key: string, since: bigint, { log }: Pick<StoreChecker, 'log'>): boolean {
  return log.slice(Number(since)).some((changes) => changes?.some((change) => change.key === key && !change.object));
}
