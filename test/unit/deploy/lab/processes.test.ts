import { expect, test } from 'vitest';
import { hierarchies } from '../../../../deploy/lab/cgroups.ts';
import { inventoryDifference } from '../../../../deploy/lab/inventory.ts';
import { descendants, type ProcessInfo, parseStat } from '../../../../deploy/lab/processes.ts';
import { checkLabName, type MachineRecord } from '../../../../deploy/lab/state.ts';
import { type ProcessFacts, roles } from '../../../../deploy/lab/status.ts';

const stat = (pid: number, command: string, state: string, parent: number, start: number): string =>
  `${pid} (${command}) ${state} ${parent} ${'0 '.repeat(17)}${start} 1 2 3`;

test('a command may hold spaces and parentheses', () => {
  expect(parseStat(stat(7, 'a) b (c', 'S', 1, 99))).toEqual({
    pid: 7,
    command: 'a) b (c',
    state: 'S',
    parentPid: 1,
    startTime: 99,
  });
  expect(parseStat('nonsense')).toBeUndefined();
});

test('descendants are the process and all below it, in whatever order /proc lists them', () => {
  const process = (pid: number, parentPid: number): ProcessInfo => ({
    pid,
    parentPid,
    state: 'S',
    command: '',
    startTime: 0,
  });
  const all = [process(30, 20), process(1, 0), process(20, 10), process(10, 1), process(11, 1)];
  expect(descendants(all, 10).map((one) => one.pid)).toEqual([10, 20, 30]);
  expect(descendants(all, 99)).toEqual([]);
});

test('cgroup hierarchies of a hybrid host and of a v2 host', () => {
  const hybrid = [
    '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw',
    '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
  ];
  expect(hierarchies(hybrid.join('\n'))).toEqual(['/sys/fs/cgroup/memory', '/sys/fs/cgroup/unified']);
  expect(hierarchies('30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw')).toEqual(['/sys/fs/cgroup']);
});

test('every process of a node has its role', () => {
  const machine: MachineRecord = { name: 'node-1', role: 'node', address: '', program: 'node-agent', command: [] };
  const facts = (pid: number, parentPid: number, command: string, more: Partial<ProcessFacts> = {}): ProcessFacts => ({
    ...{
      pid,
      parentPid,
      command,
      state: 'S',
      startTime: 0,
      arguments: [command],
      nestedPids: [pid, pid],
      podCgroup: '',
    },
    ...more,
  });
  const found = roles(machine, [
    facts(100, 1, 'tini', { nestedPids: [100, 1], arguments: ['tini', '--', '/clone/deploy/lab/supervise.sh'] }),
    facts(101, 100, 'sh', { arguments: ['/bin/sh', '/clone/deploy/lab/supervise.sh', 'node-agent'] }),
    facts(102, 101, 'node'),
    facts(103, 102, 'skopeo'),
    facts(104, 100, 'conmon'),
    facts(105, 104, 'nginx', { nestedPids: [105, 9, 1], podCgroup: '/node-1/podx/c' }),
    facts(106, 105, 'nginx', { nestedPids: [106, 10, 7], podCgroup: '/node-1/podx/c' }),
    facts(107, 100, 'sleep', { podCgroup: '/node-1/podx/pause' }),
    facts(108, 104, 'sh', { podCgroup: '/node-1/pody/c' }), // hostPID: no namespace tells it apart
    facts(109, 108, 'sleep', { podCgroup: '/node-1/pody/c' }),
  ]);
  expect(Object.fromEntries(found)).toEqual({
    100: 'machine',
    101: 'machine',
    102: 'node-agent',
    103: 'helper',
    104: 'shim',
    105: 'container',
    106: 'container-child',
    107: 'pause',
    108: 'container',
    109: 'container-child',
  });
});

test('the inventory difference leaves out other labs and tells both directions', () => {
  const before = ['[] link eth0', '[other] link gt-other'];
  const after = ['[] nft table ip stray', '[mine] cgroup /x', '[other2] process 7'];
  expect(inventoryDifference(before, after, 'mine')).toEqual([
    'left behind: [] nft table ip stray',
    'left behind: [mine] cgroup /x',
    'missing: [] link eth0',
  ]);
});

test.each(['default', 'a', 'e2e-x7', 'a'.repeat(32)])('lab name %s', (name) => {
  expect(() => checkLabName(name)).not.toThrow();
});

test.each(['', '-a', 'a-', 'A', 'a/b', '..', 'a b', 'a'.repeat(33)])('no lab name: "%s"', (name) => {
  expect(() => checkLabName(name)).toThrow('lower case');
});
