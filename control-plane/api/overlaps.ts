/**
 * Workloads whose selectors take in one another's pods. Each keeps to the pods that it made, so that nothing breaks;
 * but services, budgets, autoscalers and `ctl -l` go by labels and take them together, which nobody means: a warning.
 *
 * Selectors are found by one of their labels, so that ten thousand workloads in a namespace cost no more than one.
 */

import { keyOf } from '../../lib/model/keys.ts';
import { matchesSelector } from '../../lib/model/labels.ts';
import { controllerOf, revisionOf } from '../../lib/model/object.ts';
import { podSelectorOf, podTemplateOf } from '../../lib/model/workloads.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import { ObjectIndex } from '../state/object-index.ts';
import type { ApiDependencies } from './dependencies.ts';
import { nameOf } from './objects.ts';

export interface Overlaps {
  /** Sentences for its author. */
  warnings(object: KubeObject): readonly string[];
  /** Resolves when everything up to this revision is known here. */
  seen(revision: bigint, signal: AbortSignal): Promise<void>;
}

const selecting: ReadonlySet<string> = new Set(['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet']);
const namesShown = 3;

/** Follows the state from the first question on. */
export function createOverlaps(state: ClusterState): Overlaps {
  const bySelector = new ObjectIndex<KubeObject>();
  const byPodLabel = new ObjectIndex<KubeObject>();
  const move = (key: string, before: KubeObject | undefined, after: KubeObject | undefined): void => {
    bySelector.move(key, selectorGroups(before), selectorGroups(after), after);
    byPodLabel.move(key, labelGroups(before), labelGroups(after), after);
  };
  let follows = false;
  const follow = (): void => {
    if (follows) return;
    follows = true;
    for (const [key, object] of state.all()) if (isWorkload(object)) move(key, undefined, object);
    state.onChange((changes) => {
      for (const { key, object, previous } of changes) {
        const [before, after] = [previous, object].map((side) => (side && isWorkload(side) ? side : undefined));
        if (before || after) move(key, before, after);
      }
    });
  };
  return {
    seen: (revision, signal) => state.waitFor(revision, signal),
    warnings(object) {
      if (!isWorkload(object)) return [];
      follow();
      const candidates = [
        ...labelGroups(object).flatMap((group) => bySelector.of(group)),
        ...selectorGroups(object).flatMap((group) => byPodLabel.of(group)),
      ];
      const own = keyOf(object);
      const others = [...new Set(candidates)].filter((other) => keyOf(other) !== own && overlap(object, other));
      return others.length === 0 ? [] : [sentence(object, others)];
    },
  };
}

const patienceMs = 100;

/** Waits a moment for this replica to have seen the object, so that of two that are written together one is warned. */
export async function overlapWarnings(
  { overlaps, clock }: Pick<ApiDependencies, 'overlaps' | 'clock'>,
  object: KubeObject,
): Promise<readonly string[]> {
  if (!overlaps || !isWorkload(object)) return [];
  const enough = new AbortController();
  const timer = clock.schedule(patienceMs, () => enough.abort());
  await overlaps.seen(revisionOf(object), enough.signal).catch(() => {});
  timer.cancel();
  return overlaps.warnings(object);
}

/** Those of a Deployment are its own business. */
function isWorkload(object: KubeObject): boolean {
  return selecting.has(object.kind) && controllerOf(object) === undefined;
}

function overlap(a: KubeObject, b: KubeObject): boolean {
  return selects(a, b) || selects(b, a);
}

function selects(a: KubeObject, b: KubeObject): boolean {
  const selector = podSelectorOf(a);
  return selector !== undefined && matchesSelector(selector, podTemplateOf(b)?.metadata?.labels);
}

/** One label without which nothing is selected; or the namespace, for a selector of expressions. */
function selectorGroups(object: KubeObject | undefined): readonly string[] {
  if (!object) return [];
  const [pair] = Object.entries(podSelectorOf(object)?.matchLabels ?? {}).sort();
  return [group(object, pair)];
}

function labelGroups(object: KubeObject | undefined): readonly string[] {
  if (!object) return [];
  const pairs = Object.entries(podTemplateOf(object)?.metadata?.labels ?? {});
  return [group(object, undefined), ...pairs.map((pair) => group(object, pair))];
}

function group({ metadata }: KubeObject, pair: readonly [string, string] | undefined): string {
  return `${metadata.namespace ?? ''}/${pair ? pair.join('=') : ''}`;
}

function sentence(object: KubeObject, others: readonly KubeObject[]): string {
  const names = others.slice(0, namesShown).map(nameOf).join(', ');
  const more = others.length > namesShown ? ` and ${others.length - namesShown} more` : '';
  const cure = 'give each a label of its own, in selector and template';
  return `${nameOf(object)} and ${names}${more} select one another's pods. Each keeps to those that it made, but what goes by labels (services, budgets, ctl -l) takes them together; ${cure}`;
}
