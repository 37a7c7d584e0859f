/** What `ctl rollout status` says, in kubectl's sentences. Pure. */
import { findCondition } from '../../lib/model/conditions.ts';
import type { Deployment } from '../../proto/gen/types.ts';

export interface RolloutState {
  readonly sentence: string;
  readonly outcome: 'waiting' | 'done' | 'failed';
}

export function rolloutState({ metadata, spec, status = {} }: Deployment): RolloutState {
  const waiting = (what: string): RolloutState => ({ sentence: what, outcome: 'waiting' });
  const { name, generation = 0 } = metadata;
  const unfinished = `Waiting for deployment "${name}" rollout to finish`;
  if (generation > (status.observedGeneration ?? 0)) {
    return waiting('Waiting for deployment spec update to be observed...');
  }
  const progressing = findCondition(status.conditions, 'Progressing');
  if (progressing?.reason === 'ProgressDeadlineExceeded') {
    return { sentence: `deployment "${name}" exceeded its progress deadline`, outcome: 'failed' };
  }
  const wanted = spec.replicas ?? 1;
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  if (updatedReplicas < wanted) {
    return waiting(`${unfinished}: ${updatedReplicas} out of ${wanted} new replicas have been updated...`);
  }
  if (replicas > updatedReplicas) {
    return waiting(`${unfinished}: ${replicas - updatedReplicas} old replicas are pending termination...`);
  }
  if (availableReplicas < updatedReplicas) {
    return waiting(`${unfinished}: ${availableReplicas} of ${updatedReplicas} updated replicas are available...`);
  }
  return { sentence: `deployment "${name}" successfully rolled out`, outcome: 'done' };
}
