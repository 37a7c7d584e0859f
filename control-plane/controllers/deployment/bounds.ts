/** A Deployment's strategy in numbers. */
import type { Deployment } from '../../../proto/gen/types.ts';
import type { Bounds } from './rolling-update.ts';

export function isRollingUpdate(deployment: Deployment): boolean {
  return (deployment.spec.strategy?.type ?? 'RollingUpdate') === 'RollingUpdate';
}

/** Percentages of `replicas`: surge rounds up, unavailability down; when both come to 0 one pod may be missing. */
export function boundsOf(deployment: Deployment): Bounds {
  const { replicas = 1, strategy } = deployment.spec;
  if (!isRollingUpdate(deployment)) return { replicas, maxSurge: 0, maxUnavailable: 0 };
  const { maxSurge = '25%', maxUnavailable = '25%' } = strategy?.rollingUpdate ?? {};
  const surge = resolve(maxSurge, replicas, Math.ceil);
  const unavailable = Math.min(replicas, resolve(maxUnavailable, replicas, Math.floor));
  return {
    replicas,
    maxSurge: surge,
    maxUnavailable: surge === 0 && unavailable === 0 ? Math.min(1, replicas) : unavailable,
  };
}

function resolve(value: string, replicas: number, round: (parts: number) => number): number {
  return value.endsWith('%') ? round((Number(value.slice(0, -1)) * replicas) / 100) : Number(value);
}
