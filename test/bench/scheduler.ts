/** Pure scheduling decisions a second. `replicas`: of one workload. `mixed`: 200 shapes with selectors and tolerations. */
import { nodeInfos } from '../../control-plane/scheduler/node-info.ts';
import { schedule } from '../../control-plane/scheduler/schedule.ts';
import { strategyNames } from '../../control-plane/scheduler/strategies.ts';
import { seededRandom } from '../../lib/random.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import { node, pod } from '../unit/control-plane/scheduler/objects.ts';
import type { Report } from './report.ts';

const bench = 'scheduler';
const podCount = 10_000;
const rounds = 5;

export async function run(report: Report): Promise<void> {
  for (const nodeCount of [100, 5_000]) {
    const nodes = makeNodes(nodeCount);
    const replicas = Array.from({ length: podCount }, (_, i) =>
      pod(`web-${i}`, { owner: 'web', cpu: '10m', memory: '16Mi' }),
    );
    measure(
      report,
      `replicas/${nodeCount} nodes`,
      replicas,
      nodes,
      'least-loaded',
      nodeCount === 5_000 ? 100_000 : undefined,
    );
    measure(
      report,
      `mixed/${nodeCount} nodes`,
      mixedPods(),
      nodes,
      'least-loaded',
      nodeCount === 5_000 ? 10_000 : undefined,
    );
    for (const strategy of strategyNames.slice(1)) {
      measure(report, `replicas/${nodeCount} nodes/${strategy}`, replicas, nodes, strategy, undefined);
    }
  }
}

function measure(
  report: Report,
  metric: string,
  pods: readonly Pod[],
  nodes: readonly Node[],
  defaultStrategy: (typeof strategyNames)[number],
  target: number | undefined,
): void {
  const perSecond = Array.from({ length: rounds }, (_, round) => {
    const infos = nodeInfos(nodes, []);
    const startMs = performance.now();
    const decision = schedule(pods, infos, { defaultStrategy, state: { random: seededRandom(round), lastTurn: '' } });
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
}

function makeNodes(count: number): Node[] {
  return Array.from({ length: count }, (_, i) =>
    node(`node-${String(i).padStart(5, '0')}`, {
      cpu: ['8', '16', '32'][i % 3]!,
      memory: ['16Gi', '64Gi'][i % 2]!,
      labels: { zone: `z${i % 5}`, disk: i % 4 === 0 ? 'ssd' : 'hdd' },
      spec: i % 10 === 0 ? { taints: [{ key: 'dedicated', value: 'db', effect: 'NoSchedule' }] } : {},
    }),
  );
}

function mixedPods(): Pod[] {
  const shapes = 200;
  return Array.from({ length: podCount }, (_, i) => {
    const shape = i % shapes;
    return pod(`mixed-${i}`, {
      owner: `workload-${shape}`,
      cpu: `${10 + (shape % 7)}m`,
      memory: `${16 + (shape % 11)}Mi`,
      spec: {
        ...(shape % 3 === 0 && { nodeSelector: { zone: `z${shape % 5}` } }),
        ...(shape % 5 === 0 && { tolerations: [{ key: 'dedicated', operator: 'Exists' as const }] }),
      },
    });
  });
}
