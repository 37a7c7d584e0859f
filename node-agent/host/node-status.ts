/** The node's status, from facts and usage. Pure. The control plane sets the times of transitions. */
import type { Condition, NodeAddress, NodeStatus } from '../../proto/gen/types.ts';
import type { Image } from '../images/images.ts';
import type { HostFacts, HostUsage } from './facts.ts';

export interface NodeStatusInput {
  readonly facts: HostFacts;
  readonly usage: HostUsage;
  readonly images: readonly Image[];
  readonly nodeIP: string;
  readonly maxPods: number;
  /** Port the agent serves on. */
  readonly port: number;
  readonly overlayMAC: string;
  readonly version: string;
  readonly runtimeVersion: string;
  /** What was said before: pressure ends only well clear of where it began. */
  readonly previous: NodeStatus | undefined;
}

const mebibyte = 1024 * 1024;
/** Kept for the machine itself and the agent. */
const reserved = { cpuMillis: 100, memoryBytes: 256 * mebibyte, diskPart: 0.05 };
const mostImages = 50;

export function nodeStatus(input: NodeStatusInput): NodeStatus {
  const { facts, usage, nodeIP, maxPods, previous } = input;
  const cpuMillis = Math.floor(facts.cpus * 1000);
  const allocatableBytes = Math.max(0, facts.memoryBytes - reserved.memoryBytes);
  const addresses: NodeAddress[] = [
    { type: 'InternalIP', address: nodeIP },
    { type: 'Hostname', address: facts.hostname },
  ];
  return {
    capacity: {
      cpu: cpuText(cpuMillis),
      memory: kibibytes(facts.memoryBytes),
      'ephemeral-storage': kibibytes(usage.diskBytes),
      pods: String(maxPods),
    },
    allocatable: {
      cpu: cpuText(Math.max(0, cpuMillis - reserved.cpuMillis)),
      memory: kibibytes(allocatableBytes),
      'ephemeral-storage': kibibytes(usage.diskBytes * (1 - reserved.diskPart)),
      pods: String(maxPods),
    },
    conditions: [memoryPressure(usage, previous), diskPressure(usage, previous), pidPressure(usage, previous)],
    addresses,
    nodeInfo: {
      machineID: facts.machineID,
      bootID: facts.bootID,
      kernelVersion: facts.kernelVersion,
      osImage: facts.osImage,
      containerRuntimeVersion: input.runtimeVersion,
      kubeletVersion: input.version,
      operatingSystem: 'linux',
      architecture: facts.architecture,
      overlayMAC: input.overlayMAC,
    },
    images: imageList(input.images),
    daemonEndpoints: { kubeletEndpoint: { Port: input.port } },
  };
}

/** Below the first the pressure begins, above the second it ends. */
function underPressure(
  type: string,
  value: number,
  begins: number,
  ends: number,
  previous: NodeStatus | undefined,
): boolean {
  const before = previous?.conditions?.find((condition) => condition.type === type)?.status === 'True';
  return value < (before ? ends : begins);
}

function condition(
  type: string,
  pressure: boolean,
  reason: readonly [string, string],
  message: readonly [string, string],
): Condition {
  const index = pressure ? 0 : 1;
  return { type, status: pressure ? 'True' : 'False', reason: reason[index], message: message[index] };
}

function memoryPressure(usage: HostUsage, previous: NodeStatus | undefined): Condition {
  const pressure = underPressure(
    'MemoryPressure',
    usage.memoryAvailableBytes,
    100 * mebibyte,
    200 * mebibyte,
    previous,
  );
  const message = 'the node has less than 100 MiB of memory left; stop pods there or give them limits';
  return condition(
    'MemoryPressure',
    pressure,
    ['KubeletHasInsufficientMemory', 'KubeletHasSufficientMemory'],
    [message, 'the node has sufficient memory available'],
  );
}

function diskPressure(usage: HostUsage, previous: NodeStatus | undefined): Condition {
  const begins = Math.max(0.05 * usage.diskBytes, 200 * mebibyte);
  const ends = Math.max(0.07 * usage.diskBytes, 300 * mebibyte);
  const pressure = underPressure('DiskPressure', usage.diskFreeBytes, begins, ends, previous);
  const message =
    `the node's disk is nearly full (less than ${Math.round(begins / mebibyte)} MiB free); it takes no new pods. ` +
    'Free space there, or remove images and pods';
  return condition(
    'DiskPressure',
    pressure,
    ['KubeletHasDiskPressure', 'KubeletHasNoDiskPressure'],
    [message, 'the node has no disk pressure'],
  );
}

function pidPressure(usage: HostUsage, previous: NodeStatus | undefined): Condition {
  const free = usage.maxProcesses - usage.processes;
  const pressure = underPressure('PIDPressure', free, 0.05 * usage.maxProcesses, 0.1 * usage.maxProcesses, previous);
  return condition(
    'PIDPressure',
    pressure,
    ['KubeletHasInsufficientPID', 'KubeletHasSufficientPID'],
    ['the node is running out of process ids; find what starts so many', 'the node has sufficient process ids'],
  );
}

/** Why the node takes no new pods, in a sentence. */
export function pressureSentence(status: NodeStatus | undefined): string | undefined {
  return status?.conditions?.find(({ type, status: value }) => type === 'DiskPressure' && value === 'True')?.message;
}

function imageList(images: readonly Image[]): { names: string[]; sizeBytes: number }[] {
  const byId = new Map<string, { names: string[]; sizeBytes: number }>();
  for (const { id, reference, sizeBytes } of images) {
    const entry = byId.get(id) ?? { names: [], sizeBytes };
    entry.names.push(reference);
    byId.set(id, entry);
  }
  return [...byId.values()].sort((a, b) => b.sizeBytes - a.sizeBytes).slice(0, mostImages);
}

function cpuText(millis: number): string {
  return millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`;
}

function kibibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024)}Ki`;
}
