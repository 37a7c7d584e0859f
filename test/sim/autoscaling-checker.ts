/** Looks at every change of a number of replicas that no user asked for: only an autoscaler makes one, within its bounds. */
import { controllerOf } from '../../lib/model/object.ts';
import type { HorizontalPodAutoscaler } from '../../proto/gen/types.ts';
import type { Writer } from './store.ts';
import type { Change, Report, StoreChecker } from './store-checker.ts';

const scaled: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'ReplicaSet']);

export function checkAutoscaling(
  store: Pick<StoreChecker, 'list'>,
  changes: readonly Change[],
  writer: Writer | undefined,
  report: Report,
): void {
  if (writer?.operation !== undefined) return;
  for (const { key, object, previous } of changes) {
    if (!object || !previous || !scaled.has(object.kind) || object.metadata.uid !== previous.metadata.uid) continue;
    // Those of a Deployment are its own to scale.
    if (controllerOf(object)) continue;
    const [now, before] = [replicasOf(object), replicasOf(previous)];
    if (now === before) continue;
    const bounds = store
      .list('HorizontalPodAutoscaler')
      .map((one) => asItWas(one, changes))
      .filter(({ metadata, spec }) => {
        const { kind, name } = spec.scaleTargetRef;
        const { name: own, namespace } = object.metadata;
        return metadata.namespace === namespace && kind === object.kind && name === own;
      })
      .map(({ spec: { minReplicas = 1, maxReplicas } }) => [minReplicas, maxReplicas] as const);
    if (bounds.some(([least, most]) => now >= least && now <= most)) continue;
    const allowed = bounds.map(([least, most]) => `${least} to ${most}`).join(' or ') || 'no autoscaler';
    report('autoscaling', `${key} was scaled from ${before} to ${now} by ${writer?.process.name}: ${allowed}`);
  }
}

/** Before this transaction. */
function asItWas(autoscaler: HorizontalPodAutoscaler, changes: readonly Change[]): HorizontalPodAutoscaler {
  const change = changes.find(({ object }) => object === autoscaler);
  return (change?.previous as HorizontalPodAutoscaler | undefined) ?? autoscaler;
}

const replicasOf = (object: object): number => (object as { spec: { replicas?: number } }).spec.replicas ?? 1;
