/**
 * Preemption within one pass: asks preempt.ts for pods that fit nowhere, one after another in the order of their turns,
 * and keeps the room that is being made for them in the picture, so that nobody who comes later takes it.
 *
 * What a victim holds stays counted until it is gone: later pods of the pass see the node fuller, never emptier.
 */
import { priorityOf } from '../../lib/model/priority.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import { filters as allFilters, type Filter, isStatic, verdict } from './filters.ts';
import type { NodeInfo } from './node-info.ts';
import type { Picture } from './picture.ts';
import { type Budget, mayPreempt, type Preemption, preempt } from './preempt.ts';

export interface PodPreemption extends Preemption {
  readonly pod: Pod;
}

export interface MadeRoom {
  /** Where the pod has room to come, from now or from before. */
  readonly node?: Node;
  readonly preemption?: PodPreemption;
}

/** Searches in one pass; the others have their turn in the next. */
const mostSearches = 16;

export function evictionRound(
  picture: Picture,
  given: readonly Budget[],
  filters: readonly Filter[] = allFilters,
): (pod: Pod) => MadeRoom {
  const chosen = new Set<Pod>();
  let budgets = given;
  let lowest: number | undefined;
  let searches = 0;

  return (pod) => {
    const nominated = picture.info(pod.status?.nominatedNodeName ?? '');
    if (nominated && isRoomComing(pod, nominated, filters)) {
      picture.reserve(nominated, pod);
      return { node: nominated.node };
    }
    lowest ??= lowestPriority(picture.infos);
    if (!mayPreempt(pod) || priorityOf(pod) <= lowest || searches >= mostSearches) return {};
    searches += 1;
    const found = preempt(pod, picture, budgets, { leaving: chosen, filters });
    if (!found) return {};
    const { node, victims } = found;
    picture.reserve(picture.info(node.metadata.name)!, pod);
    for (const victim of victims) chosen.add(victim);
    budgets = charged(budgets, victims);
    return { node, preemption: { pod, node, victims } };
  };
}

/** Somebody is still leaving the node on which the pod could run. */
export function isRoomComing(pod: Pod, info: NodeInfo, filters: readonly Filter[] = allFilters): boolean {
  return (
    verdict(pod, info, filters.filter(isStatic)) === undefined &&
    info.pods.some(({ metadata }) => metadata.deletionTimestamp !== undefined)
  );
}

/** Of the pods that run somewhere; nobody below it can be found. */
function lowestPriority(infos: readonly NodeInfo[]): number {
  let lowest = Number.POSITIVE_INFINITY;
  for (const info of infos) {
    for (const pod of info.pods) if (pod.spec.nodeName !== undefined) lowest = Math.min(lowest, priorityOf(pod));
  }
  return lowest;
}

function charged(budgets: readonly Budget[], victims: readonly Pod[]): readonly Budget[] {
  return budgets.map((budget) => {
    const used = victims.filter((victim) => budget.covers(victim)).length;
    return used === 0 ? budget : { ...budget, allowed: budget.allowed - used };
  });
}
