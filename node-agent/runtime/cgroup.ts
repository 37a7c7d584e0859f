/**
 * Control groups, the pure part: which hierarchies this host has, and which files a pod's limits become.
 *
 * The layout is read from /proc/self/mountinfo, never assumed: version 2 alone (systemd's "unified"), version 1, or
 * both at once ("hybrid": the controllers are in version 1). Containers get their own limits through runc; what is
 * planned here is the pod's group around them.
 * Sources: kernel Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
 */
import type { ContainerResources } from './runtime.ts';

export interface CgroupLayout {
  readonly version: 1 | 2;
  /**
   * Version 1: every hierarchy, with the controllers mounted there; a version 2 beside them has none, but runc makes groups
   * in it too. Version 2: the one mount, no controllers named.
   */
  readonly hierarchies: readonly CgroupHierarchy[];
}

export interface CgroupHierarchy {
  readonly mountPoint: string;
  /** `cpu`, `memory`, ...; `name=systemd` for a named one. */
  readonly controllers: readonly string[];
}

/** A folder to make and what to write into its files, in this order. */
export interface CgroupPlan {
  readonly dir: string;
  readonly writes: readonly { readonly file: string; readonly value: string }[];
}

const knownControllers = [
  'cpuset',
  'cpu',
  'cpuacct',
  'blkio',
  'memory',
  'devices',
  'freezer',
  'net_cls',
  'perf_event',
  'net_prio',
  'hugetlb',
  'pids',
  'rdma',
  'misc',
];

/** Parses /proc/self/mountinfo; undefined when no controller can be used. */
export function detectCgroups(mountinfo: string): CgroupLayout | undefined {
  const version1 = new Map<string, CgroupHierarchy>();
  let unified: string | undefined;
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const mountPoint = before.split(' ')[4];
    const [type, , superOptions = ''] = after.split(' ');
    if (mountPoint === undefined) continue;
    if (type === 'cgroup2') unified ??= mountPoint;
    if (type !== 'cgroup') continue;
    const options = superOptions.split(',');
    const controllers = options.filter((name) => knownControllers.includes(name) || name.startsWith('name='));
    const key = controllers.join(',');
    if (controllers.length > 0 && !version1.has(key)) version1.set(key, { mountPoint, controllers });
  }
  const hierarchies = [...version1.values()];
  const beside = unified === undefined ? [] : [{ mountPoint: unified, controllers: [] }];
  if (hierarchies.some(({ controllers }) => controllers.includes('memory'))) {
    return { version: 1, hierarchies: [...hierarchies, ...beside] };
  }
  return beside.length === 0 ? undefined : { version: 2, hierarchies: beside };
}

/** The folders of `path` (absolute, below the hierarchies' roots), in every hierarchy. */
export function cgroupDirs(layout: CgroupLayout, path: string): readonly string[] {
  return layout.hierarchies.map(({ mountPoint }) => mountPoint + path);
}

/** The folder of `path` in the hierarchy that has `controller`. */
export function cgroupDir(layout: CgroupLayout, controller: string, path: string): string | undefined {
  const found = layout.hierarchies.find(({ controllers }) => layout.version === 2 || controllers.includes(controller));
  return found && found.mountPoint + path;
}

/** The folders of `path` by which all its processes can be found; and where version 2 is, killed in one stroke. */
export function processDirs(layout: CgroupLayout, path: string): readonly string[] {
  const telling = cgroupDir(layout, 'pids', path) ?? cgroupDir(layout, 'memory', path);
  const unified = layout.hierarchies.find(({ controllers }) => controllers.length === 0);
  return [...new Set([telling, unified && unified.mountPoint + path])].filter((dir) => dir !== undefined);
}

/** The pod's group: made in the hierarchies that bound or count it, limited as `resources` say. */
export function planPodCgroup(
  layout: CgroupLayout,
  path: string,
  resources: ContainerResources,
): readonly CgroupPlan[] {
  return layout.version === 2 ? planUnified(layout, path, resources) : planVersion1(layout, path, resources);
}

/** Microseconds; the kernel's default, and Kubernetes'. */
export const cpuPeriodMicros = 100_000;

/** CFS quota for a limit in thousandths of a CPU; the kernel takes no less than 1 ms. */
export function cpuQuotaMicros(limitMillis: number): number {
  return Math.max(1000, Math.round((limitMillis * cpuPeriodMicros) / 1000));
}

/** Version 1 shares for a request: 1024 a CPU, at least 2 (the kernel's minimum). */
export function cpuShares(requestMillis: number): number {
  return Math.max(2, Math.min(262_144, Math.round((requestMillis * 1024) / 1000)));
}

/** Version 2 weight for version 1 shares, as runc converts them. */
export function cpuWeight(shares: number): number {
  return 1 + Math.floor(((shares - 2) * 9999) / 262_142);
}

function planVersion1(layout: CgroupLayout, path: string, resources: ContainerResources): readonly CgroupPlan[] {
  const { cpuRequestMillis = 0, cpuLimitMillis, memoryLimitBytes, pidsLimit } = resources;
  const writes: Readonly<Record<string, CgroupPlan['writes']>> = {
    cpu: [
      { file: 'cpu.shares', value: String(cpuShares(cpuRequestMillis)) },
      ...(cpuLimitMillis
        ? [
            { file: 'cpu.cfs_period_us', value: String(cpuPeriodMicros) },
            { file: 'cpu.cfs_quota_us', value: String(cpuQuotaMicros(cpuLimitMillis)) },
          ]
        : []),
    ],
    memory: memoryLimitBytes ? [{ file: 'memory.limit_in_bytes', value: String(memoryLimitBytes) }] : [],
    pids: pidsLimit ? [{ file: 'pids.max', value: String(pidsLimit) }] : [],
  };
  return Object.entries(writes).flatMap(([controller, files]) => {
    const dir = cgroupDir(layout, controller, path);
    return dir === undefined ? [] : [{ dir, writes: files }];
  });
}

function planUnified(layout: CgroupLayout, path: string, resources: ContainerResources): readonly CgroupPlan[] {
  const { cpuRequestMillis = 0, cpuLimitMillis, memoryLimitBytes, pidsLimit } = resources;
  const root = layout.hierarchies[0]!.mountPoint;
  const enable = ['+cpu', '+memory', '+pids'].map((value) => ({ file: 'cgroup.subtree_control', value }));
  // A controller is there only if every group above passes it down.
  const parts = path.split('/').filter((part) => part !== '');
  const above = parts.map((_, depth) => ({ dir: [root, ...parts.slice(0, depth)].join('/'), writes: enable }));
  const limits = [
    { file: 'cpu.weight', value: String(cpuWeight(cpuShares(cpuRequestMillis))) },
    ...(cpuLimitMillis ? [{ file: 'cpu.max', value: `${cpuQuotaMicros(cpuLimitMillis)} ${cpuPeriodMicros}` }] : []),
    ...(memoryLimitBytes ? [{ file: 'memory.max', value: String(memoryLimitBytes) }] : []),
    ...(pidsLimit ? [{ file: 'pids.max', value: String(pidsLimit) }] : []),
  ];
  return [...above, { dir: root + path, writes: [...limits, ...enable] }];
}
