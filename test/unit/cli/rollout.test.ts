/** rollout, drain, wait and describe with the real API and controllers, under a virtual clock. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { rolloutState } from '../../../cli/output/rollout.ts';
import type { Deployment, DeploymentStatus } from '../../../proto/gen/types.ts';
import { manifest, podManifest } from '../control-plane/api/harness.ts';
import { type Cluster, deployment } from '../control-plane/controllers/cluster.ts';
import type { Cli } from './harness.ts';
import { type LiveCli, loadCommands, startLive } from './live.ts';
import { deployment as stored } from './objects.ts';

let cluster: Cluster;
let cli: Cli;
let run: LiveCli['run'];
let ended: LiveCli['ended'];

beforeAll(() => loadCommands('rollout annotate set wait drain cordon uncordon events describe get delete'));
beforeEach(async () => {
  ({ cluster, cli, run, ended } = await startLive(2));
});
afterEach(() => cluster.stop());

async function rolledOut(name: string): Promise<void> {
  const { out } = await run(`rollout status deploy/${name}`);
  expect(out).toMatch(new RegExp(`deployment "${name}" successfully rolled out\n$`));
}

describe('ctl rollout', () => {
  it('status follows the rollout to its end', async () => {
    await cluster.create(deployment('web'));
    const { out, code } = await run('rollout status deployment web');
    expect(code).toBe(0);
    const lines = out.trimEnd().split('\n');
    expect(lines.at(-1)).toBe('deployment "web" successfully rolled out');
    expect(lines.slice(0, -1).every((line) => line.startsWith('Waiting for deployment'))).toBe(true);
    expect(lines.length).toBeGreaterThan(1);
    expect(new Set(lines).size).toBe(lines.length);
  });

  it('status fails, with the reason, when the progress deadline has passed', async () => {
    await cluster.create(deployment('web', { progressDeadlineSeconds: 10 }));
    await rolledOut('web');
    cluster.brokenImages.add('broken:1');
    await run('set image deploy/web main=broken:1');
    const { err, code } = await run('rollout status deploy/web');
    expect(code).toBe(1);
    expect(err).toMatch(/^error: deployment "web" exceeded its progress deadline: /);
    expect((await run('rollout status deploy/web --no-watch')).code).toBe(1);
  });

  it('status gives up after --timeout, and does not wait with --watch=false', async () => {
    cluster.brokenImages.add('broken:1');
    await cluster.create(deployment('web', { image: 'broken:1' }));
    const { err, code } = await run('rollout status deploy/web --timeout=5s');
    expect([err, code]).toEqual(['error: timed out waiting for the condition\n', 1]);
    const once = await run('rollout status deploy/web --watch=false');
    expect(once).toEqual({
      out: 'Waiting for deployment "web" rollout to finish: 0 of 3 updated replicas are available...\n',
      err: '',
      code: 0,
    });
  });

  it('restart, history, undo', async () => {
    await cli.create(deployment('web'));
    await rolledOut('web');
    const first = cluster.pods().map(({ metadata }) => metadata.uid);
    expect((await run('rollout restart deploy/web')).out).toBe('deployment.apps/web restarted\n');
    await rolledOut('web');
    await cluster.clock.until(() => cluster.pods().length === 3, 10_000);
    expect(cluster.pods().some(({ metadata }) => first.includes(metadata.uid))).toBe(false);

    expect((await run('rollout history deploy/web')).out).toMatch(/\n1 +<none>\n2 +restarted\n/);
    await run('annotate deploy/web kubernetes.io/change-cause=newer');
    await run('set image deploy/web main=echo:2');
    await rolledOut('web');
    expect((await run('rollout history deploy/web')).out).toBe(
      'deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         newer\n3         newer\n\n',
    );
    expect((await run('rollout history deploy/web --revision=3')).out).toMatch(
      /Change-Cause: +newer; image of main changed to echo:2\n[\s\S]* {4}Image: +echo:2\n/,
    );

    expect((await run('rollout undo deploy/web --to-revision=1')).out).toBe('deployment.apps/web rolled back\n');
    await rolledOut('web');
    const back = await cli.get<Deployment>('Deployment', 'web');
    expect(back.spec.template).toMatchObject({ spec: { containers: [{ image: 'echo:1' }] } });
    expect(back.spec.template.metadata?.annotations).toBeUndefined();
    expect(back.spec.template.metadata?.labels).toEqual({ app: 'web' });
    expect(back.metadata.annotations).not.toHaveProperty('gantry.dev/undo-to');
    expect((await run('rollout history deploy/web')).out).toBe(
      'deployment.apps/web \nREVISION  CHANGE-CAUSE\n2         newer\n3         newer\n4         undo to revision 1\n\n',
    );
    expect((await run('rollout history deploy/web --revision=77')).err).toBe(
      'error: unable to find the specified revision; there is 2, 3, 4\n',
    );
    expect((await run('rollout undo deploy/web')).out).toBe('deployment.apps/web rolled back\n');
    expect((await cli.get<Deployment>('Deployment', 'web')).spec.template.spec.containers[0]!.image).toBe('echo:2');
    expect((await run('rollout undo deploy/web --to-revision=77')).err).toMatch(
      /^error: unable to find specified revision 77 in history; there is /,
    );
  });

  it('undo has nothing to go back to at first, and skips what is there already', async () => {
    await cluster.create(deployment('web'));
    await rolledOut('web');
    expect((await run('rollout undo deploy/web')).err).toBe('error: no rollout history found for deployment "web"\n');
    expect((await run('rollout undo deploy/web --to-revision=1')).out).toBe(
      'deployment.apps/web skipped rollback (current template already matches revision 1)\n',
    );
  });

  it("undo of a StatefulSet says in kubectl's words that its only revision is all there is", async () => {
    const { selector, template } = deployment('db').spec;
    const metadata = { name: 'db', namespace: 'default' };
    const spec = { selector, template, serviceName: 'db' };
    await cli.create({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec });
    expect((await run('rollout status sts/db')).code).toBe(0);
    expect((await run('rollout history sts/db')).out).toContain('\n1         <none>\n');
    expect((await run('rollout undo sts/db')).err).toBe('error: no last revision to roll back to\n');
    expect((await run('rollout undo sts/db --to-revision=3')).err).toBe(
      'error: unable to find specified revision 3 in history; there is 1\n',
    );
    expect((await run('set image sts/db main=echo:2')).code).toBe(0);
    expect((await run('rollout status sts/db')).code).toBe(0);
    expect((await run('rollout undo sts/db')).out).toBe('statefulset.apps/db rolled back\n');
    await cluster.until(() => cluster.pods().every(({ spec }) => spec.containers[0]?.image === 'echo:1'), 'the undo');
    expect((await run('rollout history sts/db')).out).toMatch(
      /\n2 +image of main changed to echo:2\n3 +undo to revision 1\n/,
    );
  });

  it('pause and resume', async () => {
    await cluster.create(deployment('web'));
    await rolledOut('web');
    expect((await run('rollout pause deploy/web')).out).toBe('deployment.apps/web paused\n');
    expect((await run('rollout pause deploy/web')).err).toBe('error: deployments.apps "web" is already paused\n');
    await run('set image deploy/web main=echo:9');
    expect((await run('rollout status deploy/web --timeout=2s')).out).toContain(
      'rollout to finish: it is paused, until `ctl rollout resume deploy/web`...\n',
    );
    expect((await run('rollout undo deploy/web')).err).toContain('you cannot rollback a paused deployment');
    expect((await run('rollout restart deploy/web')).err).toContain("can't restart paused deployment");
    expect((await run('rollout resume deploy/web')).out).toBe('deployment.apps/web resumed\n');
    expect((await run('rollout resume deploy/web')).err).toBe('error: deployments.apps "web" is not paused\n');
    expect((await run('rollout status pod/x')).err).toContain('pods have no rollout; name a deployment');
  });
});

describe('the sentences of rollout status', () => {
  const state = (status: DeploymentStatus) => rolloutState({ ...stored, status: { ...stored.status, ...status } });

  it.each<[string, DeploymentStatus]>([
    ['Waiting for deployment spec update to be observed...', { observedGeneration: 1 }],
    [
      'Waiting for deployment "web" rollout to finish: 1 out of 3 new replicas have been updated...',
      { updatedReplicas: 1 },
    ],
    ['Waiting for deployment "web" rollout to finish: 2 old replicas are pending termination...', { replicas: 5 }],
    [
      'Waiting for deployment "web" rollout to finish: 1 of 3 updated replicas are available...',
      { availableReplicas: 1 },
    ],
    ['deployment "web" successfully rolled out', {}],
  ])('%s', (sentence, status) => {
    expect(state(status)).toEqual({ sentence, outcome: sentence.startsWith('Waiting') ? 'waiting' : 'done' });
  });
});

describe('ctl drain and cordon', () => {
  it('cordon and uncordon', async () => {
    expect((await run('cordon node-1')).out).toBe('node/node-1 cordoned\n');
    expect((await run('cordon node/node-1')).out).toBe('node/node-1 already cordoned\n');
    expect((await run('get nodes')).out).toMatch(/node-1 +Ready,SchedulingDisabled/);
    expect((await run('uncordon node-1')).out).toBe('node/node-1 uncordoned\n');
    expect((await run('uncordon node-1')).out).toBe('node/node-1 already uncordoned\n');
    expect((await run('cordon')).err).toContain('name the node');
    expect((await run('cordon nope')).err).toContain('nodes "nope" not found');
  });

  it('drain moves the pods away and waits for it', async () => {
    await cluster.create(deployment('web', { replicas: 4 }));
    await rolledOut('web');
    const there = cluster.pods().filter(({ spec }) => spec.nodeName === 'node-1');
    expect(there.length).toBeGreaterThan(0);
    const { out, err, code } = await run('drain node-1 --ignore-daemonsets');
    expect([err, code]).toEqual(['', 0]);
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toBe('node/node-1 cordoned');
    expect(lines.at(-1)).toBe('node/node-1 drained');
    for (const { metadata } of there) {
      expect(lines).toContain(`evicting pod default/${metadata.name}`);
      expect(lines).toContain(`pod/${metadata.name} evicted`);
      expect(cluster.state.byUID(metadata.uid ?? '')).toBeUndefined();
    }
  });

  it.each([
    ['', 30],
    ['--grace-period=7', 7],
  ])('drain %s gives a pod its %d s to end by itself', async (option, seconds) => {
    await cluster.create(deployment('web', { replicas: 2 }));
    await rolledOut('web');
    cluster.stoppedAgents.add('node-1');
    const [pod] = cluster.pods().filter(({ spec }) => spec.nodeName === 'node-1');
    const { err } = await run(`drain node-1 ${option} --timeout=2s`);
    expect(err).toContain('timed out waiting for pods of node "node-1"');
    const going = cluster.state.byUID(pod!.metadata.uid ?? '');
    expect(going?.metadata.deletionGracePeriodSeconds).toBe(seconds);
  });

  it('drain refuses to lose what nothing would replace', async () => {
    await cli.create(manifest(podManifest('bare', {}, { volumes: [{ name: 'scratch', emptyDir: {} }] })));
    await cluster.clock.settle();
    await cluster.edit('Pod', 'bare', (pod) => ({ ...pod, spec: { ...pod.spec, nodeName: 'node-1' } }));
    const { err, code } = await run('drain node-1');
    expect(code).toBe(1);
    expect(err).toBe(
      'error: unable to drain node "node-1"; it stays cordoned (ctl uncordon node-1)\n' +
        '  * cannot delete Pods that declare no controller (use --force to override): default/bare\n' +
        '  * cannot delete Pods with local storage (use --delete-emptydir-data to override): default/bare\n',
    );
    cluster.stoppedAgents.add('node-1');
    const late = await run('drain node-1 --force --delete-emptydir-data --timeout=3s');
    expect(late.err).toBe(
      'Warning: deleting Pods that declare no controller: default/bare\n' +
        'error: timed out waiting for pods of node "node-1" to be gone: default/bare\n',
    );
  });
});

describe('ctl wait', () => {
  it('for a condition', async () => {
    await cluster.create(deployment('web'));
    expect(await run('wait --for=condition=Available deploy/web')).toEqual({
      out: 'deployment.apps/web condition met\n',
      err: '',
      code: 0,
    });
    expect((await run('wait --for=condition=ready pods -l app=web')).out.match(/condition met/g)).toHaveLength(3);
  });

  it('times out with the name of what it waited for', async () => {
    await cluster.create(deployment('web'));
    const { err, code } = await run('wait --for=condition=Frozen deploy/web --timeout=2s');
    expect([err, code]).toEqual(['error: timed out waiting for the condition on deployments/web\n', 1]);
    expect((await run('wait --for=condition=Available=false deploy/web --timeout=0')).code).toBe(1);
  });

  it('for deletion, creation and a field', async () => {
    await cluster.create(deployment('web'));
    const gone = cli.run('wait --for=delete deploy/web');
    await run('delete deploy web --wait=false');
    expect((await ended(gone)).out).toBe('deployment.apps/web condition met\n');
    expect((await run('wait --for=delete deploy/web')).code).toBe(0);
    const made = cli.run('wait --for=create deploy/web');
    await cluster.clock.settle();
    await cluster.create(deployment('web'));
    expect((await ended(made)).code).toBe(0);
    expect((await run('wait --for=jsonpath={.status.readyReplicas}=3 deploy/web')).code).toBe(0);
  });

  it.each([
    ['wait pod/x --for=condition', '--for=condition: use condition=NAME[=STATUS], delete, create or jsonpath'],
    ['wait pod/x --for=condition=Ready', 'pods "x" not found'],
    ['wait pods -l app=none --for=condition=Ready', 'no matching resources found'],
    ['wait pod/x --for=jsonpath={.a[}=1', 'cannot read the JSONPath {.a[}: a bracket is not closed'],
  ])('refuses `%s`', async (line, sentence) => {
    const { err, code } = await run(line);
    expect(err).toContain(sentence);
    expect(code).toBe(1);
  });
});

describe('ctl events and describe', () => {
  it('tell what the controllers did', async () => {
    await cluster.create(deployment('web'));
    await rolledOut('web');
    await cluster.clock.advance(2000);
    const { out } = await run('events --for deploy/web');
    expect(out).toMatch(/^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n/);
    expect(out).toMatch(/ Normal +ScalingReplicaSet +Deployment\/web +Scaled up replica set web-\w+ from 0 to 3\n/);
    expect((await run('events --types=Warning')).err).toBe('No events found in default namespace.\n');
    const described = (await run('describe deploy web')).out;
    expect(described).toMatch(/\nNewReplicaSet: +web-\w+ \(3\/3 replicas created\)\nEvents:\n/);
    expect(described).toMatch(/ Normal +ScalingReplicaSet +\w+ +deployment-controller +Scaled up/);
    expect((await run('describe pod web')).out.match(/^Name: /gm)).toHaveLength(3);
    expect((await run('describe pod nope')).err).toContain('pods "nope" not found');
    expect((await run('describe nodes')).out).toMatch(/Non-terminated Pods: +\(\d in total\)/);
  });
});
