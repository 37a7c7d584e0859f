import { keyOf } from '../../../lib/model/keys.ts';
import { controllerKey, objectAt, sidesOf } from '../keys-of.ts';
import { roomKeys } from '../pod-admission.ts';
import type { Controller } from '../run-controller.ts';
import { type JobOptions, reconcileJob } from './reconcile.ts';

export function jobController(options: JobOptions): Controller {
  return {
    name: 'job-controller',
    reconcile(snapshot, key, nowMs) {
      const job = objectAt(snapshot, 'Job', key);
      return job ? reconcileJob(snapshot, job, nowMs, options) : { changes: [] };
    },
    *keysOf(change, snapshot) {
      yield* roomKeys(change, 'Job', snapshot);
      for (const object of sidesOf(change)) {
        if (object.kind === 'Job') yield keyOf(object);
        else if (object.kind === 'Pod') {
          const key = controllerKey(object, 'Job');
          if (key !== undefined) yield key;
        }
      }
    },
  };
}
