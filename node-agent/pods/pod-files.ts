/**
 * What the pod lifecycle keeps on the node's file system. `pod-files-disk.ts` implements it; `pod-files-memory.ts` for
 * tests. Every call is idempotent.
 */
import type { Pod } from '../../proto/gen/types.ts';
import type { PodRecord } from './record.ts';
import type { VolumeOwner, VolumePlan } from './volumes.ts';

/** The files that the agent itself puts into a container. */
export interface ContainerFiles {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}

export interface PodFiles {
  /** Of all pods this node ever took up and did not clear away. Unreadable ones are skipped (and logged). */
  loadRecords(): Promise<readonly PodRecord[]>;
  /** The host id that is root in the user namespace of process `pid`; undefined for the host's own. */
  readHostIdStart(pid: number): Promise<number | undefined>;
  saveRecord(record: PodRecord): Promise<void>;
  /** Creates what is missing, and switches the files of ConfigMaps and Secrets to their present content. */
  prepareVolumes(podUid: string, plans: readonly VolumePlan[], owner: VolumeOwner): Promise<void>;
  /** The files in /etc, and the empty termination message. */
  prepareContainer(pod: Pod, name: string, attempt: number, files: ContainerFiles, owner: VolumeOwner): Promise<void>;
  /** The path on the node of a volume, or of a path inside it (made a folder if absent). Never leads out of the volume. */
  volumePath(podUid: string, plan: VolumePlan, subPath: string | undefined, owner: VolumeOwner): Promise<string>;
  /** At most 4096 bytes; empty when there is none. */
  readTerminationMessage(podUid: string, name: string, attempt: number): Promise<string>;
  /** Deletes the logs of attempts older than `attempt`, and rotated pieces beyond the newest few. */
  pruneLogs(pod: Pod, name: string, attempt: number): Promise<void>;
  /** Volumes and /etc; logs and record stay. */
  removeVolumes(podUid: string): Promise<void>;
  /** Everything. Not the directories of persistent volumes. */
  removePod(pod: Pod): Promise<void>;
  /** The directory of a persistent volume, with the data in it. */
  removePersistentDir(path: string): Promise<void>;
}
