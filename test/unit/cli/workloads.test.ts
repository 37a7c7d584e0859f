/** Commands about DaemonSets, Jobs and CronJobs, against the real API. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Condition, Node } from '../../../proto/gen/types.ts';
import { type Cli, createCli } from './harness.ts';

let cli: Cli;

beforeEach(async () => {
  cli = await createCli();
});

const out = async (words: string | readonly string[]): Promise<string> => {
  const { out: text, err, code } = await cli.run(words);
  expect({ err, code }).toEqual({ err: '', code: 0 });
  return text;
};

describe('ctl create', () => {
  it('job, and job --from=cronjob', async () => {
    expect(await out('create job sum --image=work:1 -- add 1 2')).toBe('job.batch/sum created\n');
    expect(await out('get jobs')).toMatch(/^NAME +STATUS +COMPLETIONS +DURATION +AGE\nsum +Running +0\/1/);
    const line = ['create', 'cronjob', 'tidy', '--image=work:1', '--schedule=0 3 * * *'];
    expect(await out(line)).toBe('cronjob.batch/tidy created\n');
    expect(await out('get cj')).toMatch(/\ntidy +0 3 \* \* \* +<none> +False +0 +<none>/);
    expect(await out('create job now --from=cronjob/tidy')).toBe('job.batch/now created\n');
    const text = await out('get job now -o yaml');
    expect(text).toContain('cronjob.kubernetes.io/instantiate: manual');
    expect(text).toContain('kind: CronJob');
    expect(await out('describe job sum')).toMatch(/Parallelism: +1\nCompletions: +1/);
    expect(await out('describe cj tidy')).toMatch(/Schedule: +0 3 \* \* \*\nTime Zone: +UTC/);
  });

  it.each([
    ['create job x', 'either --image or --from'],
    ['create job x --image=a --from=cj/b', 'either --image or --from'],
    ['create job x --from=deploy/b', 'name a cronjob'],
    [['create', 'cronjob', 'x', '--image=a', '--schedule=0 0 30 2 *'], 'never fires'],
  ])('refuses %s', async (words, expected) => {
    expect((await cli.run(words)).err).toContain(expected);
  });
});

const daemonSet = JSON.stringify({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'logs' },
  spec: {
    selector: { matchLabels: { app: 'logs' } },
    template: { metadata: { labels: { app: 'logs' } }, spec: { containers: [{ name: 'main', image: 'echo:1' }] } },
  },
});

describe('a DaemonSet', () => {
  it('is applied, shown, restarted and given another image', async () => {
    const applied = await cli.run('apply -f -', { input: daemonSet });
    expect(applied.out).toBe('daemonset.apps/logs created\n');
    expect(await out('get ds')).toMatch(/^NAME +DESIRED +CURRENT +READY +UP-TO-DATE +AVAILABLE +NODE SELECTOR +AGE\n/);
    expect(await out('describe ds logs')).toContain('RollingUpdate (1 max unavailable)');
    expect(await out('set image ds/logs main=echo:2')).toBe('daemonset.apps/logs image updated\n');
    expect(await out('rollout restart ds/logs')).toBe('daemonset.apps/logs restarted\n');
    expect(await out('get all')).toContain('daemonset.apps/logs');
    expect((await cli.run('rollout pause ds/logs')).err).toContain('only deployments pause');
    expect(await out('rollout history ds/logs')).toBe('daemonset.apps/logs \nNo rollout history found.\n');
    expect((await cli.run('rollout undo ds/logs')).err).toBe('error: no last revision to roll back to\n');
  });
});

describe('a StatefulSet', () => {
  it('is applied, shown, scaled and rolled', async () => {
    const metadata = { name: 'db' };
    const spec = { ...JSON.parse(daemonSet).spec, serviceName: 'db', replicas: 2 };
    const input = JSON.stringify({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec });
    expect((await cli.run('apply -f -', { input })).out).toBe('statefulset.apps/db created\n');
    expect(await out('get sts')).toMatch(/^NAME +READY +AGE\ndb +0\/2/);
    expect(await out('scale sts/db --replicas=3')).toBe('statefulset.apps/db scaled\n');
    expect(await out('describe sts db')).toMatch(/Replicas: +3 desired \| 0 total\nService Name: +db/);
    expect((await cli.run('rollout status sts/db --watch=false')).out).toContain('Waiting for statefulset spec update');
  });
});

describe('taints', () => {
  const node = (ready: Condition['status']): Node => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', uid: 'uid-n1' },
    spec: {},
    status: { conditions: [{ type: 'Ready', status: ready }] },
  });
  const taints = async () => (await cli.get<Node>('Node', 'n1')).spec.taints ?? [];

  it('are set, replaced and removed', async () => {
    await cli.put(node('True'));
    expect(await out('taint nodes n1 gpu=yes:NoSchedule quiet:PreferNoSchedule')).toBe('node/n1 tainted\n');
    expect(await taints()).toEqual([
      { key: 'gpu', value: 'yes', effect: 'NoSchedule' },
      { key: 'quiet', effect: 'PreferNoSchedule' },
    ]);
    expect((await cli.run('taint node n1 gpu=no:NoSchedule')).err).toContain('--overwrite is false');
    expect(await out('taint node n1 gpu=no:NoSchedule --overwrite')).toBe('node/n1 tainted\n');
    expect(await out('taint no n1 gpu- quiet:PreferNoSchedule-')).toBe('node/n1 untainted\n');
    expect(await taints()).toEqual([]);
    expect((await cli.run('taint node n1 gpu-')).err).toContain('taint "gpu" not found');
    expect((await cli.run('taint node n1 gpu=yes')).err).toContain('KEY=VALUE:EFFECT');
    expect((await cli.run('taint node n1 gpu=yes:Never')).err).toContain('NoSchedule, PreferNoSchedule, NoExecute');
  });

  it('declare a node out of service only when it is lost', async () => {
    await cli.put(node('True'));
    expect((await cli.run('node out-of-service n1')).err).toContain('ctl drain n1');
    await cli.put(node('Unknown'));
    expect(await out('node out-of-service n1')).toBe('node/n1 tainted\n');
    expect(await taints()).toMatchObject([{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }]);
    expect(await out('node out-of-service n1')).toBe('node/n1 is out of service already\n');
    expect(await out('node in-service n1')).toBe('node/n1 untainted\n');
    expect(await taints()).toEqual([]);
  });
});
