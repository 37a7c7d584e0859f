/**
 * What the agent writes down about a pod before it acts, one file a pod. With Runtime.list() it is all that a restarted
 * agent needs. Pure; the files are written by pod-files-disk.ts.
 */
import type { Pod, PodStatus } from '../../proto/gen/types.ts';
import type { ContainerStatus } from '../runtime/runtime.ts';

export interface PodRecord {
  /** As last desired, of its status only the addresses: what a pod that was taken away while we were down is stopped by. */
  readonly pod: Pod;
  /** Revision of the slice that last named the pod. An older slice that lacks it proves nothing. */
  readonly sliceRevision?: string;
  /** First host id of the pod's user namespace. Absent: it shares the host's. */
  readonly hostIdStart?: number;
  /** Wall clock of when the agent took the pod up (status.startTime). */
  readonly startedAtMs: number;
  /** By container name, init containers too. */
  readonly containers: Readonly<Record<string, ContainerRecord>>;
  /** Set when the pod has Succeeded or Failed: its status for good. */
  readonly finalStatus?: PodStatus;
}

/** About a container's newest attempt. The attempt's number is the restart count. */
export interface ContainerRecord {
  readonly attempt: number;
  /** The first attempt in the current sandbox; earlier ones belong to namespaces that are gone. */
  readonly firstAttempt: number;
  /** spec.image that the attempt was made with. */
  readonly image: string;
  /** The image's stop signal. */
  readonly stopSignal: string;
  /** Restarts in a row that each followed a run of less than ten minutes. */
  readonly quickRestarts: number;
  readonly postStarted?: boolean;
  /** Verdicts of the probes, so that a restarted agent does not take a ready pod out of service. */
  readonly started?: boolean;
  readonly ready?: boolean;
}

export function newRecord(pod: Pod, nowMs: number, hostIdStart?: number, sliceRevision?: string): PodRecord {
  return {
    pod: withAddressesOnly(pod),
    startedAtMs: nowMs,
    containers: {},
    // A node that lost its records must not run again what has come to its end.
    ...(isOver(pod.status) && { finalStatus: pod.status }),
    ...(hostIdStart !== undefined && { hostIdStart }),
    ...(sliceRevision !== undefined && { sliceRevision }),
  };
}

function isOver(status: PodStatus | undefined): status is PodStatus {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

/** The pod without what the agent itself writes. */
export function withAddressesOnly(pod: Pod): Pod {
  const { status, metadata, spec, ...rest } = pod;
  // Changes with every report of ours, and says nothing about the pod.
  const { resourceVersion: _revision, ...identity } = metadata;
  const { hostIP, podIP, podIPs } = status ?? {};
  const addresses = { ...(hostIP && { hostIP }), ...(podIP && { podIP }), ...(podIPs && { podIPs }) };
  return { ...rest, metadata: identity, spec, status: addresses };
}

/** The record before a container's attempt is created. */
export function beginAttempt(
  record: PodRecord,
  name: string,
  attempt: {
    readonly attempt: number;
    readonly image: string;
    readonly stopSignal: string;
    readonly quickRestarts: number;
  },
): PodRecord {
  const firstAttempt = record.containers[name]?.firstAttempt ?? 0;
  return { ...record, containers: { ...record.containers, [name]: { ...attempt, firstAttempt } } };
}

/** The record before a new sandbox is created: whatever ran in the old one runs anew, but for what is `done` for good. */
export function beginSandbox(record: PodRecord, done: ReadonlySet<string>): PodRecord {
  const containers: Record<string, ContainerRecord> = {};
  for (const [name, entry] of Object.entries(record.containers)) {
    containers[name] = done.has(name) ? entry : { ...entry, firstAttempt: entry.attempt + 1 };
  }
  return { ...record, containers };
}

export function noteContainer(record: PodRecord, name: string, change: Partial<ContainerRecord>): PodRecord {
  const entry = record.containers[name];
  if (!entry) return record;
  return { ...record, containers: { ...record.containers, [name]: { ...entry, ...change } } };
}

/** A record for containers that run without one (its file was lost): what the runtime still knows. */
export function recoverContainers(record: PodRecord, observed: readonly ContainerStatus[]): PodRecord {
  const containers = { ...record.containers };
  const specs = [...(record.pod.spec.initContainers ?? []), ...record.pod.spec.containers];
  for (const status of observed) {
    const known = containers[status.name];
    if (known && known.attempt >= status.attempt) continue;
    containers[status.name] = {
      attempt: status.attempt,
      firstAttempt: known?.firstAttempt ?? 0,
      image: specs.find((spec) => spec.name === status.name)?.image ?? '',
      stopSignal: 'SIGTERM',
      quickRestarts: status.attempt,
    };
  }
  return { ...record, containers };
}
