/** Which taints a pod bears: the one place where Kubernetes' rules of tolerations are kept. Pure. */
import type { Taint, Toleration } from '../../proto/gen/types.ts';

/** No effect tolerates every effect; operator Exists without a key tolerates every taint. */
export function tolerates({ key, operator = 'Equal', value = '', effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (operator === 'Exists') return !key || key === taint.key;
  return key === taint.key && value === (taint.value ?? '');
}

export function isTolerated(taint: Taint, tolerations: readonly Toleration[] | undefined): boolean {
  return (tolerations ?? []).some((toleration) => tolerates(toleration, taint));
}
