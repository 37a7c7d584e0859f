import { describe, expect, it } from 'vitest';
import {
  type CgroupLayout,
  cgroupDir,
  cgroupDirs,
  cpuQuotaMicros,
  cpuShares,
  cpuWeight,
  detectCgroups,
  planPodCgroup,
} from '../../../../node-agent/runtime/cgroup.ts';

const mount = (point: string, type: string, options: string): string =>
  `32 31 0:29 / ${point} rw,relatime shared:9 - ${type} ${type} rw,${options}`;
const unifiedOnly = mount('/sys/fs/cgroup', 'cgroup2', 'nsdelegate');
const version1 = [
  '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
  mount('/sys/fs/cgroup/cpu,cpuacct', 'cgroup', 'cpu,cpuacct'),
  mount('/sys/fs/cgroup/memory', 'cgroup', 'memory'),
  mount('/sys/fs/cgroup/pids', 'cgroup', 'pids'),
  mount('/sys/fs/cgroup/systemd', 'cgroup', 'xattr,name=systemd'),
].join('\n');

describe('detectCgroups', () => {
  it('takes version 2 where it is alone', () => {
    expect(detectCgroups(unifiedOnly)).toEqual({
      version: 2,
      hierarchies: [{ mountPoint: '/sys/fs/cgroup', controllers: [] }],
    });
  });

  it('takes version 1 where the controllers are there, and remembers a version 2 beside it', () => {
    const hybrid = detectCgroups(`${version1}\n${mount('/sys/fs/cgroup/unified', 'cgroup2', 'nsdelegate')}`);
    const beside = { mountPoint: '/sys/fs/cgroup/unified', controllers: [] };
    expect(hybrid).toEqual({ version: 1, hierarchies: [...detectCgroups(version1)!.hierarchies, beside] });
    expect(cgroupDirs(hybrid!, '/p')).toContain('/sys/fs/cgroup/unified/p');
    expect(detectCgroups(version1)).toEqual({
      version: 1,
      hierarchies: [
        { mountPoint: '/sys/fs/cgroup/cpu,cpuacct', controllers: ['cpu', 'cpuacct'] },
        { mountPoint: '/sys/fs/cgroup/memory', controllers: ['memory'] },
        { mountPoint: '/sys/fs/cgroup/pids', controllers: ['pids'] },
        { mountPoint: '/sys/fs/cgroup/systemd', controllers: ['name=systemd'] },
      ],
    });
  });

  it('takes version 2 when version 1 has nothing but a named hierarchy', () => {
    const named = mount('/sys/fs/cgroup/systemd', 'cgroup', 'name=systemd');
    expect(detectCgroups(`${named}\n${mount('/sys/fs/cgroup/unified', 'cgroup2', '')}`)?.version).toBe(2);
  });

  it('counts a hierarchy once that is mounted twice', () => {
    expect(detectCgroups(`${version1}\n${mount('/elsewhere', 'cgroup', 'memory')}`)).toEqual(detectCgroups(version1));
  });

  it('finds nothing where nothing is', () => {
    expect(detectCgroups('')).toBeUndefined();
  });
});

const old = detectCgroups(version1) as CgroupLayout;
const unified = detectCgroups(unifiedOnly) as CgroupLayout;
const limits = { cpuRequestMillis: 500, cpuLimitMillis: 1500, memoryLimitBytes: 1000, pidsLimit: 7 };

describe('planPodCgroup', () => {
  it('writes version 1 files', () => {
    expect(planPodCgroup(old, '/gantry/podx', limits)).toEqual([
      {
        dir: '/sys/fs/cgroup/cpu,cpuacct/gantry/podx',
        writes: [
          { file: 'cpu.shares', value: '512' },
          { file: 'cpu.cfs_period_us', value: '100000' },
          { file: 'cpu.cfs_quota_us', value: '150000' },
        ],
      },
      { dir: '/sys/fs/cgroup/memory/gantry/podx', writes: [{ file: 'memory.limit_in_bytes', value: '1000' }] },
      { dir: '/sys/fs/cgroup/pids/gantry/podx', writes: [{ file: 'pids.max', value: '7' }] },
    ]);
  });

  it('passes controllers down every level of version 2 before it limits the pod', () => {
    const plan = planPodCgroup(unified, '/gantry/podx', limits);
    const enable = ['+cpu', '+memory', '+pids'].map((value) => ({ file: 'cgroup.subtree_control', value }));
    expect(plan).toEqual([
      { dir: '/sys/fs/cgroup', writes: enable },
      { dir: '/sys/fs/cgroup/gantry', writes: enable },
      {
        dir: '/sys/fs/cgroup/gantry/podx',
        writes: [
          { file: 'cpu.weight', value: '20' },
          { file: 'cpu.max', value: '150000 100000' },
          { file: 'memory.max', value: '1000' },
          { file: 'pids.max', value: '7' },
          ...enable,
        ],
      },
    ]);
  });

  it('sets no limit where none is asked for', () => {
    expect(planPodCgroup(old, '/p', {}).flatMap(({ writes }) => writes)).toEqual([{ file: 'cpu.shares', value: '2' }]);
  });
});

describe('folders', () => {
  it('are found by controller, or in all hierarchies', () => {
    expect(cgroupDir(old, 'cpuacct', '/p')).toBe('/sys/fs/cgroup/cpu,cpuacct/p');
    expect(cgroupDir(old, 'hugetlb', '/p')).toBeUndefined();
    expect(cgroupDir(unified, 'memory', '/p')).toBe('/sys/fs/cgroup/p');
    expect(cgroupDirs(old, '/p')).toHaveLength(4);
  });
});

describe('cpu numbers', () => {
  it.each([
    [0, 2],
    [1, 2],
    [100, 102],
    [1000, 1024],
    [1_000_000, 262_144],
  ])('%i thousandths are %i shares', (millis, shares) => {
    expect(cpuShares(millis)).toBe(shares);
  });

  it("keep to the kernel's bounds", () => {
    expect(cpuQuotaMicros(1)).toBe(1000);
    expect(cpuQuotaMicros(250)).toBe(25_000);
    expect(cpuWeight(2)).toBe(1);
    expect(cpuWeight(262_144)).toBe(10_000);
  });
});
