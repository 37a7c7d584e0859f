/** HostReader over /proc, /sys and statfs. What is missing on a machine is filled in with what is sure to be there. */
import { mkdir, readFile, statfs, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Random } from '../../lib/random.ts';
import { type CgroupLayout, cgroupDir, detectCgroups } from '../runtime/cgroup.ts';
import {
  architectureName,
  boundBy,
  countCpuList,
  countTasks,
  cpusOfCpuMax,
  type HostFacts,
  type HostReader,
  meminfoBytes,
  osImageOf,
} from './facts.ts';

export interface LinuxHostOptions {
  readonly dataDir: string;
  /** Limits on it, and on what is around it, bound what pods can have. */
  readonly cgroupParent: string;
  readonly random: Random;
}

const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

export function createLinuxHost(options: LinuxHostOptions): HostReader {
  return {
    facts: () => readFacts(options),
    async usage() {
      const [disk, meminfo, loadavg, pidMax] = await Promise.all([
        statfs(options.dataDir),
        read('/proc/meminfo'),
        read('/proc/loadavg'),
        read('/proc/sys/kernel/pid_max'),
      ]);
      return {
        diskBytes: disk.blocks * disk.bsize,
        diskFreeBytes: disk.bavail * disk.bsize,
        memoryAvailableBytes: meminfoBytes(meminfo, 'MemAvailable') ?? Number.MAX_SAFE_INTEGER,
        processes: countTasks(loadavg),
        maxProcesses: Number(pidMax) || 32_768,
      };
    },
  };
}

async function readFacts(options: LinuxHostOptions): Promise<HostFacts> {
  const [cpus, meminfo, bootID, kernel, release, hostname, mountinfo] = await Promise.all([
    read('/sys/devices/system/cpu/online'),
    read('/proc/meminfo'),
    read('/proc/sys/kernel/random/boot_id'),
    read('/proc/sys/kernel/osrelease'),
    read('/etc/os-release'),
    read('/proc/sys/kernel/hostname'),
    read('/proc/self/mountinfo'),
  ]);
  const limits = await cgroupLimits(detectCgroups(mountinfo), options.cgroupParent);
  return {
    cpus: boundBy(countCpuList(cpus || '0'), limits.cpus),
    memoryBytes: boundBy(meminfoBytes(meminfo, 'MemTotal') ?? 0, limits.memoryBytes),
    machineID: await readMachineID(options),
    bootID: bootID.trim(),
    kernelVersion: kernel.trim(),
    osImage: osImageOf(release),
    architecture: architectureName(process.arch),
    hostname: hostname.trim(),
  };
}

/** /etc/machine-id, or one of our own for machines that have none. */
async function readMachineID({ dataDir, random }: LinuxHostOptions): Promise<string> {
  const own = `${dataDir}/machine-id`;
  const known = (await read('/etc/machine-id')).trim() || (await read(own)).trim();
  if (known) return known;
  const made = random.uuid().replaceAll('-', '');
  await mkdir(dataDir, { recursive: true });
  await writeFile(own, `${made}\n`);
  return made;
}

interface CgroupLimits {
  readonly cpus: readonly (number | undefined)[];
  readonly memoryBytes: readonly (number | undefined)[];
}

/** Limits of the group and of all around it. */
async function cgroupLimits(layout: CgroupLayout | undefined, group: string): Promise<CgroupLimits> {
  const cpus: (number | undefined)[] = [];
  const memoryBytes: (number | undefined)[] = [];
  for (let path = group; layout && path.length > 1; path = dirname(path)) {
    const memory = cgroupDir(layout, 'memory', path);
    const cpu = cgroupDir(layout, 'cpu', path);
    if (layout.version === 2) {
      memoryBytes.push(Number(await read(`${memory}/memory.max`)));
      cpus.push(cpusOfCpuMax(await read(`${cpu}/cpu.max`)));
    } else {
      memoryBytes.push(Number(await read(`${memory}/memory.limit_in_bytes`)));
      const quota = Number(await read(`${cpu}/cpu.cfs_quota_us`));
      const period = Number(await read(`${cpu}/cpu.cfs_period_us`));
      cpus.push(quota > 0 && period > 0 ? quota / period : undefined);
    }
  }
  return { cpus, memoryBytes };
}
