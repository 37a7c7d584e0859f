/** Why a pod waits: what each node says, and the summary that its condition shows. Pure. */
import type { Pod } from '../../proto/gen/types.ts';
import { type Check, checksFor, type Filter, filters, firstReason } from './filters.ts';
import { type Neighbourhood, neighbourhood, neighbourReason } from './neighbourhood.ts';
import { pinnedNodes } from './node-affinity.ts';
import type { Picture } from './picture.ts';

export interface NodeVerdict {
  readonly nodeName: string;
  /** Absent: the pod fits. */
  readonly reason?: string;
}

/** What each node says to the pod: its first reason, and of what there is too little all of it, with figures. */
export function verdicts(
  pod: Pod,
  picture: Picture,
  neighbours: Neighbourhood = neighbourhood(pod, picture),
  asked: readonly Filter[] = filters,
): NodeVerdict[] {
  const asking = asked.flatMap((filter) => {
    const check = filter.checkFor(pod);
    return check ? [{ filter, check, detail: filter.detailFor?.(pod, picture.infos) }] : [];
  });
  return picture.infos.map((info) => {
    const refusing = asking.filter(({ check }) => check(info) !== undefined);
    const short = refusing.filter(({ filter }) => filter.shortage !== undefined);
    const [first] = refusing;
    const told = first && short.includes(first) ? short : refusing.slice(0, 1);
    const reasons = told.map(({ filter, check, detail }) => {
      const missing = filter.shortage?.(pod, info) ?? detail?.(info);
      return missing === undefined ? check(info)! : `${check(info)!}: ${missing}`;
    });
    const reason = first ? reasons.join('; ') : neighbourReason(neighbours, info);
    return { nodeName: info.name, ...(reason !== undefined && { reason }) };
  });
}

/** Why no node takes the pod, node counts by reason, the most frequent first. */
export function explain(
  pod: Pod,
  picture: Picture,
  neighbours: Neighbourhood = neighbourhood(pod, picture),
  asked: readonly Filter[] = filters,
): string {
  const { infos } = picture;
  if (infos.length === 0) {
    return '0/0 nodes fit: the cluster has no nodes; join one with a token from `ctl token create`';
  }
  const counts = new Map<string, number>();
  const add = (reason: string, nodes: number): void => {
    if (nodes > 0) counts.set(reason, (counts.get(reason) ?? 0) + nodes);
  };
  // Of a pod that is meant for some nodes by name the others need not be asked.
  const meant = meantFor(pod, picture);
  add('not matching node affinity', infos.length - meant.length);
  const checks = [...checksFor(pod, asked), neighbourCheck(neighbours)];
  let fitting = 0;
  for (const info of meant) {
    const reason = firstReason(checks, info);
    if (reason === undefined) fitting += 1;
    else add(reason, 1);
  }
  const reasons = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return `${fitting}/${infos.length} nodes fit: ${reasons.map(([reason, nodes]) => `${nodes} ${reason}`).join(', ')}`;
}

function meantFor(pod: Pod, picture: Picture) {
  const pinned = pinnedNodes(pod);
  return pinned ? [...new Set(pinned)].flatMap((name) => picture.info(name) ?? []) : picture.infos;
}

function neighbourCheck(neighbours: Neighbourhood): Check {
  return (info) => neighbourReason(neighbours, info);
}
