/** ctl about rollouts that went back, and back to former content; with the real API and controllers. */
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { isPodActive, isPodReady } from '../../../lib/model/pods.ts';
import type { ConfigMap, Deployment } from '../../../proto/gen/types.ts';
import { type Cluster, deployment, withImage } from '../control-plane/controllers/cluster.ts';
import type { Cli } from './harness.ts';
import { type LiveCli, loadCommands, startLive } from './live.ts';

let cluster: Cluster;
let cli: Cli;
let run: LiveCli['run'];

beforeAll(() => loadCommands('rollout annotate set describe'));
beforeEach(async () => {
  ({ cluster, cli, run } = await startLive(2));
});
afterEach(() => cluster.stop());

const current = (): Deployment => cluster.state.get('Deployment', 'default', 'web')!;
const active = () => cluster.pods().filter((pod) => isPodActive(pod) && isPodReady(pod));

async function create(
  annotations: Record<string, string>,
  change: (object: Deployment) => Deployment = (same) => same,
) {
  const object = deployment('web', { progressDeadlineSeconds: 10 });
  await cli.create(change({ ...object, metadata: { ...object.metadata, annotations } }));
  expect((await run('rollout status deploy/web')).code).toBe(0);
}

it('status fails after a rollback, describe tells it, and undo makes it the wish', async () => {
  await create({ 'gantry.dev/auto-rollback': 'true', 'kubernetes.io/change-cause': 'good' });
  cluster.brokenImages.add('broken:1');
  await cluster.edit('Deployment', 'web', (object) => {
    const annotations = { ...object.metadata.annotations, 'kubernetes.io/change-cause': 'bad' };
    const { metadata, ...changed } = withImage(object, 'broken:1');
    return { ...changed, metadata: { ...metadata, annotations } };
  });
  const failed = await run('rollout status deploy/web');
  expect(failed.code).toBe(1);
  expect(failed.err).toMatch(
    /exceeded its progress deadline: .* 1 of 1 pods are not ready; web-\S+: .*; rolled back from revision 2 to revision 1/,
  );
  const isBack = (): boolean => current().status?.conditions?.some(({ reason }) => reason === 'RolledBack') === true;
  const isTold = (): boolean => cluster.state.list('Event').some(({ reason }) => reason === 'DeploymentRollback');
  await cluster.until(() => isBack() && isTold(), 'the way back');
  expect((await run('rollout status deploy/web --watch=false')).code).toBe(1);
  const { out } = await run('describe deploy web');
  expect(out).toMatch(/RolledBack\s+True\s+RolledBack/);
  expect(out).toContain('DeploymentRollback');
  expect((await run('rollout history deploy/web')).out).toBe(
    'deployment.apps/web \nREVISION  CHANGE-CAUSE\n2         bad\n3         good\n\n',
  );
  expect((await run('rollout history deploy/web --revision=3')).out).toContain(
    'good; rolled back to revision 1: revision 2 missed its progress deadline\n',
  );

  expect((await run('rollout undo deploy/web')).out).toBe('deployment.apps/web rolled back\n');
  expect((await run('rollout status deploy/web')).out).toContain('successfully rolled out');
  expect(current().spec.template.spec.containers[0]!.image).toBe('echo:1');
  expect(current().metadata.annotations?.['kubernetes.io/change-cause']).toBe('good');
  await cluster.until(() => current().status?.rollback === undefined, 'its end');
});

it('undo brings the content of a revision back, with the same template', async () => {
  const settings: ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings', namespace: 'default' },
    data: { color: 'red' },
  };
  await cluster.create(settings);
  await create({ 'gantry.dev/rollout-on-config-change': 'true' }, (object) => {
    const [container] = object.spec.template.spec.containers;
    const containers = [{ ...container!, envFrom: [{ configMapRef: { name: 'settings' } }] }];
    const template = { ...object.spec.template, spec: { ...object.spec.template.spec, containers } };
    return { ...object, spec: { ...object.spec, template } };
  });
  const { template } = current().spec;
  const colors = (): string[] =>
    active().map((pod) => {
      const name = pod.spec.containers[0]!.envFrom![0]!.configMapRef!.name!;
      return cluster.state.get('ConfigMap', 'default', name)!.data!.color!;
    });
  await cluster.edit('ConfigMap', 'settings', (object) => ({ ...object, data: { color: 'green' } }));
  await cluster.until(() => colors().join() === 'green,green,green', 'the rollout');

  const history = await run('rollout history deploy/web --revision=1');
  expect(history.out).toMatch(/settings\s+ConfigMap\s+Optional: false/);
  expect(history.out).toMatch(
    /Configuration:\n\s+ConfigMap settings:\s+content (\w{10}), kept in configmap\/web-settings-\1\n/,
  );
  const [, green] = /content (\w+)/.exec((await run('rollout history deploy/web --revision=2')).out)!;
  expect((await run('rollout history deploy/web')).out).toBe(
    `deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         ConfigMap settings changed to ${green}\n\n`,
  );
  expect((await run('rollout undo deploy/web')).out).toBe('deployment.apps/web rolled back\n');
  await cluster.until(() => colors().join() === 'red,red,red', 'the former content');
  expect((await run('rollout status deploy/web')).code).toBe(0);
  expect(current().spec.template).toEqual(template);
  expect((await run('describe deploy web')).out).toMatch(/Rollback:\s+web-\w+ runs, as somebody asked for/);
  const changed = `ConfigMap settings changed to ${green}`;
  const causes = async () =>
    (await run('rollout history deploy/web')).out
      .split('\n')
      .slice(2, -2)
      .map((line) => line.replace(/ {2,}/, ' '));
  expect(await causes()).toEqual([`2 ${changed}`, '3 undo to revision 1']);
  expect((await run('rollout undo deploy/web --to-revision=3')).out).toContain('skipped rollback');
  expect((await run('rollout undo deploy/web')).out).toBe('deployment.apps/web rolled back\n');
  await cluster.until(() => colors().join() === 'green,green,green', 'and forth');
  expect((await run('describe deploy web')).out).toMatch(/NewReplicaSet:\s+web-\w+ \(3\/3 replicas created\)/);
  expect(await causes()).toEqual(['3 undo to revision 1', '4 undo to revision 2']);

  // What is said of the Deployment is not said of content that changes afterwards, unless it is said anew.
  await run('annotate deploy/web kubernetes.io/change-cause=as-agreed');
  const recolor = async (color: string): Promise<string> => {
    await cluster.edit('ConfigMap', 'settings', (object) => ({ ...object, data: { color } }));
    await cluster.until(() => colors().join() === `${color},${color},${color}`, color);
    const last = current().metadata.annotations?.['deployment.kubernetes.io/revision'];
    return /content (\w+)/.exec((await run(`rollout history deploy/web --revision=${last}`)).out)![1]!;
  };
  await cluster.until(
    () =>
      cluster.state
        .list('ReplicaSet')
        .some(({ metadata }) => metadata.annotations?.['kubernetes.io/change-cause'] === 'as-agreed'),
    'the cause',
  );
  const blue = await recolor('blue');
  expect(await causes()).toEqual(['3 undo to revision 1', '4 as-agreed', `5 ConfigMap settings changed to ${blue}`]);
  await run('rollout undo deploy/web');
  await cluster.until(() => colors().join() === 'green,green,green', 'green again');
  expect((await causes()).at(-1)).toBe('6 as-agreed');
  expect((await run('rollout history deploy/web --revision=6')).out).toContain('as-agreed; undo to revision 4\n');
  await run('rollout undo deploy/web');
  await cluster.until(() => colors().join() === 'blue,blue,blue', 'blue again');
  expect((await causes()).at(-1)).toBe('7 undo to revision 5');
  expect(await recolor('red')).not.toBe(blue);
  expect((await causes()).at(-1)).toMatch(/^8 ConfigMap settings changed to /);
});
