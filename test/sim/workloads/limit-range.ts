/** What containers get that do not say how much memory they want; and what none may want. */
import type { LimitRange, LimitRangeItem } from '../../../proto/gen/types.ts';
import { pick, type Workload } from './workload.ts';

/** Memory there is enough of: pods that ask for little must fit beside all others. */
const items: readonly LimitRangeItem[] = [
  { type: 'Container', default: { memory: '512Mi' }, defaultRequest: { memory: '32Mi' } },
  { type: 'Container', default: { memory: '384Mi' }, defaultRequest: { memory: '48Mi' } },
  { type: 'Container', defaultRequest: { memory: '16Mi' } },
];
/** Pods that ask for more are refused. */
const narrow: LimitRangeItem = {
  type: 'Container',
  max: { memory: '200Mi' },
  default: { memory: '100Mi' },
  defaultRequest: { memory: '16Mi' },
};

export const limitRange: Workload = {
  kind: 'LimitRange',
  weight: 0.7,
  make: (name, random) => ({
    apiVersion: 'v1',
    kind: 'LimitRange',
    metadata: { name, namespace: 'default' },
    spec: { limits: [random.next() < 0.2 ? narrow : pick(items, random)] },
  }),
  change: (object, random) => limitRange.make(object.metadata.name, random, 0),
  load: () => 0,
  problem: () => undefined,
};

/** Whether workloads that users make may be out of its bounds. */
export function refusesPods({ spec }: LimitRange): boolean {
  return spec.limits?.some(({ max }) => max !== undefined) === true;
}
