/** The nodes that could take one more pod of a class, without asking every filter about every node each time. */
import type { Pod } from '../../proto/gen/types.ts';
import { type Check, checksFor, type Filter, firstReason, isStatic } from './filters.ts';
import { pinnedNodes } from './node-affinity.ts';
import type { NodeInfo } from './node-info.ts';
import type { Picture } from './picture.ts';

/** In the order of names. `asked`: what else the node is asked, after the filters. */
export function candidatesFor(
  pod: Pod,
  picture: Picture,
  filters: readonly Filter[],
  asked: readonly Check[],
): NodeInfo[] {
  const pinned = pinnedNodes(pod);
  if (pinned) {
    const checks = [...checksFor(pod, filters), ...asked];
    const infos = [...new Set(pinned)].sort().flatMap((name) => picture.info(name) ?? []);
    return infos.filter((info) => firstReason(checks, info) === undefined);
  }
  const checks = [
    ...checksFor(
      pod,
      filters.filter((filter) => !isStatic(filter)),
    ),
    ...asked,
  ];
  return passingStatic(pod, picture, filters.filter(isStatic)).filter(
    (info) => firstReason(checks, info) === undefined,
  );
}

/** Pods mostly ask the same of the nodes themselves: nobody has to be asked twice. */
function passingStatic(pod: Pod, picture: Picture, filters: readonly Filter[]): readonly NodeInfo[] {
  const asking = filters.filter((filter) => filter.checkFor(pod) !== undefined);
  const key = JSON.stringify(asking.map((filter) => [filter.name, filter.reads!(pod)]));
  return picture.nodes.listed(key, () => {
    const answers = asking.flatMap((filter) => staticAnswers(filter, pod, picture) ?? []);
    return picture.infos.filter((_info, index) => answers.every((answer) => answer[index] === 1));
  });
}

/** Which nodes pass a filter that looks at nothing but the nodes, by their index; undefined when all do. */
export function staticAnswers(filter: Filter, pod: Pod, picture: Picture): Uint8Array | undefined {
  const check = filter.checkFor(pod);
  if (!check) return undefined;
  const key = `${filter.name} ${JSON.stringify(filter.reads!(pod))}`;
  return picture.nodes.answers(key, (info) => check(info) === undefined);
}
