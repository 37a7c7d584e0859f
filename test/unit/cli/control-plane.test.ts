import { expect, test } from 'vitest';
import type { ApiDependencies } from '../../../control-plane/api/dependencies.ts';
import { GantryError } from '../../../lib/errors.ts';
import { createCli } from './harness.ts';

const membership: NonNullable<ApiDependencies['membership']> = {
  ListControlPlanes: async () => ({
    controlPlanes: [
      { name: 'cp-1', address: '10.88.0.2:6443', leader: true, ready: true, etcd: 'follower' },
      { name: 'cp-2', address: '10.88.0.3:6443', leader: false, ready: false, etcd: 'unreachable' },
      { name: '10.88.0.4', leader: false, etcd: 'learner' },
    ],
  }),
  async RemoveControlPlane({ name }) {
    if (name === 'cp-1') throw new GantryError('failedPrecondition', 'without cp-1 there would be no majority');
    return { warnings: ['destroy its data folder'] };
  },
};

test('ctl control-plane lists the replicas and takes one away', async () => {
  const cli = await createCli({ membership });
  const { out } = await cli.run('control-plane list');
  expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['NAME', 'STATUS', 'LEADER', 'ETCD', 'ADDRESS'],
    ['cp-1', 'Ready', 'yes', 'follower', '10.88.0.2:6443'],
    ['cp-2', 'NotReady', 'no', 'unreachable', '10.88.0.3:6443'],
    ['10.88.0.4', 'NotReady', 'no', 'learner', '<unknown>'],
    [''],
  ]);
  expect(JSON.parse((await cli.run('control-plane list -o json')).out).items).toHaveLength(3);
  expect(await cli.run('control-plane remove cp-2')).toMatchObject({
    out: 'control-plane/cp-2 removed\n',
    err: expect.stringContaining('destroy its data folder'),
    code: 0,
  });
  expect((await cli.run('get control-planes')).err).toContain('use `ctl control-plane list`');
  const refused = await cli.run('control-plane remove cp-1');
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('no majority')]);
});
