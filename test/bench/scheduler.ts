/**
 * Pure scheduling. `replicas`: of one workload. `mixed`: 200 shapes with selectors and tolerations. `shapes`: 1,000 shapes
 * with node affinity, pod affinity and anti-affinity and topology spread (scheduler-trace.ts). `daemons`: one pod for each
 * node. `preemption`: pods that need others to go, all nodes full.
 *
 * Placement quality, on the trace of 1,000 shapes: scheduler-quality.ts.
 */
import { type Picture, pictureOf } from '../../control-plane/scheduler/picture.ts';
import { type Decision, schedule } from '../../control-plane/scheduler/schedule.ts';
import { type StrategyName, strategyNames } from '../../control-plane/scheduler/strategies.ts';
import { seededRandom } from '../../lib/random.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import { pod } from '../unit/control-plane/scheduler/objects.ts';
import type { Report } from './report.ts';
import { reportQuality } from './scheduler-quality.ts';
import { daemonPods, fullNodes, makeNodes, mixedPods, shapedPods, urgentPods } from './scheduler-trace.ts';

const bench = 'scheduler';
const rounds = 5;

export async function run(report: Report): Promise<void> {
  for (const nodeCount of [100, 5_000]) {
    const nodes = makeNodes(nodeCount);
    const large = nodeCount === 5_000;
    const replicas = Array.from({ length: 10_000 }, (_, i) =>
      pod(`web-${i}`, { owner: 'web', cpu: '10m', memory: '16Mi' }),
    );
    measure(report, `replicas/${nodeCount} nodes`, replicas, pictureOf(nodes, []), large ? 100_000 : undefined);
    measure(report, `mixed/${nodeCount} nodes`, mixedPods(10_000), pictureOf(nodes, []), large ? 10_000 : undefined);
    for (const strategy of strategyNames.slice(1)) {
      measure(report, `replicas/${nodeCount} nodes/${strategy}`, replicas, pictureOf(nodes, []), undefined, strategy);
    }
  }
  const nodes = makeNodes(5_000);
  for (const each of [10, 50]) {
    const pods = shapedPods(1_000, each);
    const metric = `shapes/1,000 with affinity and spread, ${each} pods each`;
    const decision = measure(report, metric, pods, pictureOf(nodes, []), 10_000);
    report({ bench, metric: `${metric}/placed`, value: (100 * decision.bindings.length) / pods.length, unit: '%' });
    reportQuality(report, metric, decision.bindings, nodes);
  }
  measure(report, 'daemons/5,000 nodes', daemonPods(nodes), pictureOf(nodes, []));
  measurePreemption(report, nodes);
}

/** The median of several rounds; the picture is as before after each. */
function measure(
  report: Report,
  metric: string,
  pods: readonly Pod[],
  picture: Picture,
  target?: number,
  defaultStrategy: StrategyName = 'least-loaded',
): Decision {
  let decision: Decision | undefined;
  const perSecond = Array.from({ length: rounds }, (_, round) => {
    const fresh = pods.map((entry) => ({ ...entry })); // nothing may be remembered of a pod from the round before
    const startMs = performance.now();
    decision = schedule(fresh, picture, { defaultStrategy, state: { random: seededRandom(round), lastTurn: '' } });
    const elapsedMs = performance.now() - startMs;
    if (decision.bindings.length === 0) throw new Error(`${metric}: nothing was placed`);
    return (pods.length / elapsedMs) * 1000;
  });
  const median = perSecond.sort((a, b) => a - b)[rounds >> 1]!;
  report({
    bench,
    metric,
    value: median,
    unit: 'decisions/s',
    ...(target !== undefined && { target: { bound: '>=' as const, value: target } }),
  });
  return decision!;
}

/** Passes in which nothing fits without others going: searches a second, and that each finds somebody. */
function measurePreemption(report: Report, nodes: readonly Node[]): void {
  const picture = pictureOf(nodes, fullNodes(nodes));
  const pods = urgentPods(1_000);
  const state = { random: seededRandom(1), lastTurn: '' };
  const perPassMs: number[] = [];
  let found = 0;
  for (let round = 0; round < rounds; round += 1) {
    const startMs = performance.now();
    const decision = schedule(pods, picture, { defaultStrategy: 'least-loaded', state });
    perPassMs.push(performance.now() - startMs);
    found = decision.preemptions.length;
    if (found === 0) throw new Error('nobody would be preempted');
  }
  const median = perPassMs.sort((a, b) => a - b)[rounds >> 1]!;
  report({ bench, metric: 'preemption/5,000 full nodes, 1,000 urgent pods: a pass', value: median, unit: 'ms' });
  report({ bench, metric: 'preemption/nodes made free in a pass', value: found, unit: 'nodes' });
}
