/** ctl top, ctl autoscale, ctl get hpa and ctl describe hpa. */
import { describe, expect, it } from 'vitest';
import { autoscalerLines } from '../../../cli/output/describe/autoscaler.ts';
import { objectTable } from '../../../cli/output/objects.ts';
import { statsHandlers } from '../../../control-plane/session/stats.ts';
import { MutableClusterState } from '../../../control-plane/state/cluster-state.ts';
import { GantryError } from '../../../lib/errors.ts';
import { keyOf } from '../../../lib/model/keys.ts';
import type { HorizontalPodAutoscaler, KubeObject, PodStats, StatsRequest } from '../../../proto/gen/types.ts';
import { node, pod } from '../control-plane/scheduler/objects.ts';
import { createCli } from './harness.ts';

const mebibyte = 1024 * 1024;
const on = (name: string, nodeName: string, labels: Record<string, string> = {}) => {
  const made = pod(name, { spec: { nodeName } });
  return { ...made, metadata: { ...made.metadata, labels }, status: { phase: 'Running' as const } };
};
const statsOf = (
  name: string,
  ...containers: [name: string, millis: number | undefined, mebibytes: number][]
): PodStats => ({
  namespace: 'default',
  name,
  uid: `uid-${name}`,
  containers: containers.map(([container, millis, size]) => ({
    name: container,
    ...(millis !== undefined && { cpuNanocores: millis * 1e6 }),
    memoryBytes: size * mebibyte,
  })),
});

/** A cluster of two nodes whose agents answer so. */
async function topCli(silent: readonly string[] = []) {
  const state = new MutableClusterState();
  const objects: KubeObject[] = [
    node('node-1', { cpu: '2', memory: '1Gi' }),
    node('node-2', { cpu: '4', memory: '2Gi' }),
    on('a', 'node-1', { app: 'web' }),
    on('b', 'node-2'),
    pod('waiting'),
  ];
  state.replace(
    objects.map((object) => ({ key: keyOf(object), object })),
    1n,
  );
  const asked: [string, StatsRequest][] = [];
  const pods = [statsOf('a', ['app', 120, 30], ['side', 5, 10]), statsOf('b', ['app', 250, 8])];
  const stats = statsHandlers({
    snapshot: state,
    async ask({ metadata: { name } }, request) {
      asked.push([name, request]);
      if (silent.includes(name)) throw new GantryError('failedPrecondition', `${name} does not answer`);
      return {
        pods: pods.filter(({ uid }) => request.podUIDs?.includes(uid ?? '')),
        node: { cpuNanocores: 500e6, memoryBytes: 256 * mebibyte },
      };
    },
  });
  const cli = await createCli({ stats });
  for (const object of objects) await cli.put(object);
  return { cli, asked };
}

describe('ctl top pods', () => {
  it('shows what each pod uses, and asks only the nodes that have some', async () => {
    const { cli, asked } = await topCli();
    expect((await cli.run('top pods')).out.split('\n')).toEqual([
      'NAME   CPU(cores)   MEMORY(bytes)',
      'a      125m         40Mi',
      'b      250m         8Mi',
      '',
    ]);
    asked.length = 0;
    expect((await cli.run('top pods -l app=web --no-headers')).out).toBe('a   125m   40Mi\n');
    expect(asked).toEqual([['node-1', { podUIDs: ['uid-a'] }]]);
  });

  it('--containers, -A, --sort-by, --sum, a name', async () => {
    const { cli } = await topCli();
    expect((await cli.run('top pod --containers -A --sort-by=cpu --sum')).out.split('\n')).toEqual([
      'NAMESPACE   POD   NAME   CPU(cores)   MEMORY(bytes)',
      'default     b     app    250m         8Mi',
      'default     a     app    120m         30Mi',
      'default     a     side   5m           10Mi',
      '                         ________     ________',
      '                         375m         48Mi',
      '',
    ]);
    expect((await cli.run('top po b --no-headers')).out).toBe('b   250m   8Mi\n');
    expect(await cli.run('top pod nobody')).toMatchObject({ code: 1, err: expect.stringContaining('not found') });
    expect(await cli.run('top pod waiting')).toMatchObject({ code: 1, err: expect.stringContaining('on no node yet') });
    expect(await cli.run('top pods -n empty')).toMatchObject({
      out: '',
      err: 'No resources found in empty namespace.\n',
    });
  });

  it('says which pods are left out, and shows the others', async () => {
    const { cli } = await topCli(['node-2']);
    const { out, err } = await cli.run('top pods --no-headers');
    expect(out).toBe('a   125m   40Mi\n');
    expect(err).toBe('Warning: 1 pod left out: node-2 does not answer\n');
  });
});

describe('ctl top nodes', () => {
  it('shows what each uses, of what it gives to pods', async () => {
    const { cli, asked } = await topCli();
    expect((await cli.run('top nodes')).out.split('\n')).toEqual([
      'NAME     CPU(cores)   CPU(%)   MEMORY(bytes)   MEMORY(%)',
      'node-1   500m         25%      256Mi           25%',
      'node-2   500m         12%      256Mi           12%',
      '',
    ]);
    expect(asked[0]).toEqual(['node-1', { nodeOnly: true }]);
    expect((await cli.run('top node node-2 --no-headers')).out).toBe('node-2   500m   12%   256Mi   12%\n');
  });

  it('says which do not answer', async () => {
    const { cli } = await topCli(['node-1']);
    const { out, err } = await cli.run('top nodes --no-headers --sort-by=memory');
    expect(out.split('\n')[1]).toMatch(/^node-1 +<unknown> +<unknown> +<unknown> +<unknown>$/);
    expect(err).toBe('Warning: node-1 does not answer\n');
  });
});

describe('ctl autoscale', () => {
  it('makes an autoscaler, and warns when it cannot work', async () => {
    const cli = await createCli();
    await cli.run('create deployment web --image=busybox:1');
    const made = await cli.run('autoscale deployment web --min=2 --max=5 --cpu-percent=50');
    expect(made).toMatchObject({ code: 0, out: 'horizontalpodautoscaler.autoscaling/web autoscaled\n' });
    expect(made.err.match(/^Warning: .*container busybox of Deployment web requests no cpu/gm)).toHaveLength(1);
    expect((await cli.run('get hpa')).out.split('\n')[1]).toMatch(
      /^web {4}Deployment\/web {3}cpu: <unknown>\/50% {3}2 {9}5 {9}0 {10}\S+$/,
    );
    expect(await cli.run('autoscale deployment web --max=none')).toMatchObject({ code: 1 });
    expect(await cli.run('autoscale deployment web')).toMatchObject({ code: 1, err: expect.stringContaining('--max') });
    const yaml = await cli.run(
      'autoscale deploy/web --max=3 --memory=100Mi --cpu=70% --name=x --dry-run=client -o yaml',
    );
    expect(yaml.out).toMatch(/averageUtilization: 70[\s\S]*averageValue: 100Mi/);
    expect(yaml.err).toContain('Warning: it cannot scale by cpu utilization');
  });

  it.each(['apply', 'create'])(
    '%s of one for a workload without requests, or none at all, warns at once',
    async (verb) => {
      const cli = await createCli();
      await cli.run('create deployment web --image=busybox:1');
      const spec = { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, maxReplicas: 2 };
      const given = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: { name: 'web' }, spec };
      expect(await cli.run(`${verb} -f -`, { input: JSON.stringify(given) })).toMatchObject({
        code: 0,
        err: expect.stringContaining(
          'Warning: it cannot scale by cpu utilization: container busybox of Deployment web',
        ),
      });
      const input = JSON.stringify({
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        metadata: { name: 'x' },
        spec: { scaleTargetRef: { kind: 'Deployment', name: 'nope' }, maxReplicas: 2 },
      });
      expect(await cli.run('apply -f -', { input })).toMatchObject({
        code: 0,
        err: expect.stringContaining('Warning: Deployment/nope does not exist yet'),
      });
    },
  );
});

const scaled: HorizontalPodAutoscaler = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'web', namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: {
    scaleTargetRef: { kind: 'Deployment', name: 'web' },
    minReplicas: 1,
    maxReplicas: 4,
    metrics: [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
      { type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '100Mi' } } },
    ],
  },
  status: {
    currentReplicas: 2,
    desiredReplicas: 4,
    currentMetrics: [
      { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 90, averageValue: '180m' } } },
      { type: 'Resource', resource: { name: 'memory', current: { averageValue: '1048576' } } },
    ],
    conditions: [{ type: 'AbleToScale', status: 'True', reason: 'ReadyForNewScale', message: 'fine' }],
  },
};

describe('an autoscaler', () => {
  it('in a table', () => {
    const nowMs = Date.parse('2026-01-01T00:02:00Z');
    const options = { wide: false, headers: true, showNamespace: false, showLabels: false, showKind: false, nowMs };
    expect(objectTable('HorizontalPodAutoscaler', [scaled], options).split('\n')).toEqual([
      'NAME   REFERENCE        TARGETS                               MINPODS   MAXPODS   REPLICAS   AGE',
      'web    Deployment/web   cpu: 90%/50%, memory: 1048576/100Mi   1         4         2          2m',
      '',
    ]);
  });

  it('in full', () => {
    const lines = autoscalerLines(scaled);
    expect(lines).toContain('  resource cpu on pods  (as a percentage of request):\t90% (180m) / 50%');
    expect(lines).toContain('  resource memory on pods:\t1048576 / 100Mi');
    expect(lines).toContain('Deployment pods:\t2 current / 4 desired');
    expect(lines).toContain('  AbleToScale\tTrue\tReadyForNewScale\tfine');
  });
});
