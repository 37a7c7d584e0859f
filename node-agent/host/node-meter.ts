/**
 * What the machine uses: counters to be read twice. On a machine of its own that is what /proc says of all of it. In a pid
 * namespace (a container, a machine of the lab) /proc/stat is the host's, so there it is the pods and this agent.
 */
import { readFile, readlink } from 'node:fs/promises';
import { detectCgroups } from '../runtime/cgroup.ts';
import { readUsage } from '../runtime/cgroup-host.ts';
import { meminfoBytes } from './facts.ts';

export interface NodeReading {
  /** Since some beginning. */
  readonly cpuNanos: bigint;
  readonly memoryBytes: number;
}

export interface NodeMeter {
  read(): Promise<NodeReading>;
}

/** include/linux/proc_ns.h: PROC_PID_INIT_INO */
const initialPidNamespace = 'pid:[4026531836]';

export function createNodeMeter(cgroupParent: string): NodeMeter {
  return {
    async read() {
      const namespace = await readlink('/proc/self/ns/pid').catch(() => initialPidNamespace);
      return namespace === initialPidNamespace ? readMachine() : readOwn(cgroupParent);
    },
  };
}

async function readMachine(): Promise<NodeReading> {
  const [stat, meminfo] = await Promise.all([readFile('/proc/stat', 'utf8'), readFile('/proc/meminfo', 'utf8')]);
  const total = meminfoBytes(meminfo, 'MemTotal') ?? 0;
  return { cpuNanos: busyNanos(stat), memoryBytes: total - (meminfoBytes(meminfo, 'MemAvailable') ?? total) };
}

async function readOwn(cgroupParent: string): Promise<NodeReading> {
  const layout = detectCgroups(await readFile('/proc/self/mountinfo', 'utf8'));
  const pods = layout && (await readUsage(layout, cgroupParent));
  const { user, system } = process.cpuUsage();
  return {
    cpuNanos: (pods?.cpuUsageNanos ?? 0n) + BigInt(user + system) * 1000n,
    memoryBytes: (pods?.memoryBytes ?? 0) + process.memoryUsage.rss(),
  };
}

/** proc(5): `cpu user nice system idle iowait irq softirq steal ...` in hundredths of a second. Pure. */
export function busyNanos(stat: string): bigint {
  const line = /^cpu +(.*)$/m.exec(stat)?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(' ').map(Number);
  return BigInt(user + nice + system + irq + softirq) * 10_000_000n;
}
