/** Looks at every pod that is made: whether it is within the LimitRanges that whoever made it had to know of. */
import { parseQuantity } from '../../lib/model/quantity.ts';
import type { Container, LimitRange, LimitRangeItem, Pod } from '../../proto/gen/types.ts';
import type { Writer } from './store.ts';
import type { Change, Report, StoreChecker } from './store-checker.ts';

type Amounts = Readonly<Record<string, string>>;

/** `known`: the revision that the writer had seen, or that there was when its user asked. */
export function checkLimits(
  store: Pick<StoreChecker, 'list'>,
  changes: readonly Change[],
  { known }: Pick<Writer, 'known'>,
  report: Report,
): void {
  for (const { object, previous } of changes) {
    if (object?.kind !== 'Pod' || previous) continue;
    const ranges = store
      .list('LimitRange')
      .filter(({ metadata }) => metadata.namespace === object.metadata.namespace)
      .filter(({ metadata }) => BigInt(metadata.resourceVersion ?? 0) <= known);
    for (const range of ranges) {
      const problem = problemOf(object, range);
      if (problem) report('limits', `pod ${object.metadata.name} was made against ${range.metadata.name}: ${problem}`);
    }
  }
}

function problemOf({ spec }: Pod, range: LimitRange): string | undefined {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  const items = (range.spec.limits ?? []).filter(({ type }) => type === 'Container');
  return containers.flatMap((container) => items.flatMap((item) => itemProblem(container, item) ?? []))[0];
}

function itemProblem({ name, resources }: Container, item: LimitRangeItem): string | undefined {
  const { limits = {}, requests = {} } = resources ?? {};
  const lacks = (wanted: Amounts | undefined, given: Amounts): string | undefined =>
    Object.keys(wanted ?? {}).find((resource) => given[resource] === undefined);
  const request = lacks(item.defaultRequest, requests);
  if (request) return `container ${name} requests no ${request}`;
  const limit = lacks({ ...item.default, ...item.max }, limits);
  if (limit) return `container ${name} has no limit of ${limit}`;
  const excess = Object.entries(item.max ?? {}).find(([resource, most]) => amount(limits[resource]) > amount(most));
  return excess && `container ${name} may use ${limits[excess[0]]} of ${excess[0]}, of ${excess[1]} allowed`;
}

const amount = (text: string | undefined): number => parseQuantity(text ?? '0') ?? 0;
