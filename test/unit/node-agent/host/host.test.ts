import { describe, expect, test } from 'vitest';
import {
  boundBy,
  countCpuList,
  countTasks,
  cpusOfCpuMax,
  type HostFacts,
  type HostUsage,
  meminfoBytes,
  osImageOf,
} from '../../../../node-agent/host/facts.ts';
import { nodeStatus, pressureSentence } from '../../../../node-agent/host/node-status.ts';
import type { NodeStatus } from '../../../../proto/gen/types.ts';

const gibibyte = 2 ** 30;
const facts: HostFacts = {
  cpus: 2,
  memoryBytes: 8 * gibibyte,
  machineID: 'm',
  bootID: 'b',
  kernelVersion: '6.1.0',
  osImage: 'Debian GNU/Linux 12 (bookworm)',
  architecture: 'amd64',
  hostname: 'node-1',
};
const usage: HostUsage = {
  diskBytes: 100 * gibibyte,
  diskFreeBytes: 50 * gibibyte,
  memoryAvailableBytes: 4 * gibibyte,
  processes: 100,
  maxProcesses: 32_768,
};

function statusOf(
  more: Partial<HostUsage> = {},
  previous?: NodeStatus,
  factsMore: Partial<HostFacts> = {},
): NodeStatus {
  return nodeStatus({
    facts: { ...facts, ...factsMore },
    usage: { ...usage, ...more },
    images: [],
    nodeIP: '192.0.2.1',
    maxPods: 110,
    port: 10250,
    overlayMAC: '02:00:00:00:00:01',
    version: 'gantry-1',
    runtimeVersion: 'runc://1.1.5',
    previous,
  });
}

const conditionOf = (status: NodeStatus, type: string): string | undefined =>
  status.conditions?.find((condition) => condition.type === type)?.status;

describe('what is read', () => {
  test('meminfo, os-release, CPU lists, tasks', () => {
    expect(meminfoBytes('MemTotal:       1024 kB\nMemAvailable:    512 kB\n', 'MemAvailable')).toBe(512 * 1024);
    expect(meminfoBytes('', 'MemTotal')).toBeUndefined();
    expect(osImageOf('NAME=x\nPRETTY_NAME="Debian 12"\n')).toBe('Debian 12');
    expect(osImageOf('PRETTY_NAME=Plain\n')).toBe('Plain');
    expect(countCpuList('0-3,5\n')).toBe(5);
    expect(countCpuList('0\n')).toBe(1);
    expect(countTasks('0.1 0.2 0.3 2/345 678\n')).toBe(345);
  });
  test('limits of cgroups bound what there is; "no limit" in all its forms does not', () => {
    expect(boundBy(8, [undefined, Number.NaN, 9.2e18, 4])).toBe(4);
    expect(boundBy(8, [])).toBe(8);
    expect(cpusOfCpuMax('150000 100000\n')).toBe(1.5);
    expect(cpusOfCpuMax('max 100000\n')).toBeUndefined();
  });
});

describe('node status', () => {
  test('pods may have what the machine does not keep for itself', () => {
    expect(statusOf().capacity).toEqual({
      cpu: '2',
      memory: `${8 * 1024 * 1024}Ki`,
      'ephemeral-storage': `${100 * 1024 * 1024}Ki`,
      pods: '110',
    });
    expect(statusOf().allocatable).toMatchObject({ cpu: '1900m', memory: `${(8 * 1024 - 256) * 1024}Ki` });
    expect(statusOf({}, undefined, { memoryBytes: 1000 }).allocatable?.memory).toBe('0Ki');
  });
  test('says the same of the same', () => {
    expect(statusOf({}, statusOf())).toEqual(statusOf());
  });
  test('a disk that is nearly full is pressure until there is clearly room again', () => {
    const full = statusOf({ diskFreeBytes: 4 * gibibyte });
    expect(conditionOf(full, 'DiskPressure')).toBe('True');
    expect(pressureSentence(full)).toMatch(/disk is nearly full/);
    const better = statusOf({ diskFreeBytes: 6 * gibibyte }, full);
    expect(conditionOf(better, 'DiskPressure')).toBe('True');
    const good = statusOf({ diskFreeBytes: 8 * gibibyte }, better);
    expect(conditionOf(good, 'DiskPressure')).toBe('False');
    expect(pressureSentence(good)).toBeUndefined();
    expect(conditionOf(statusOf({ diskFreeBytes: 6 * gibibyte }), 'DiskPressure')).toBe('False');
  });
  test('on a small disk 200 MiB are kept', () => {
    const small = { diskBytes: gibibyte };
    expect(conditionOf(statusOf({ ...small, diskFreeBytes: 199 * 2 ** 20 }), 'DiskPressure')).toBe('True');
    expect(conditionOf(statusOf({ ...small, diskFreeBytes: 201 * 2 ** 20 }), 'DiskPressure')).toBe('False');
  });
  test('memory and process ids', () => {
    expect(conditionOf(statusOf({ memoryAvailableBytes: 50 * 2 ** 20 }), 'MemoryPressure')).toBe('True');
    expect(conditionOf(statusOf({ processes: 32_000 }), 'PIDPressure')).toBe('True');
    expect(conditionOf(statusOf(), 'PIDPressure')).toBe('False');
  });
});
