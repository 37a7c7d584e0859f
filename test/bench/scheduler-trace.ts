/** Nodes and pods of the scheduler's bench: a trace that is the same everywhere. */
import { pinnedNodes } from '../../control-plane/scheduler/node-affinity.ts';
import { seededRandom } from '../../lib/random.ts';
import type { Affinity, Node, Pod, TopologySpreadConstraint } from '../../proto/gen/types.ts';
import { node, pod } from '../unit/control-plane/scheduler/objects.ts';

const zoneKey = 'topology.kubernetes.io/zone';
const hostKey = 'kubernetes.io/hostname';

export function makeNodes(count: number): Node[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `node-${String(i).padStart(5, '0')}`;
    return node(name, {
      cpu: ['8', '16', '32'][i % 3]!,
      memory: ['16Gi', '64Gi'][i % 2]!,
      labels: {
        zone: `z${i % 5}`,
        disk: i % 4 === 0 ? 'ssd' : 'hdd',
        [zoneKey]: `z${i % 5}`,
        [hostKey]: name,
      },
      spec: i % 10 === 0 ? { taints: [{ key: 'dedicated', value: 'db', effect: 'NoSchedule' }] } : {},
    });
  });
}

export function mixedPods(count: number): Pod[] {
  const shapes = 200;
  return Array.from({ length: count }, (_, i) => {
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

/**
 * Every shape has an owner, labels, requests and tolerations of its own, and, in turns: node affinity (required
 * zones), anti-affinity to itself by host, preferred anti-affinity to itself by zone, affinity to the shape
 * before it by zone, spread by zone (hard), spread by zone (soft) and host. Most have two or three of these.
 */
export function shapedPods(shapes: number, each: number): Pod[] {
  const random = seededRandom(42);
  const pods: Pod[] = [];
  for (let shape = 0; shape < shapes; shape += 1) {
    const cpu = `${50 + Math.floor(random.next() * 450)}m`;
    const memory = `${64 + Math.floor(random.next() * 960)}Mi`;
    const constraints = constraintsOf(shape);
    for (let i = 0; i < each; i += 1) {
      const made = pod(`shape-${shape}-${i}`, { owner: `workload-${shape}`, cpu, memory, spec: constraints });
      pods.push({
        ...made,
        metadata: { ...made.metadata, labels: { app: `app-${shape}`, tier: `tier-${shape % 7}` } },
      });
    }
  }
  return pods;
}

function constraintsOf(shape: number): Partial<Pod['spec']> {
  const own = { matchLabels: { app: `app-${shape}` } };
  const spread = (
    topologyKey: string,
    whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway',
  ): TopologySpreadConstraint => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable,
    labelSelector: own,
  });
  const zones = [`z${shape % 5}`, `z${(shape + 1) % 5}`, `z${(shape + 3) % 5}`];
  const nodeAffinity: Affinity['nodeAffinity'] = {
    ...(shape % 2 === 0 && {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: zoneKey, operator: 'In', values: zones }] }],
      },
    }),
  };
  const terms = { topologyKey: hostKey, labelSelector: own };
  const affinity: Affinity = {
    nodeAffinity,
    ...(shape % 3 === 0 && { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [terms] } }),
    ...(shape % 3 === 1 && {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 50, podAffinityTerm: { topologyKey: zoneKey, labelSelector: own } },
        ],
      },
    }),
    ...(shape % 10 === 7 && {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: zoneKey, labelSelector: { matchLabels: { tier: `tier-${(shape + 6) % 7}` } } },
        ],
      },
    }),
  };
  return {
    affinity,
    ...(shape % 4 === 0 && { topologySpreadConstraints: [spread(zoneKey, 'DoNotSchedule')] }),
    ...(shape % 4 === 1 && {
      topologySpreadConstraints: [spread(zoneKey, 'ScheduleAnyway'), spread(hostKey, 'ScheduleAnyway')],
    }),
    ...(shape % 5 === 0 && { tolerations: [{ key: 'dedicated', operator: 'Exists' as const }] }),
  };
}

/** As the DaemonSet controller makes them. */
export function daemonPods(nodes: readonly Node[]): Pod[] {
  const pods = nodes.map(({ metadata: { name } }) =>
    pod(`daemon-${name}`, {
      owner: 'daemon',
      cpu: '10m',
      spec: {
        tolerations: [{ operator: 'Exists' }],
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }] }],
            },
          },
        },
      },
    }),
  );
  if (pods.some((entry) => pinnedNodes(entry) === undefined)) throw new Error('daemon pods name their nodes');
  return pods;
}

/** Ten pods of several priorities fill each node's cpu. */
export function fullNodes(nodes: readonly Node[]): Pod[] {
  return nodes.flatMap(({ metadata: { name }, status }) =>
    Array.from({ length: 10 }, (_, i) =>
      pod(`${name}-${i}`, {
        owner: `filler-${i}`,
        cpu: `${Number(status!.allocatable!.cpu) * 100}m`,
        created: `2026-01-01T00:00:${String(i).padStart(2, '0')}Z`,
        spec: { nodeName: name, priority: i % 4 },
      }),
    ),
  );
}

export function urgentPods(count: number): Pod[] {
  return Array.from({ length: count }, (_, i) =>
    pod(`urgent-${i}`, { owner: 'urgent', cpu: '1500m', spec: { priority: 1000 } }),
  );
}
