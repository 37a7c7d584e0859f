/** `ctl delete` against the API: what it prints, what it waits for, and what it refuses. */
import { describe, expect, it } from 'vitest';
import type { Pod } from '../../../proto/gen/types.ts';
import { configMapManifest, deploymentManifest, manifest, podManifest } from '../control-plane/api/harness.ts';
import { type Cli, createCli, until } from './harness.ts';

async function boundPod(cli: Cli, name: string, labels: object = {}): Promise<Pod> {
  const pod = await cli.create<Pod>(manifest(podManifest(name, labels)));
  const bound: Pod = { ...pod, spec: { ...pod.spec, nodeName: 'node-1' } };
  await cli.put(bound);
  return bound;
}

describe('ctl delete', () => {
  it('deletes by name, in both forms, and prints what kubectl prints', async () => {
    const cli = await createCli();
    await cli.create(manifest(configMapManifest('a')));
    await cli.create(manifest(configMapManifest('b')));
    await cli.create(manifest(deploymentManifest('web')));
    expect(await cli.run('delete cm a b')).toEqual({
      out: 'configmap "a" deleted\nconfigmap "b" deleted\n',
      err: '',
      code: 0,
    });
    expect((await cli.run('delete deploy/web')).out).toBe('deployment.apps "web" deleted\n');
  });

  it('waits until a bound pod is gone', async () => {
    const cli = await createCli();
    await boundPod(cli, 'web');
    const running = cli.run('delete pod web');
    let ended = false;
    void running.then(() => {
      ended = true;
    });
    await until(async () => (await cli.get<Pod>('Pod', 'web')).metadata.deletionTimestamp !== undefined);
    expect(ended).toBe(false);
    await cli.run('delete pod web --grace-period=0 --force --wait=false');
    expect(await running).toEqual({ out: 'pod "web" deleted\n', err: '', code: 0 });
  });

  it('does not wait with --wait=false', async () => {
    const cli = await createCli();
    await boundPod(cli, 'web');
    expect((await cli.run('delete pod web --wait=false')).code).toBe(0);
    expect((await cli.get<Pod>('Pod', 'web')).metadata.deletionTimestamp).toBeDefined();
  });

  it('gives up after --timeout and says on what', async () => {
    const cli = await createCli();
    await boundPod(cli, 'web');
    const { err, code } = await cli.run('delete pod web --timeout=10ms');
    const why = 'pods/web waits for Pod default/web on node node-1, which is gone';
    const goesOn = 'Deletion was asked for and goes on; to wait for its end: ctl wait --for=delete pods/web';
    expect(err).toBe(`error: timed out waiting for the condition on pods/web\n${why}\n${goesOn}\n`);
    expect(code).toBe(1);
  });

  it('ends with 130 at Ctrl-C', async () => {
    const cli = await createCli();
    await boundPod(cli, 'web');
    const running = cli.run('delete pod web');
    await until(() => running.out() !== '');
    running.interrupt();
    expect(await running).toEqual({ out: 'pod "web" deleted\n', err: '', code: 130 });
  });

  it('warns about --force and removes at once', async () => {
    const cli = await createCli();
    await boundPod(cli, 'web');
    const { out, err } = await cli.run('delete pod web --force');
    expect(out).toBe('pod "web" force deleted\n');
    expect(err).toContain('Warning: Immediate deletion does not wait for confirmation');
  });

  it('passes the grace period on; 0 without --force is 1', async () => {
    const cli = await createCli();
    for (const [flags, seconds] of [
      ['--grace-period=5', 5],
      ['--now', 1],
      ['--grace-period=0', 1],
      ['', 30],
    ] as const) {
      await boundPod(cli, 'web');
      await cli.run(`delete pod web --wait=false ${flags}`);
      expect((await cli.get<Pod>('Pod', 'web')).metadata.deletionGracePeriodSeconds).toBe(seconds);
      await cli.run('delete pod web --force');
    }
  });

  it('deletes by label and all of a kind', async () => {
    const cli = await createCli();
    for (const name of ['a', 'b', 'c']) {
      await cli.create(manifest(podManifest(name, { app: name === 'c' ? 'other' : 'web' })));
    }
    expect((await cli.run('delete pods -l app=web')).out).toBe('pod "a" deleted\npod "b" deleted\n');
    expect((await cli.run('delete pods --all')).out).toBe('pod "c" deleted\n');
    expect(await cli.run('delete pods --all')).toEqual({ out: '', err: 'No resources found\n', code: 0 });
  });

  it('deletes what manifests name', async () => {
    const cli = await createCli();
    await cli.create(manifest(configMapManifest('a')));
    const input = JSON.stringify(configMapManifest('a'));
    expect((await cli.run('delete -f -', { input })).out).toBe('configmap "a" deleted\n');
  });

  it('goes on after one that is not there, and tells by the exit status', async () => {
    const cli = await createCli();
    await cli.create(manifest(configMapManifest('b')));
    const { out, err, code } = await cli.run('delete cm a b');
    expect(out).toBe('configmap "b" deleted\n');
    expect(err).toBe('Error from server (NotFound): configmaps "a" not found in namespace "default"\n');
    expect(code).toBe(1);
    expect(await cli.run('delete cm a --ignore-not-found')).toEqual({ out: '', err: '', code: 0 });
  });

  it.each([
    ['delete pods', 'resource(s) were provided, but no name was specified'],
    ['delete', 'You must provide one or more resources by argument or filename'],
    ['delete pod web -l app=web', 'name cannot be provided when a selector or --all is specified'],
    ['delete pod --all -l app=web', 'cannot set --all and --selector at the same time'],
    ['delete pod web --now --grace-period=3', '--now and --grace-period cannot be specified together'],
    ['delete pod web --cascade=sideways', '--cascade=sideways: use background, foreground or orphan'],
  ])('refuses `%s`', async (line, sentence) => {
    const cli = await createCli();
    expect(await cli.run(line)).toEqual({ out: '', err: `error: ${sentence}\n`, code: 1 });
  });
});
