/** A rolling update under load: clients that connect once per request lose none of them, and the bounds hold. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isPodReady } from '../../lib/model/pods.ts';
import type { Deployment, Pod } from '../../proto/gen/types.ts';
import type { Seen } from './api.ts';
import { type Lab, startLab, waitFor } from './lab-fixture.ts';
import { deployment, echo, on, service, shellPod } from './manifests.ts';

const replicas = 4;
const nodes = ['node-1', 'node-2', 'node-3'];
let lab: Lab;

/** maxUnavailable 1, maxSurge 1: at least 3 serve and at most 5 are there, at any instant. */
const web = (env: Record<string, string>): Deployment =>
  deployment('web', replicas, echo(env), { strategy: { rollingUpdate: { maxUnavailable: '1', maxSurge: '1' } } });

/** One connection per request, a line for each: what the server said, or FAILED. */
const loop = 'while :; do wget -T 5 -qO- http://web 2>&1 || echo FAILED; done';

beforeAll(async () => {
  lab = await startLab({ nodes: 3 });
  await lab.api.apply(web({ VERSION: 'one' }));
  await lab.api.apply(service('web', 'web'));
  await waitFor('the service answers', 60_000, async () => (await lab.api.endpoints('web')).length === replicas);
  for (const node of nodes) await lab.api.apply(shellPod(`client-${node}`, loop, on(node)));
  for (const node of nodes) {
    await waitFor(`the client on ${node} is served`, 30_000, async () => (await answersTo(node)).length > 5);
  }
});
afterAll(() => lab?.remove());

const answersTo = (node: string): Promise<string[]> => lab.api.logs(`client-${node}`);
const image = async (): Promise<string> => {
  const { spec } = await lab.api.get('Deployment', 'web');
  return spec.template.spec.containers[0]!.env?.find(({ name }) => name === 'VERSION')?.value ?? '';
};
const isWeb = ({ metadata }: Pod): boolean => metadata.labels?.app === 'web';

/** Runs the change to its end and returns every change of a pod on the way. */
async function rolledOut(change: () => Promise<void>): Promise<Seen<'Pod'>[]> {
  const watch = await lab.api.watch('Pod', { selector: 'app=web' });
  await change();
  const told = await lab.check(['rollout', 'status', 'deploy/web', '--timeout=90s']);
  expect(told).toContain('deployment "web" successfully rolled out');
  await waitFor('the old pods are gone', 30_000, async () => {
    const pods = (await lab.api.list('Pod', { selector: 'app=web' })).filter(isWeb);
    return pods.length === replicas && (await lab.api.endpoints('web')).length === replicas;
  });
  await watch.stop();
  return [...watch.seen];
}

/** After every change: how many pods served, and how many were there that were not on their way out. */
function countsAlong(changes: readonly Seen<'Pod'>[]): { readonly serving: number; readonly present: number }[] {
  const pods = new Map<string, Pod>();
  const counts = changes.map(({ type, object }) => {
    if (type === 'DELETED') pods.delete(object.metadata.uid!);
    else pods.set(object.metadata.uid!, object);
    const staying = [...pods.values()].filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    return { serving: staying.filter(isPodReady).length, present: staying.length };
  });
  return counts.slice(replicas - 1); // the first ones tell what was there
}

/** No client lost a request since it began, and each was answered by pods that came and pods that went. */
async function nothingWasLost(old: readonly Pod[]): Promise<void> {
  const now = await lab.api.readyPods('app=web');
  for (const node of nodes) {
    const answers = await waitFor(`the client on ${node} is served by the new ones`, 30_000, async () => {
      const lines = await answersTo(node);
      const latest = new Set(lines.slice(-200).flatMap((line) => /"pod":"([^"]+)"/.exec(line)?.[1] ?? []));
      return now.every(({ metadata }) => latest.has(metadata.name)) && lines;
    });
    const said = new Set(answers.flatMap((line) => /"pod":"([^"]+)"/.exec(line)?.[1] ?? []));
    expect(answers.filter((line) => !/^\{"pod":"web-/.test(line))).toEqual([]);
    for (const { metadata } of [...old, ...now]) expect(said).toContain(metadata.name);
  }
}

describe('a rolling update', () => {
  test('loses no request of clients on any node, and stays within its bounds', async () => {
    const old = await lab.api.readyPods('app=web');
    const changes = await rolledOut(() => lab.api.apply(web({ VERSION: 'two' })));
    await nothingWasLost(old);
    const counts = countsAlong(changes);
    expect(counts.length).toBeGreaterThan(3 * replicas);
    expect(Math.min(...counts.map(({ serving }) => serving))).toBeGreaterThanOrEqual(replicas - 1);
    expect(Math.max(...counts.map(({ present }) => present))).toBeLessThanOrEqual(replicas + 1);
    const now = await lab.api.readyPods('app=web');
    expect(now.filter(({ metadata }) => old.some((one) => one.metadata.uid === metadata.uid))).toEqual([]);
    expect(now.every(({ spec }) => spec.containers[0]!.env?.some(({ value }) => value === 'two'))).toBe(true);
  });

  test('is undone the same way: the former template, as a new revision', async () => {
    expect((await lab.check(['rollout', 'history', 'deploy/web'])).match(/^\d+ /gm)).toEqual(['1 ', '2 ']);
    const old = await lab.api.readyPods('app=web');
    const changes = await rolledOut(async () => {
      expect(await lab.check(['rollout', 'undo', 'deploy/web'])).toContain('deployment.apps/web rolled back');
    });
    expect(await image()).toBe('one');
    await nothingWasLost(old);
    expect(Math.min(...countsAlong(changes).map(({ serving }) => serving))).toBeGreaterThanOrEqual(replicas - 1);
    expect((await lab.check(['rollout', 'history', 'deploy/web'])).match(/^\d+ /gm)).toEqual(['2 ', '3 ']);
    const sets = await lab.api.list('ReplicaSet', { selector: 'app=web' });
    expect(sets.map(({ status }) => status?.replicas ?? 0).sort()).toEqual([0, replicas]);
  });

  test('restart replaces every pod, and scaling down loses nothing either', async () => {
    const old = await lab.api.readyPods('app=web');
    await rolledOut(async () => void (await lab.check(['rollout', 'restart', 'deploy/web'])));
    await nothingWasLost(old);
    const before = await lab.api.readyPods('app=web');
    expect(before.filter(({ metadata }) => old.some((one) => one.metadata.uid === metadata.uid))).toEqual([]);

    await lab.check(['scale', 'deploy/web', '--replicas=1']);
    const left = await waitFor('one is left', 30_000, async () => {
      const pods = await lab.api.list('Pod', { selector: 'app=web' });
      return pods.length === 1 && pods[0];
    });
    for (const node of nodes) {
      const lines = await waitFor('only the one answers', 30_000, async () => {
        const found = await answersTo(node);
        return found.slice(-20).every((line) => line.includes(left.metadata.name)) && found;
      });
      expect(lines.filter((line) => !/^\{"pod":"web-/.test(line))).toEqual([]);
    }
    await lab.check(['scale', 'deploy/web', `--replicas=${replicas}`]);
    await lab.check(['rollout', 'status', 'deploy/web', '--timeout=60s']);
  });

  test('that cannot succeed stops with most of the old ones serving, says why, and is undone', async () => {
    const old = await lab.api.readyPods('app=web');
    const broken = web({ VERSION: 'three' });
    broken.spec.template.spec.containers[0]!.image = 'echo:not-there';
    broken.spec.progressDeadlineSeconds = 8;
    await lab.api.apply(broken);
    const status = await lab.ctl(['rollout', 'status', 'deploy/web', '--timeout=60s']);
    expect(status.exitCode).toBe(1);
    expect(status.stderr).toContain('exceeded its progress deadline');
    const serving = await lab.api.readyPods('app=web');
    expect(serving.length).toBeGreaterThanOrEqual(replicas - 1);
    expect(serving.every(({ metadata }) => old.some((one) => one.metadata.uid === metadata.uid))).toBe(true);
    const pods = await lab.check(['get', 'pods', '-l', 'app=web']);
    expect(pods).toMatch(/ErrImagePull|ImagePullBackOff/);
    await rolledOut(async () => void (await lab.check(['rollout', 'undo', 'deploy/web'])));
    for (const node of nodes) {
      expect((await answersTo(node)).filter((line) => !/^\{"pod":"web-/.test(line))).toEqual([]);
    }
  });
});
