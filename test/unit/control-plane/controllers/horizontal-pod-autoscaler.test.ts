/** HorizontalPodAutoscaler: the documented formula and rules, and the controller over a small cluster. */
import { describe, expect, it } from 'vitest';
import {
  decide,
  type History,
  type Limits,
} from '../../../../control-plane/controllers/horizontal-pod-autoscaler/behavior.ts';
import type { Memory } from '../../../../control-plane/controllers/horizontal-pod-autoscaler/memory.ts';
import { proposeReplicas } from '../../../../control-plane/controllers/horizontal-pod-autoscaler/proposal.ts';
import { reconcileAutoscaler } from '../../../../control-plane/controllers/horizontal-pod-autoscaler/reconcile.ts';
import type { PodUsage } from '../../../../control-plane/metrics/pod-usage.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { timestamp } from '../../../../lib/clock.ts';
import { rulesOf } from '../../../../lib/model/autoscaling.ts';
import { findCondition } from '../../../../lib/model/conditions.ts';
import { withDefaults } from '../../../../lib/model/defaults.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import type {
  Deployment,
  HorizontalPodAutoscaler,
  KubeObject,
  MetricTarget,
  Pod,
  ResourceMetricSource,
} from '../../../../proto/gen/types.ts';

const nowMs = Date.parse('2026-01-01T12:00:00Z');
const minuteMs = 60_000;

interface Shape {
  readonly cpu?: string;
  readonly memory?: string;
  readonly phase?: 'Pending' | 'Running' | 'Failed';
  readonly ready?: boolean;
  /** Before now. */
  readonly startedMs?: number;
  readonly turnedMs?: number;
  readonly deleting?: boolean;
}

function podOf(name: string, shape: Shape = {}): Pod {
  const { cpu = '100m', memory = '100Mi', phase = 'Running', ready = true, startedMs = 60 * minuteMs } = shape;
  const at = (beforeMs: number): string => timestamp(nowMs - beforeMs);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      resourceVersion: '1',
      labels: { app: 'web' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'rs', controller: true }],
      ...(shape.deleting && { deletionTimestamp: at(0) }),
    },
    spec: {
      nodeName: 'n1',
      containers: [
        {
          name: 'app',
          image: 'busybox:1',
          resources: { requests: { ...(cpu && { cpu }), ...(memory && { memory }) } },
        },
      ],
    },
    status: {
      phase,
      startTime: at(startedMs),
      conditions: [
        { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: at(shape.turnedMs ?? startedMs - 1000) },
      ],
    },
  };
}

function deploymentOf(
  replicas: number,
  requests: Record<string, string> = { cpu: '100m', memory: '100Mi' },
): Deployment {
  const labels = { app: 'web' };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default', uid: 'deploy', generation: 3, resourceVersion: '1' },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'app', image: 'busybox:1', resources: { requests } }] },
      },
    },
  };
}

const utilization = (name: 'cpu' | 'memory', averageUtilization: number): ResourceMetricSource => ({
  name,
  target: { type: 'Utilization', averageUtilization },
});
const average = (name: 'cpu' | 'memory', averageValue: string): ResourceMetricSource => ({
  name,
  target: { type: 'AverageValue', averageValue },
});

/** Millis of cpu or mebibytes; undefined: no figure. */
type Figure = number | undefined;

function usage(name: 'cpu' | 'memory', figure: Figure): PodUsage | undefined {
  if (figure === undefined) return undefined;
  const [cpuMillis, memoryBytes] = name === 'cpu' ? [figure, 0] : [0, figure * 1024 * 1024];
  return { cpuMillis, memoryBytes, atMs: nowMs, windowMs: 15_000 };
}

function propose(
  metric: ResourceMetricSource,
  figures: readonly Figure[],
  shapes: readonly Shape[] = [],
  current = figures.length,
) {
  const pods = figures.map((_figure, index) => podOf(`web-${index}`, shapes[index]));
  return proposeReplicas({
    metric,
    target: deploymentOf(current),
    pods,
    currentReplicas: current,
    usageOf: (pod) => usage(metric.name, figures[pods.indexOf(pod)]),
    tolerance: { above: 0.1, below: 0.1 },
    nowMs,
  });
}

describe('how many replicas a metric asks for', () => {
  const starting: Shape = { ready: false, startedMs: minuteMs };
  const cases: readonly [string, ResourceMetricSource, readonly Figure[], readonly Shape[], number, number][] = [
    // what, metric, use of each pod, pods, current, wanted
    ['200m against 100m: twice as many', average('cpu', '100m'), [200, 200], [], 2, 4],
    ['50m against 100m: half as many', average('cpu', '100m'), [50, 50, 50, 50], [], 4, 2],
    ['rounded up', utilization('cpu', 50), [60, 60, 60], [], 3, 4],
    ['within the tolerance above: as it is', utilization('cpu', 100), [110, 110], [], 2, 2],
    ['beyond the tolerance: one more', utilization('cpu', 100), [112, 112], [], 2, 3],
    ['within the tolerance below: as it is', utilization('cpu', 100), [90, 90], [], 2, 2],
    ['idle: none', utilization('cpu', 50), [0, 0, 0], [], 3, 0],
    ['memory, in relation to requests', utilization('memory', 50), [100, 100], [], 2, 4],
    ['memory, as an amount', average('memory', '50Mi'), [150, 50], [], 2, 4],
    ['missing figures and growing: the missing use nothing', utilization('cpu', 50), [100, 100, undefined], [], 3, 4],
    ['missing figures and growing: not beyond what is certain', utilization('cpu', 50), [60, undefined], [], 2, 2],
    [
      'missing figures and shrinking: the missing use all',
      utilization('cpu', 100),
      [20, 20, undefined, undefined],
      [],
      4,
      3,
    ],
    ['missing figures, above 100 %: the missing use the target', utilization('cpu', 200), [20, undefined], [], 2, 2],
    ['not ready and growing: they use nothing', utilization('cpu', 50), [100, 100, 0], [{}, {}, starting], 3, 4],
    ['not ready and shrinking: they do not count', utilization('cpu', 100), [20, 20, 900], [{}, {}, starting], 3, 1],
    [
      'pending and growing: they use nothing',
      utilization('cpu', 50),
      [100, undefined],
      [{}, { phase: 'Pending' }],
      2,
      2,
    ],
    [
      'failed ones and those that go do not count',
      utilization('cpu', 50),
      [100, 900, 900],
      [{}, { phase: 'Failed' }, { deleting: true }],
      1,
      2,
    ],
    [
      'just ready, no whole window yet: not ready',
      utilization('cpu', 50),
      [100, 400],
      [{}, { startedMs: minuteMs, turnedMs: 5_000 }],
      2,
      2,
    ],
    [
      'just ready, a whole window measured',
      utilization('cpu', 50),
      [100, 100],
      [{}, { startedMs: minuteMs, turnedMs: 20_000 }],
      2,
      4,
    ],
    [
      'was ready long, is not now: counts',
      utilization('cpu', 50),
      [100, 100],
      [{}, { ready: false, turnedMs: minuteMs }],
      2,
      4,
    ],
    [
      'never ready for long: does not count',
      utilization('cpu', 50),
      [100, 100],
      [{}, { ready: false, startedMs: 9 * minuteMs, turnedMs: 9 * minuteMs }],
      2,
      2,
    ],
    [
      'memory counts from the first moment',
      utilization('memory', 50),
      [100, 100],
      [{}, { startedMs: 5_000, turnedMs: 1_000 }],
      2,
      4,
    ],
  ];
  it.each(cases)('%s', (_what, metric, figures, shapes, current, wanted) => {
    expect(propose(metric, figures, shapes, current)).toMatchObject({ replicas: wanted });
  });

  it('tells what is used, in whole percents of the requests', () => {
    expect(propose(utilization('cpu', 50), [60, 65])).toMatchObject({ averageUtilization: 62, averageValue: 62 });
    expect(propose(average('memory', '50Mi'), [10, 20])).toMatchObject({ averageValue: 15 * 1024 * 1024 });
  });

  it('names the container without a request, and where to set it', () => {
    const answer = propose(utilization('cpu', 50), [60], [{ cpu: '' }]);
    expect(answer).toEqual({
      failure:
        'failed to get cpu utilization: missing request for cpu in container app of pod web-0; ' +
        'set spec.template.spec.containers[0].resources.requests.cpu of Deployment web',
    });
    expect(propose(average('cpu', '100m'), [60], [{ cpu: '' }])).toMatchObject({ replicas: 1 });
    expect(propose(utilization('cpu', 50), [50, 60], [{}, { cpu: '', deleting: true }], 1)).toMatchObject({
      replicas: 1,
    });
  });

  it('says so when there are no figures at all', () => {
    expect(propose(utilization('cpu', 50), [undefined, undefined])).toMatchObject({
      failure: expect.stringContaining('no figures'),
    });
    expect(propose(utilization('cpu', 50), [])).toMatchObject({ failure: expect.stringContaining('no pods') });
  });
});

describe('what is done of it', () => {
  const base = autoscalerOf({});
  const limitsOf = (
    behavior: HorizontalPodAutoscaler['spec']['behavior'],
    minReplicas = 1,
    maxReplicas = 100,
  ): Limits => {
    const autoscaler = { ...base, spec: { ...base.spec, ...(behavior && { behavior }) } };
    return {
      minReplicas,
      maxReplicas,
      scaleUp: rulesOf(autoscaler, 'scaleUp'),
      scaleDown: rulesOf(autoscaler, 'scaleDown'),
    };
  };
  const none: History = { recommendations: [], scalings: [] };
  const recommended = (...all: [agoMs: number, replicas: number][]): History => ({
    recommendations: all.map(([agoMs, replicas]) => ({ atMs: nowMs - agoMs, replicas })),
    scalings: [],
  });
  const scaled = (...all: [agoMs: number, change: number][]): History => ({
    recommendations: [],
    scalings: all.map(([agoMs, change]) => ({ atMs: nowMs - agoMs, change })),
  });
  const rule = (type: 'Pods' | 'Percent', value: number, periodSeconds = 60) =>
    ({ type, value, periodSeconds }) as const;
  const down = { stabilizationWindowSeconds: 0 };
  const cases: readonly [string, number, number, Limits, History, number, string, string][] = [
    // what, current, wanted, limits, history, done, AbleToScale, ScalingLimited
    ['as wanted', 3, 5, limitsOf(undefined), none, 5, 'ReadyForNewScale', 'DesiredWithinRange'],
    [
      'default up: 4 more when that is more than twice',
      1,
      20,
      limitsOf(undefined),
      none,
      5,
      'ReadyForNewScale',
      'ScaleUpLimit',
    ],
    ['default up: twice', 10, 90, limitsOf(undefined), none, 20, 'ReadyForNewScale', 'ScaleUpLimit'],
    [
      'default up: of the size 15 s ago',
      20,
      90,
      limitsOf(undefined),
      scaled([10_000, 10]),
      20,
      'ReadyForNewScale',
      'ScaleUpLimit',
    ],
    [
      'default up: after 15 s again',
      20,
      90,
      limitsOf(undefined),
      scaled([16_000, 10]),
      40,
      'ReadyForNewScale',
      'ScaleUpLimit',
    ],
    [
      'default down: 300 s',
      10,
      2,
      limitsOf(undefined),
      recommended([299_000, 9], [60_000, 4]),
      9,
      'ScaleDownStabilized',
      'DesiredWithinRange',
    ],
    [
      'default down: not longer',
      10,
      2,
      limitsOf(undefined),
      recommended([301_000, 9], [60_000, 4]),
      4,
      'ScaleDownStabilized',
      'DesiredWithinRange',
    ],
    [
      'down never up: an old recommendation above the size',
      5,
      2,
      limitsOf(undefined),
      recommended([60_000, 9]),
      5,
      'ScaleDownStabilized',
      'DesiredWithinRange',
    ],
    [
      'up waits for its window',
      3,
      9,
      limitsOf({ scaleUp: { stabilizationWindowSeconds: 60 } }),
      recommended([30_000, 4]),
      4,
      'ScaleUpStabilized',
      'DesiredWithinRange',
    ],
    ['at most', 3, 9, limitsOf(undefined, 1, 6), none, 6, 'ReadyForNewScale', 'TooManyReplicas'],
    ['at least', 5, 0, limitsOf({ scaleDown: down }, 2), none, 2, 'ReadyForNewScale', 'TooFewReplicas'],
    [
      'one pod a minute',
      10,
      2,
      limitsOf({ scaleDown: { ...down, policies: [rule('Pods', 1)] } }),
      none,
      9,
      'ReadyForNewScale',
      'ScaleDownLimit',
    ],
    [
      'one pod a minute, taken already',
      9,
      2,
      limitsOf({ scaleDown: { ...down, policies: [rule('Pods', 1)] } }),
      scaled([30_000, -1]),
      9,
      'ReadyForNewScale',
      'ScaleDownLimit',
    ],
    [
      'a tenth: parts of pods stay',
      25,
      2,
      limitsOf({ scaleDown: { ...down, policies: [rule('Percent', 10)] } }),
      none,
      22,
      'ReadyForNewScale',
      'ScaleDownLimit',
    ],
    [
      'a tenth of 3 is one more',
      3,
      9,
      limitsOf({ scaleUp: { policies: [rule('Percent', 10)] } }),
      none,
      4,
      'ReadyForNewScale',
      'ScaleUpLimit',
    ],
    [
      'the smaller of two up',
      10,
      90,
      limitsOf({ scaleUp: { selectPolicy: 'Min', policies: [rule('Pods', 3), rule('Percent', 100)] } }),
      none,
      13,
      'ReadyForNewScale',
      'ScaleUpLimit',
    ],
    [
      'the smaller of two down',
      10,
      1,
      limitsOf({ scaleDown: { ...down, selectPolicy: 'Min', policies: [rule('Pods', 3), rule('Percent', 50)] } }),
      none,
      7,
      'ReadyForNewScale',
      'ScaleDownLimit',
    ],
    [
      'disabled',
      10,
      1,
      limitsOf({ scaleDown: { ...down, selectPolicy: 'Disabled' } }),
      none,
      10,
      'ReadyForNewScale',
      'ScaleDownLimit',
    ],
  ];
  it.each(cases)('%s', (_what, current, wanted, limits, history, done, able, limited) => {
    const decision = decide(current, wanted, limits, history, nowMs);
    expect([decision.replicas, decision.able.reason, decision.limited.reason]).toEqual([done, able, limited]);
  });
});

function autoscalerOf(spec: Partial<HorizontalPodAutoscaler['spec']>, name = 'web'): HorizontalPodAutoscaler {
  const target: MetricTarget = { type: 'Utilization', averageUtilization: 50 };
  return withDefaults<HorizontalPodAutoscaler>({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name, namespace: 'default', uid: `uid-${name}`, generation: 1, resourceVersion: '1' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      maxReplicas: 10,
      metrics: [{ type: 'Resource', resource: { name: 'cpu', target } }],
      ...spec,
    },
  });
}

/** The controller over pictures of a cluster; what it writes is in the next picture. */
class Bench {
  memory: Memory | undefined;
  autoscaler: HorizontalPodAutoscaler;
  target: Deployment;
  others: KubeObject[] = [];
  pods: Pod[];
  atMs = nowMs;
  use: Figure = 100;
  readonly events: string[] = [];

  constructor(autoscaler: HorizontalPodAutoscaler, target: Deployment, pods: number) {
    this.autoscaler = autoscaler;
    this.target = target;
    this.pods = Array.from({ length: pods }, (_, index) => podOf(`web-${index}`));
  }

  /** One look; false when nothing was written. */
  look({ lost = false } = {}): boolean {
    const replicaSet = {
      ...this.target,
      kind: 'ReplicaSet',
      metadata: {
        ...{ name: 'web-1', namespace: 'default', uid: 'rs', resourceVersion: '1' },
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'deploy', controller: true }],
      },
    } as KubeObject;
    const state = new MutableClusterState();
    const objects = [this.autoscaler, this.target, replicaSet, ...this.pods, ...this.others];
    state.replace(
      objects.map((object) => ({ key: keyOf(object), object })),
      1n,
    );
    const usageOf = (): PodUsage | undefined => {
      const figure = usage('cpu', this.use);
      return figure && { ...figure, atMs: this.atMs };
    };
    const { result, memory } = reconcileAutoscaler(state, this.autoscaler, usageOf, this.memory, this.atMs);
    this.memory = memory;
    if (lost) return false;
    for (const { object } of result.changes) {
      if (object.kind === 'Deployment') this.target = object;
      if (object.kind === 'HorizontalPodAutoscaler') this.autoscaler = object;
    }
    this.events.push(...(result.events ?? []).map(({ reason, message }) => `${reason}: ${message}`));
    return result.changes.length > 0;
  }

  condition(type: string): string {
    const { status = '', reason = '' } = findCondition(this.autoscaler.status?.conditions, type) ?? {};
    return `${status} ${reason}`;
  }
}

describe('the controller', () => {
  it('scales up, in one transaction with its status, and says so', () => {
    const bench = new Bench(autoscalerOf({}), deploymentOf(2), 2);
    bench.look();
    expect(bench.target.spec.replicas).toBe(4);
    expect(bench.target.metadata.generation).toBe(4);
    expect(bench.autoscaler.status).toMatchObject({
      currentReplicas: 2,
      desiredReplicas: 4,
      lastScaleTime: timestamp(nowMs),
      currentMetrics: [
        { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 100, averageValue: '100m' } } },
      ],
    });
    expect(bench.condition('AbleToScale')).toBe('True SucceededRescale');
    expect(bench.condition('ScalingActive')).toBe('True ValidMetricFound');
    expect(bench.condition('ScalingLimited')).toBe('False DesiredWithinRange');
    expect(bench.events).toEqual([
      'SuccessfulRescale: New size: 4; reason: cpu resource utilization (percentage of request) above target',
    ]);
  });

  it('looks every 15 s, whatever wakes it in between', () => {
    const bench = new Bench(autoscalerOf({}), deploymentOf(2), 2);
    bench.look();
    bench.use = 300;
    bench.atMs += 14_000;
    expect(bench.look()).toBe(false);
    bench.atMs += 1_000;
    expect(bench.look()).toBe(true);
  });

  it('looks at once when its spec has changed', () => {
    const bench = new Bench(autoscalerOf({}), deploymentOf(2), 2);
    bench.look();
    bench.autoscaler = {
      ...bench.autoscaler,
      metadata: { ...bench.autoscaler.metadata, generation: 2 },
      spec: { ...bench.autoscaler.spec, maxReplicas: 3 },
    };
    bench.look();
    expect(bench.target.spec.replicas).toBe(3);
  });

  it('begins with the current size: a new leader does not shrink a workload before the window has passed', () => {
    const bench = new Bench(autoscalerOf({}), deploymentOf(4), 4);
    bench.use = 10;
    for (let passedMs = 0; passedMs < 300_000; passedMs += 15_000, bench.atMs += 15_000) {
      bench.look();
      expect(bench.target.spec.replicas).toBe(4);
      expect(bench.condition('AbleToScale')).toBe('True ScaleDownStabilized');
    }
    bench.look();
    expect(bench.target.spec.replicas).toBe(1);
    expect(bench.events.at(-1)).toBe('SuccessfulRescale: New size: 1; reason: All metrics below target');
  });

  it('forgets what a clock that was ahead has noted: it would count for as long as it was ahead', () => {
    const bench = new Bench(autoscalerOf({}), deploymentOf(2), 2);
    bench.use = 50;
    bench.atMs = nowMs + 60 * minuteMs;
    bench.look();
    expect(bench.target.spec.replicas).toBe(2);
    bench.use = 100;
    bench.atMs = nowMs;
    bench.look();
    expect(bench.target.spec.replicas).toBe(4);
    expect(bench.condition('AbleToScale')).toBe('True SucceededRescale');
  });

  it('counts a scaling against the rate only when it was written', () => {
    const behavior = { scaleUp: { policies: [{ type: 'Pods' as const, value: 2, periodSeconds: 60 }] } };
    const bench = new Bench(autoscalerOf({ behavior }), deploymentOf(2), 2);
    bench.use = 400;
    bench.look({ lost: true });
    bench.look();
    expect(bench.target.spec.replicas).toBe(4);
    bench.atMs += 15_000;
    bench.look();
    expect(bench.target.spec.replicas).toBe(4);
    expect(bench.condition('ScalingLimited')).toBe('True ScaleUpLimit');
    bench.atMs += 60_000;
    bench.look();
    expect(bench.target.spec.replicas).toBe(6);
  });

  it('keeps within its bounds without any figures', () => {
    const above = new Bench(autoscalerOf({}), deploymentOf(20), 0);
    above.look();
    expect(above.target.spec.replicas).toBe(10);
    const below = new Bench(autoscalerOf({ minReplicas: 3 }), deploymentOf(1), 0);
    below.look();
    expect(below.target.spec.replicas).toBe(3);
  });

  it('leaves a workload of 0 replicas alone', () => {
    const bench = new Bench(autoscalerOf({}), deploymentOf(0), 0);
    bench.look();
    expect(bench.target.spec.replicas).toBe(0);
    expect(bench.condition('ScalingActive')).toBe('False ScalingDisabled');
  });

  it('says that its target is not there, once', () => {
    const bench = new Bench(autoscalerOf({ scaleTargetRef: { kind: 'Deployment', name: 'gone' } }), deploymentOf(2), 2);
    bench.look();
    bench.atMs += 15_000;
    bench.look();
    expect(bench.condition('AbleToScale')).toBe('False FailedGetScale');
    expect(bench.events).toEqual([
      'FailedGetScale: Deployment/gone does not exist; create it, or correct spec.scaleTargetRef',
    ]);
  });

  it('without requests: says which container, in condition and event', () => {
    const bench = new Bench(autoscalerOf({}), deploymentOf(2, {}), 0);
    bench.pods = [podOf('web-0', { cpu: '' })];
    bench.look();
    expect(bench.target.spec.replicas).toBe(2);
    expect(bench.condition('ScalingActive')).toBe('False FailedGetResourceMetric');
    expect(bench.events[0]).toContain(
      'container app of pod web-0; set spec.template.spec.containers[0].resources.requests.cpu',
    );
  });

  it('goes on when figures come: asked sooner than after a whole period', () => {
    const bench = new Bench(autoscalerOf({}), deploymentOf(2), 2);
    bench.use = undefined;
    bench.look();
    expect(bench.condition('ScalingActive')).toBe('False FailedGetResourceMetric');
    bench.use = 100;
    bench.atMs += 5_000;
    bench.look();
    expect(bench.condition('ScalingActive')).toBe('True ValidMetricFound');
    expect(bench.target.spec.replicas).toBe(4);
  });

  it('takes the metric that asks for most, and does not shrink while one is unknown', () => {
    const metrics = [average('cpu', '200m'), utilization('memory', 1)].map((resource) => ({
      type: 'Resource' as const,
      resource,
    }));
    const bench = new Bench(autoscalerOf({ metrics }), deploymentOf(4, { cpu: '100m' }), 0);
    bench.pods = [0, 1, 2, 3].map((index) => podOf(`web-${index}`, { memory: '' }));
    bench.look();
    expect(bench.target.spec.replicas).toBe(4);
    expect(bench.condition('ScalingActive')).toBe('False FailedGetResourceMetric');
    bench.use = 400;
    bench.atMs += 15_000;
    bench.look();
    expect(bench.target.spec.replicas).toBe(8);
  });

  it('of two on one workload neither does anything', () => {
    const bench = new Bench(autoscalerOf({}), deploymentOf(2), 2);
    bench.others = [autoscalerOf({ minReplicas: 5 }, 'second')];
    bench.look();
    expect(bench.target.spec.replicas).toBe(2);
    expect(bench.condition('ScalingActive')).toBe('False AmbiguousSelector');
    expect(bench.events[0]).toContain('controlled by multiple HPAs: second, web');
  });

  it('writes nothing while nothing changes', () => {
    const bench = new Bench(autoscalerOf({}), deploymentOf(2), 2);
    bench.use = 50;
    expect(bench.look()).toBe(true);
    bench.atMs += 15_000;
    expect(bench.look()).toBe(false);
  });
});
