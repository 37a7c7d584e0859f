/** What the agent knows of its machine, and how it is read from /proc and the like. Pure: texts in, numbers out. */

export interface HostFacts {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly machineID: string;
  /** Changes with every boot. */
  readonly bootID: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  /** amd64, arm64: Go's names, as in Kubernetes. */
  readonly architecture: string;
  readonly hostname: string;
}

/** What changes while the machine runs. */
export interface HostUsage {
  /** Of the file system that holds the data folder. */
  readonly diskBytes: number;
  readonly diskFreeBytes: number;
  readonly memoryAvailableBytes: number;
  readonly processes: number;
  readonly maxProcesses: number;
}

export interface HostReader {
  facts(): Promise<HostFacts>;
  usage(): Promise<HostUsage>;
}

/** A line of /proc/meminfo, in bytes. */
export function meminfoBytes(text: string, name: string): number | undefined {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text);
  return match ? Number(match[1]) * 1024 : undefined;
}

/** os-release(5) */
export function osImageOf(text: string): string {
  const match = /^PRETTY_NAME=(?:"(.*)"|'(.*)'|(.*))$/m.exec(text);
  return match?.[1] ?? match?.[2] ?? match?.[3] ?? 'Linux';
}

/** `a-b,c` as in /sys/devices/system/cpu/online. */
export function countCpuList(text: string): number {
  return text
    .trim()
    .split(',')
    .map((range) => range.split('-').map(Number))
    .reduce((total, [first = 0, last = first]) => total + (last - first + 1), 0);
}

/** Of `/proc/loadavg` the fourth field: running/all tasks. */
export function countTasks(text: string): number {
  return Number(text.split(' ')[3]?.split('/')[1] ?? 0);
}

export function architectureName(nodeName: string): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
  return names[nodeName] ?? nodeName;
}

/** The least of a number and limits that may not be set (`max`, -1, absurdly large). */
export function boundBy(value: number, limits: readonly (number | undefined)[]): number {
  return Math.min(
    value,
    ...limits.filter((limit) => limit !== undefined && Number.isFinite(limit) && limit > 0).map(Number),
  );
}

/** cgroup v2 cpu.max ("quota period"), in CPUs. */
export function cpusOfCpuMax(text: string): number | undefined {
  const [quota, period] = text.trim().split(' ').map(Number);
  return quota && period ? quota / period : undefined;
}
