/** What the scheduler answers to questions, through ctl and from the mirror alone. */
import { describe, expect, it } from 'vitest';
import { schedulingHandlers } from '../../../../control-plane/scheduler/handlers.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import type { KubeObject } from '../../../../proto/gen/types.ts';
import { createCli } from '../../cli/harness.ts';
import { node, pod } from './objects.ts';

function stateOf(...objects: readonly KubeObject[]): MutableClusterState {
  const state = new MutableClusterState();
  state.replace(
    objects.map((object) => ({ key: keyOf(object), object })),
    1n,
  );
  return state;
}

describe('ctl explain-pending', () => {
  const waiting = pod('big', { cpu: '3' });
  const state = stateOf(
    node('n1', { cpu: '2' }),
    node('n2', { spec: { unschedulable: true } }),
    node('n3', { ready: false }),
    waiting,
    pod('there', { spec: { nodeName: 'n1' } }),
  );

  it('shows what each node says', async () => {
    const cli = await createCli({ scheduling: schedulingHandlers({ state }) });
    const { out, code } = await cli.run('explain-pending big');
    expect(code).toBe(0);
    expect(out).toBe(
      [
        '0/3 nodes fit: 1 cordoned, 1 insufficient cpu, 1 not ready',
        '',
        'NODE   VERDICT        REASON',
        'n1     does not fit   insufficient cpu',
        'n2     does not fit   cordoned',
        'n3     does not fit   not ready',
        '',
      ].join('\n'),
    );
  });

  it('says where a pod is that does not wait, and when there is none', async () => {
    const cli = await createCli({ scheduling: schedulingHandlers({ state }) });
    expect((await cli.run('explain-pending there')).out).toBe(
      'pod there is on node n1: it is not waiting for the scheduler\n',
    );
    const absent = await cli.run('explain-pending none');
    expect(absent.code).not.toBe(0);
    expect(absent.err).toContain('pods "none" not found');
  });

  it('is part of describe, while the pod waits', async () => {
    const cli = await createCli({ scheduling: schedulingHandlers({ state }) });
    await cli.put(waiting);
    const { out } = await cli.run('describe pod big');
    expect(out).toMatch(/Scheduling: +0\/3 nodes fit: .*\n +n1: +insufficient cpu\n +n2: +cordoned\n/);
    await cli.put({ ...waiting, spec: { ...waiting.spec, nodeName: 'n1' } });
    expect((await cli.run('describe pod big')).out).not.toContain('Scheduling:');
  });
});
