/** Which pods a Job that goes on should have more, and which fewer. Pure. */
import type { Job, Pod } from '../../../proto/gen/types.ts';
import { inDeletionOrder } from '../replica-set/deletion-order.ts';
import { indexOf, isIndexed } from './pods.ts';
import type { Tally } from './tally.ts';

export interface PodPlan {
  /** One for each pod to make: its index, undefined when the Job has none. */
  readonly create: readonly (number | undefined)[];
  readonly remove: readonly Pod[];
}

export function planPods(job: Job, tally: Tally): PodPlan {
  if (job.spec.suspend) return { create: [], remove: tally.active };
  return isIndexed(job) ? planIndexed(job, tally) : planAlike(job, tally);
}

function planAlike(job: Job, tally: Tally): PodPlan {
  const missing = wantedActive(job, tally) - tally.active.length;
  if (missing >= 0) return { create: Array<undefined>(missing).fill(undefined), remove: [] };
  return { create: [], remove: inDeletionOrder(tally.active).slice(0, -missing) };
}

function wantedActive({ spec }: Job, { succeeded, active }: Tally): number {
  const { parallelism = 1, completions } = spec;
  if (completions !== undefined) return Math.min(parallelism, Math.max(0, completions - succeeded));
  // They share a queue: when one has found it empty, the others come to their end too.
  return succeeded > 0 ? Math.min(parallelism, active.length) : parallelism;
}

function planIndexed(job: Job, tally: Tally): PodPlan {
  const { completions = 0 } = job.spec;
  const holders = new Map<number, Pod>();
  const remove: Pod[] = [];
  // The most useful of several with the same index stays.
  for (const pod of inDeletionOrder(tally.active).reverse()) {
    const index = indexOf(pod);
    const needed = index !== undefined && index < completions && !tally.completed.has(index) && !holders.has(index);
    if (needed) holders.set(index, pod);
    else remove.push(pod);
  }
  const wanted = wantedActive(job, tally);
  const surplus = Math.max(0, holders.size - wanted);
  remove.push(...inDeletionOrder([...holders.values()]).slice(0, surplus));
  const create: number[] = [];
  for (let index = 0; index < completions && holders.size + create.length < wanted; index += 1) {
    if (!tally.completed.has(index) && !holders.has(index)) create.push(index);
  }
  return { create, remove };
}
