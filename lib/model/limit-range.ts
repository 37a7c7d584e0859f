/** LimitRanges: what containers get that say nothing, and the bounds of what pods, containers and claims may say. Pure. */
import type {
  Container,
  KubeObject,
  LimitRange,
  LimitRangeItem,
  PersistentVolumeClaim,
  Pod,
} from '../../proto/gen/types.ts';
import { computeResources, containerAmounts, podAmounts, type ResourceAmounts } from './pod-resources.ts';
import { at, atKey } from './problems.ts';
import { parseQuantity } from './quantity.ts';
import { amountIn, amountText } from './resource-amounts.ts';

type Resources = Readonly<Record<string, string>>;

/** The item with what follows from the rest: limits from `max`, requests from limits and from `min`. */
export function withItemDefaults(item: LimitRangeItem): LimitRangeItem {
  if (item.type !== 'Container') return item;
  const limits = { ...item.max, ...item.default };
  const requests = { ...item.min, ...limits, ...item.defaultRequest };
  return {
    ...item,
    ...(Object.keys(limits).length > 0 && { default: limits }),
    ...(Object.keys(requests).length > 0 && { defaultRequest: requests }),
  };
}

function itemsOf(ranges: readonly LimitRange[], type: LimitRangeItem['type']): readonly LimitRangeItem[] {
  return ranges.flatMap(({ spec }) => (spec.limits ?? []).filter((item) => item.type === type));
}

/** The pod or template with what its containers leave out. The same one when they leave nothing out. */
export function withLimitDefaults<T extends Pick<Pod, 'spec'>>(pod: T, ranges: readonly LimitRange[]): T {
  const items = itemsOf(ranges, 'Container');
  const merged = (pick: (item: LimitRangeItem) => Resources | undefined): Resources =>
    Object.assign({}, ...items.toReversed().map(pick)); // the first one that says something counts
  const limits = merged((item) => item.default);
  const requests = merged((item) => item.defaultRequest);
  const { containers, initContainers } = pod.spec;
  const complete = (container: Container): Container => withResources(container, limits, requests);
  if ([...containers, ...(initContainers ?? [])].every((container) => complete(container) === container)) return pod;
  const init = initContainers && { initContainers: initContainers.map(complete) };
  return { ...pod, spec: { ...pod.spec, containers: containers.map(complete), ...init } };
}

function withResources(container: Container, limits: Resources, requests: Resources): Container {
  const given = container.resources ?? {};
  const allLimits = { ...limits, ...given.limits };
  // What has a limit of its own and no request, requests that.
  const allRequests = { ...requests, ...withoutPids(given.limits), ...given.requests };
  const grows = (now: Resources, before: Resources | undefined): boolean =>
    Object.keys(now).length > Object.keys(before ?? {}).length;
  if (!grows(allLimits, given.limits) && !grows(allRequests, given.requests)) return container;
  return {
    ...container,
    resources: {
      ...given,
      ...(Object.keys(allLimits).length > 0 && { limits: allLimits }),
      ...(Object.keys(allRequests).length > 0 && { requests: allRequests }),
    },
  };
}

function withoutPids({ pids: _limitOnly, ...limits }: Resources = {}): Resources {
  return limits;
}

/** What is against a claim, or a pod that has its defaults, in Kubernetes' words. Nothing is against other kinds. */
export function limitProblems(object: KubeObject, ranges: readonly LimitRange[]): readonly string[] {
  if (ranges.length === 0) return [];
  if (object.kind === 'Pod') return podProblems(object, ranges);
  return object.kind === 'PersistentVolumeClaim' ? claimProblems(object, ranges) : [];
}

/** Of several one sentence. */
export function limitSentence(problems: readonly string[]): string {
  return problems.length === 1 ? problems[0]! : `[${problems.join(', ')}]`;
}

function claimProblems({ spec }: PersistentVolumeClaim, ranges: readonly LimitRange[]): readonly string[] {
  const asked = amountIn('storage', spec.resources.requests?.storage ?? '0');
  const request = amountText('storage', asked);
  return itemsOf(ranges, 'PersistentVolumeClaim').flatMap(({ type, min, max }) => [
    ...eachOf(min, (name, least, text) =>
      asked < least ? `minimum ${name} usage per ${type} is ${text}, but request is ${request}` : undefined,
    ),
    ...eachOf(max, (name, most, text) =>
      asked > most ? `maximum ${name} usage per ${type} is ${text}, but request is ${request}` : undefined,
    ),
  ]);
}

function podProblems(pod: Pod, ranges: readonly LimitRange[]): readonly string[] {
  const lists = [
    ['containers', pod.spec.containers],
    ['initContainers', pod.spec.initContainers ?? []],
  ] as const;
  const all = lists.flatMap(([list, containers]) =>
    containers.flatMap((container, index) => [
      ...itemsOf(ranges, 'Container').flatMap((item) => itemProblems(item, containerAmounts(container))),
      ...contradictions(container, at(at('spec', list), index)),
    ]),
  );
  const together = itemsOf(ranges, 'Pod').flatMap((item) => itemProblems(item, podAmounts(pod.spec)));
  return [...new Set([...all, ...together])];
}

/** A default limit may be less than what the container requests. */
function contradictions(container: Container, path: string): readonly string[] {
  const { requests, limits } = containerAmounts(container);
  return computeResources.flatMap((name) => {
    const [request, limit] = [requests.get(name), limits.get(name)];
    if (request === undefined || limit === undefined || request <= limit) return [];
    const where = atKey(`${path}.resources.requests`, name);
    return [`${where}: ${amountText(name, request)} is more than the limit ${amountText(name, limit)}; set a limit`];
  });
}

function itemProblems(item: LimitRangeItem, { requests, limits }: ResourceAmounts): readonly string[] {
  const { type, min, max, maxLimitRequestRatio } = item;
  return [
    ...eachOf(min, (name, least, text) => {
      const what = `minimum ${name} usage per ${type} is ${text}`;
      const [request, limit] = [requests.get(name), limits.get(name)];
      if (request === undefined) return `${what}.  No request is specified`;
      if (request < least) return `${what}, but request is ${amountText(name, request)}`;
      return limit !== undefined && limit < least ? `${what}, but limit is ${amountText(name, limit)}` : undefined;
    }),
    ...eachOf(max, (name, most, text) => {
      const what = `maximum ${name} usage per ${type} is ${text}`;
      const [request, limit] = [requests.get(name), limits.get(name)];
      if (limit === undefined) return `${what}.  No limit is specified`;
      if (limit > most) return `${what}, but limit is ${amountText(name, limit)}`;
      return request !== undefined && request > most
        ? `${what}, but request is ${amountText(name, request)}`
        : undefined;
    }),
    ...eachOf(maxLimitRequestRatio, (name, _amount, text) => {
      const what = `${name} max limit to request ratio per ${type} is ${text}`;
      const [request = 0, limit = 0] = [requests.get(name), limits.get(name)];
      if (request === 0) return `${what}, but no request is specified or request is 0`;
      if (limit === 0) return `${what}, but no limit is specified or limit is 0`;
      const ratio = limit / request;
      return ratio > (parseQuantity(text) ?? 0) ? `${what}, but provided ratio is ${ratio.toFixed(6)}` : undefined;
    }),
  ];
}

function eachOf(
  list: Resources | undefined,
  check: (name: string, amount: number, text: string) => string | undefined,
): readonly string[] {
  return Object.entries(list ?? {}).flatMap(([name, text]) => check(name, amountIn(name, text), text) ?? []);
}
