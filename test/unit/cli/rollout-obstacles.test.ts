/** What `ctl rollout status` says of the pods that hold a rollout up, while it waits. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ContainerStatus, Pod, PodStatus } from '../../../proto/gen/types.ts';
import { type Cluster, deployment } from '../control-plane/controllers/cluster.ts';
import type { Cli } from './harness.ts';
import { type LiveCli, loadCommands, startLive } from './live.ts';

let cluster: Cluster;
let cli: Cli;
let run: LiveCli['run'];
let ended: LiveCli['ended'];

beforeAll(() => loadCommands('rollout set'));
beforeEach(async () => {
  ({ cluster, cli, run, ended } = await startLive(2));
  cluster.brokenImages.add('broken:1').add('broken:2');
});
afterEach(() => cluster.stop());

const waitingPods = (): readonly Pod[] =>
  cluster.pods().filter(({ spec }) => cluster.brokenImages.has(spec.containers[0]!.image));

async function untilThere(count: number): Promise<void> {
  await cluster.until(() => waitingPods().length === count && waitingPods().every(({ spec }) => spec.nodeName), 'pods');
}

async function setStatus(name: string, change: PodStatus): Promise<void> {
  await cluster.edit('Pod', name, (pod) => ({ ...pod, status: { ...pod.status, ...change } }));
  await cluster.clock.settle();
}

const waiting = (reason: string, message: string): PodStatus => {
  const status: ContainerStatus = { name: 'main', ready: false, state: { waiting: { reason, message } } };
  return { phase: 'Pending', containerStatuses: [status] };
};

const obstacles = (out: string): string[] => out.split('\n').filter((line) => line.includes('pods are not ready'));

describe('ctl rollout status, while it waits', () => {
  it('names the pod of the new template and its reason, once each', async () => {
    await cluster.create(deployment('web', { replicas: 2 }));
    expect((await run('rollout status deploy/web')).code).toBe(0);
    const [old] = cluster.pods();
    await run('set image deploy/web main=broken:1');
    await untilThere(1);
    const following = cli.run('rollout status deploy/web --timeout=60s');
    await cluster.clock.settle();
    await setStatus(old!.metadata.name, waiting('CrashLoopBackOff', 'of the former template'));
    expect(obstacles(following.out())).toEqual([]);
    const [{ metadata }] = waitingPods() as [Pod];
    await setStatus(metadata.name, waiting('ContainerCreating', ''));
    expect(obstacles(following.out())).toEqual([]);
    await setStatus(metadata.name, waiting('ErrImagePull', 'no such image'));
    await setStatus(metadata.name, waiting('ImagePullBackOff', 'in 10s'));
    await setStatus(metadata.name, waiting('ErrImagePull', 'no such image'));
    await setStatus(metadata.name, waiting('ImagePullBackOff', 'in 20s'));
    const begin = `Waiting for deployment "web" rollout to finish: 1 of 1 pods are not ready; ${metadata.name}: `;
    expect(obstacles(following.out())).toEqual([
      `${begin}ErrImagePull: no such image`,
      `${begin}ImagePullBackOff: in 10s`,
    ]);
    cluster.brokenImages.delete('broken:1');
    await setStatus(metadata.name, { containerStatuses: [] });
    const { out, code } = await ended(following);
    expect(code).toBe(0);
    expect(out).toMatch(/deployment "web" successfully rolled out\n$/);
  });

  it.each([
    ['a container that crashes and is ready for a moment', {}, true],
    ['one with a readinessProbe', { readinessProbe: { tcpSocket: { port: 80 } } }, false],
  ])('warns of %s', async (_what, extra, warned) => {
    const web = deployment('web', { replicas: 1, image: 'broken:1' });
    Object.assign(web.spec.template.spec.containers[0]!, extra);
    await cluster.create(web);
    await untilThere(1);
    const [{ metadata }] = waitingPods() as [Pod];
    const following = cli.run('rollout status deploy/web --timeout=60s');
    await cluster.clock.settle();
    await setStatus(metadata.name, waiting('CrashLoopBackOff', 'back-off 10s'));
    expect(obstacles(following.out())).toHaveLength(1);
    cluster.brokenImages.delete('broken:1');
    await setStatus(metadata.name, { containerStatuses: [] });
    const { err, code } = await ended(following);
    expect(code).toBe(0);
    if (warned) expect(err).toContain(`Warning: ${metadata.name} was in CrashLoopBackOff while this waited`);
    else expect(err).toBe('');
  });

  it('says nothing of a template that has been replaced', async () => {
    await cluster.create(deployment('web', { replicas: 1, image: 'broken:1' }));
    await untilThere(1);
    const [first] = waitingPods();
    await setStatus(first!.metadata.name, waiting('ImagePullBackOff', 'no such image'));
    expect(obstacles((await run('rollout status deploy/web --no-watch')).out)).toEqual([
      `Waiting for deployment "web" rollout to finish: 1 of 1 pods are not ready; ${first!.metadata.name}: ImagePullBackOff: no such image`,
    ]);
    await run('set image deploy/web main=echo:1');
    const { out, code } = await run('rollout status deploy/web');
    expect(code).toBe(0);
    expect(obstacles(out)).toEqual([]);
  });

  it.each([
    ['StatefulSet', 'sts', 'statefulset'],
    ['DaemonSet', 'ds', 'daemon set'],
  ] as const)('of a %s too', async (kind, short, word) => {
    const { selector, template } = deployment('db', { image: 'broken:1' }).spec;
    const spec = kind === 'StatefulSet' ? { selector, template, serviceName: 'db' } : { selector, template };
    await cli.create({ apiVersion: 'apps/v1', kind, metadata: { name: 'db', namespace: 'default' }, spec } as never);
    await untilThere(kind === 'StatefulSet' ? 1 : 2);
    const { name } = waitingPods()[0]!.metadata;
    await setStatus(name, waiting('CreateContainerConfigError', 'configmap "x" not found'));
    const { out, err, code } = await run(`rollout status ${short}/db --timeout=2s`);
    expect([err, code]).toEqual(['error: timed out waiting for the condition\n', 1]);
    expect(obstacles(out)).toHaveLength(1);
    expect(out).toContain(`Waiting for ${word} "db" rollout to finish: `);
    expect(out).toContain(`${name}: CreateContainerConfigError: configmap "x" not found\n`);
  });
});
