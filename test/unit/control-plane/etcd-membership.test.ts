import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { endpointsOf, readMembership, writeMembership } from '../../../control-plane/etcd-membership.ts';
import type { EtcdMember } from '../../../lib/store/etcd-members.ts';

const own = { name: 'cp-1', peerUrl: 'https://10.0.0.1:2380', clientAddress: '10.0.0.1:2379' };
const member = (last: number, changes: Partial<EtcdMember> = {}): EtcdMember => ({
  id: `${last}`,
  name: `cp-${last}`,
  peerUrl: `https://10.0.0.${last}:2380`,
  clientAddress: `10.0.0.${last}:2379`,
  isLearner: false,
  ...changes,
});

test('the own member is asked first, and those that have a vote after it', () => {
  expect(endpointsOf([member(3), member(1), member(2)], own)).toEqual([
    '10.0.0.1:2379',
    '10.0.0.2:2379',
    '10.0.0.3:2379',
  ]);
  const waiting = [member(1), member(2, { isLearner: true }), member(3, { name: '', clientAddress: '' })];
  expect(endpointsOf(waiting, own)).toEqual(['10.0.0.1:2379']);
  expect(endpointsOf([member(2)], own)).toEqual(['10.0.0.1:2379', '10.0.0.2:2379']);
});

test('a membership is remembered, and absent while etcd is alone', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'gantry-member-'));
  try {
    expect(await readMembership(dataDir)).toBeUndefined();
    const membership = { endpoints: ['a:1'], initialCluster: ['cp-1=https://a:2'] };
    await writeMembership(dataDir, membership);
    expect(await readMembership(dataDir)).toEqual(membership);
  } finally {
    await rm(dataDir, { recursive: true });
  }
});
