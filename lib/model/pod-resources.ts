/** What a pod's containers ask for together, and one by one. Pure. */
import type { Container, PodSpec } from '../../proto/gen/types.ts';
import { type Amounts, amountIn } from './resource-amounts.ts';
import { fromSharedParts } from './shared-parts.ts';

/** What containers request and are limited to. */
export const computeResources = ['cpu', 'memory', 'ephemeral-storage'] as const;

/** Only the resources that are spoken of. */
export interface ResourceAmounts {
  readonly requests: Amounts;
  readonly limits: Amounts;
}

const containerCache = new WeakMap<Container, ResourceAmounts>();

/** A request that is not made is as large as the limit. Containers never change in place. */
export function containerAmounts(container: Container): ResourceAmounts {
  let amounts = containerCache.get(container);
  if (!amounts) {
    const { limits = {}, requests } = container.resources ?? {};
    amounts = { requests: read({ ...limits, ...requests }), limits: read(limits) };
    containerCache.set(container, amounts);
  }
  return amounts;
}

function read(list: Readonly<Record<string, string>>): Amounts {
  return new Map(
    computeResources.flatMap((name) => (list[name] === undefined ? [] : [[name, amountIn(name, list[name])]])),
  );
}

/**
 * Containers run together, init containers one after another before them: the larger of the sum of the former and the
 * largest of the latter.
 */
export const podAmounts: (spec: PodSpec) => ResourceAmounts = fromSharedParts(['initContainers'], (spec) => {
  const main = spec.containers.map(containerAmounts);
  const first = (spec.initContainers ?? []).map(containerAmounts);
  const total = (list: keyof ResourceAmounts): Amounts =>
    together(
      main.map((one) => one[list]),
      first.map((one) => one[list]),
    );
  return { requests: total('requests'), limits: total('limits') };
});

function together(main: readonly Amounts[], first: readonly Amounts[]): Amounts {
  const total = new Map<string, number>();
  for (const one of main) for (const [name, amount] of one) total.set(name, (total.get(name) ?? 0) + amount);
  for (const one of first) for (const [name, amount] of one) total.set(name, Math.max(total.get(name) ?? 0, amount));
  return total;
}
