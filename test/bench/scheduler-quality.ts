/**
 * Placement quality: by how much the total imbalance of what the scheduler made of a trace (scheduler-bound.ts) is above
 * that of the best placement that a search found which knows all pods beforehand (scheduler-offline.ts), and above a
 * lower bound that no placement can be below. The optimum is between the two; how far they are apart says how well it is
 * known.
 */
import { pictureOf } from '../../control-plane/scheduler/picture.ts';
import { requestsOf } from '../../control-plane/scheduler/requests.ts';
import { type Binding, schedule } from '../../control-plane/scheduler/schedule.ts';
import { seededRandom } from '../../lib/random.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import type { Report } from './report.ts';
import { imbalanceBound, totalImbalance } from './scheduler-bound.ts';
import { refusal, searchOffline } from './scheduler-offline.ts';

const bench = 'scheduler';
/** Of each search; some ten seconds. The result is the same everywhere. */
const tries = 60_000_000;
const atMost = 2;

export function reportQuality(
  report: Report,
  metric: string,
  bindings: readonly Binding[],
  nodes: readonly Node[],
): void {
  const placed = bindings.map(bound);
  mustHold('the scheduler', nodes, placed);
  const best = bestOffline(nodes, placed);
  const lowerBound = imbalanceBound(
    nodes,
    bindings.map(({ pod }) => pod),
  );
  const made = totalImbalance(nodes, placed);
  const above = (what: string, value: number, reference: number, target?: number): void =>
    report({
      bench,
      metric: `${metric}/${what}`,
      value: 100 * (value / reference - 1),
      unit: '%',
      ...(target !== undefined && { target: { bound: '<=' as const, value: target } }),
    });
  above('total imbalance above the best found offline', made, best, atMost);
  above('total imbalance above a lower bound of the optimum', made, lowerBound);
  above('the best found offline above that lower bound', best, lowerBound);
}

/** From the scheduler's own placement, and from one in which the largest pods had the first choice. */
function bestOffline(nodes: readonly Node[], placed: readonly Pod[]): number {
  const starts = [placed, largestFirst(nodes, placed)].filter((start) => start.length === placed.length);
  return Math.min(
    ...starts.map((start) => {
      const found = searchOffline(nodes, start, { tries });
      mustHold('the offline search', nodes, found);
      return totalImbalance(nodes, found);
    }),
  );
}

function largestFirst(nodes: readonly Node[], placed: readonly Pod[]): Pod[] {
  const picture = pictureOf(nodes, []);
  const { cpuMillis, memoryBytes } = picture.nodes.capacity;
  const size = (pod: Pod): number => requestsOf(pod).cpuMillis / cpuMillis + requestsOf(pod).memoryBytes / memoryBytes;
  const ranks = new Map([...new Set(placed.map(size))].sort((a, b) => a - b).map((of, rank) => [of, rank]));
  const pending = placed.map((pod): Pod => {
    const { nodeName: _before, ...spec } = pod.spec;
    return { ...pod, spec: { ...spec, priority: ranks.get(size(pod))! } };
  });
  const state = { random: seededRandom(1), lastTurn: '' };
  return schedule(pending, picture, { defaultStrategy: 'least-loaded', state }).bindings.map(bound);
}

function bound({ pod, node }: Binding): Pod {
  return { ...pod, spec: { ...pod.spec, nodeName: node.metadata.name } };
}

function mustHold(whose: string, nodes: readonly Node[], placed: readonly Pod[]): void {
  const reason = refusal(nodes, placed);
  if (reason !== undefined) throw new Error(`${whose} broke a constraint: ${reason}`);
}
