/** What `ctl rollout status` says, in kubectl's sentences. Pure. */
import { findCondition } from '../../lib/model/conditions.ts';
import type { DaemonSet, Deployment, StatefulSet } from '../../proto/gen/types.ts';

export interface RolloutState {
  readonly sentence: string;
  readonly outcome: 'waiting' | 'done' | 'failed';
}

const waiting = (sentence: string): RolloutState => ({ sentence, outcome: 'waiting' });
const done = (sentence: string): RolloutState => ({ sentence, outcome: 'done' });

export function rolloutState(object: Deployment | DaemonSet | StatefulSet): RolloutState {
  if (object.kind === 'StatefulSet') return statefulSetState(object);
  return object.kind === 'Deployment' ? deploymentState(object) : daemonSetState(object);
}

/** Which pod holds it up, and why. */
export function obstacleSentence({ kind, metadata }: Deployment | DaemonSet | StatefulSet, why: string): string {
  const word = kind === 'DaemonSet' ? 'daemon set' : kind.toLowerCase();
  return `Waiting for ${word} "${metadata.name}" rollout to finish: ${why}`;
}

function deploymentState({ metadata, spec, status = {} }: Deployment): RolloutState {
  const { name, generation = 0 } = metadata;
  const unfinished = `Waiting for deployment "${name}" rollout to finish`;
  if (generation > (status.observedGeneration ?? 0)) {
    return waiting('Waiting for deployment spec update to be observed...');
  }
  const progressing = findCondition(status.conditions, 'Progressing');
  if (progressing?.reason === 'ProgressDeadlineExceeded') {
    return { sentence: `deployment "${name}" exceeded its progress deadline`, outcome: 'failed' };
  }
  if (progressing?.reason === 'ConfigurationMissing') return waiting(`${unfinished}: ${progressing.message}...`);
  const wanted = spec.replicas ?? 1;
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  if (spec.paused && updatedReplicas < wanted) {
    return waiting(`${unfinished}: it is paused, until \`ctl rollout resume deploy/${name}\`...`);
  }
  if (updatedReplicas < wanted) {
    return waiting(`${unfinished}: ${updatedReplicas} out of ${wanted} new replicas have been updated...`);
  }
  if (replicas > updatedReplicas) {
    return waiting(`${unfinished}: ${replicas - updatedReplicas} old replicas are pending termination...`);
  }
  if (availableReplicas < updatedReplicas) {
    return waiting(`${unfinished}: ${availableReplicas} of ${updatedReplicas} updated replicas are available...`);
  }
  return done(`deployment "${name}" successfully rolled out`);
}

function daemonSetState({ metadata, spec, status = {} }: DaemonSet): RolloutState {
  const { name, generation = 0 } = metadata;
  if (spec.updateStrategy?.type === 'OnDelete') {
    return failed('rollout status is only available for RollingUpdate strategy type');
  }
  if (generation > (status.observedGeneration ?? 0)) {
    return waiting('Waiting for daemon set spec update to be observed...');
  }
  const { desiredNumberScheduled = 0, updatedNumberScheduled = 0, numberAvailable = 0 } = status;
  const unfinished = `Waiting for daemon set "${name}" rollout to finish`;
  if (updatedNumberScheduled < desiredNumberScheduled) {
    const counts = `${updatedNumberScheduled} out of ${desiredNumberScheduled}`;
    return waiting(`${unfinished}: ${counts} new pods have been updated...`);
  }
  if (numberAvailable < desiredNumberScheduled) {
    const counts = `${numberAvailable} of ${desiredNumberScheduled}`;
    return waiting(`${unfinished}: ${counts} updated pods are available...`);
  }
  return done(`daemon set "${name}" successfully rolled out`);
}

function statefulSetState({ metadata, spec, status = {} }: StatefulSet): RolloutState {
  const { replicas = 1, updateStrategy, ordinals } = spec;
  if (updateStrategy?.type === 'OnDelete') {
    return failed('rollout status is only available for RollingUpdate strategy type');
  }
  if ((metadata.generation ?? 0) > (status.observedGeneration ?? 0)) {
    return waiting('Waiting for statefulset spec update to be observed...');
  }
  const { readyReplicas = 0, updatedReplicas = 0, updateRevision = '', currentRevision } = status;
  if (readyReplicas < replicas) return waiting(`Waiting for ${replicas - readyReplicas} pods to be ready...`);
  const partition = updateStrategy?.rollingUpdate?.partition ?? 0;
  if (partition > 0) {
    const wanted = Math.max(0, (ordinals?.start ?? 0) + replicas - partition);
    if (updatedReplicas < wanted) {
      const counts = `${updatedReplicas} out of ${wanted} new pods have been updated`;
      return waiting(`Waiting for partitioned roll out to finish: ${counts}...`);
    }
    return done(`partitioned roll out complete: ${updatedReplicas} new pods have been updated...`);
  }
  if (updateRevision !== currentRevision) {
    const counts = `${updatedReplicas} pods at revision ${updateRevision}`;
    return waiting(`waiting for statefulset rolling update to complete ${counts}...`);
  }
  return done(
    `statefulset rolling update complete ${status.currentReplicas ?? 0} pods at revision ${currentRevision}...`,
  );
}

function failed(sentence: string): RolloutState {
  return { sentence, outcome: 'failed' };
}
