import { keyOf } from '../../../lib/model/keys.ts';
import { controllerKey, objectAt, sidesOf } from '../keys-of.ts';
import type { Controller } from '../run-controller.ts';
import { reconcileCronJob } from './reconcile.ts';

export const cronJobController: Controller = {
  name: 'cronjob-controller',
  reconcile(snapshot, key, nowMs) {
    const cronJob = objectAt(snapshot, 'CronJob', key);
    return cronJob ? reconcileCronJob(snapshot, cronJob, nowMs) : { changes: [] };
  },
  *keysOf(change) {
    for (const object of sidesOf(change)) {
      if (object.kind === 'CronJob') yield keyOf(object);
      else if (object.kind === 'Job') {
        const key = controllerKey(object, 'CronJob');
        if (key !== undefined) yield key;
      }
    }
  },
};
