/** What the parts of one pod's worker share. */
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { newEvent } from '../../lib/model/event.ts';
import type { Container, Pod, Service } from '../../proto/gen/types.ts';
import type { PodFencing } from '../fencing/fencing.ts';
import type { ImageStore } from '../images/images.ts';
import type { PodNetwork } from '../network/network.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { PodActivity } from './activity.ts';
import type { AgentFolders } from './paths.ts';
import type { PodFiles } from './pod-files.ts';
import type { Prober } from './prober.ts';
import type { PodRecord } from './record.ts';
import type { StatusSink } from './report.ts';
import type { SourceReader } from './sources.ts';

/** The same for all pods of the node. */
export interface PodDependencies {
  readonly nodeName: string;
  readonly runtime: Runtime;
  readonly images: ImageStore;
  readonly network: PodNetwork;
  readonly files: PodFiles;
  readonly prober: Prober;
  readonly fencing: PodFencing;
  readonly sink: StatusSink;
  readonly clock: Clock;
  readonly log: Log;
  readonly folders: AgentFolders;
  /** cluster.local */
  readonly zone: string;
  /** The node's own files, as they are now. */
  readonly nodeFiles: { resolvConf(): string; hosts(): string };
  /** status.allocatable of the node. */
  allocatable(): Readonly<Record<string, string>>;
  /** Why the node takes no new pods now; undefined when it does. */
  nodePressure(): string | undefined;
}

export interface PodSourcesReader extends SourceReader {
  services(namespace: string | undefined): readonly Service[];
}

/** One pod's. `record` is replaced, never changed in place. */
export interface PodContext {
  readonly deps: PodDependencies;
  readonly sources: PodSourcesReader;
  readonly activity: PodActivity;
  readonly uid: string;
  record: PodRecord;
  /** As desired, with the addresses that binding gave it. */
  pod(): Pod;
  /** Replaces the record, in memory and on disk; rejects when the disk does not take it. */
  note(record: PodRecord): Promise<void>;
  /** Resolves when no record is being written. */
  saved(): Promise<void>;
  event(type: 'Normal' | 'Warning', reason: string, message: string, container?: Container): void;
  /** Work beside the pod's steps; a failure is logged. It is aborted when the worker ends. */
  background(work: (signal: AbortSignal) => Promise<void>): void;
  wake(): void;
}

export const component = 'node-agent';

export function reportEvent(
  deps: PodDependencies,
  pod: Pod,
  facts: { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string },
  fieldPath?: string,
): void {
  const { namespace = 'default', name, uid } = pod.metadata;
  const about = {
    apiVersion: 'v1',
    kind: 'Pod',
    namespace,
    name,
    ...(uid !== undefined && { uid }),
    ...(fieldPath !== undefined && { fieldPath }),
  };
  deps.sink.event(newEvent({ ...facts, about, component, host: deps.nodeName }, deps.clock.nowMs()));
}

export function findContainer(pod: Pod, name: string): Container | undefined {
  return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((container) => container.name === name);
}
