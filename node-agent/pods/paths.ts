/** Where a pod's files lie on the node. Pure. */
import type { Pod } from '../../proto/gen/types.ts';
import type { VolumePlan } from './volumes.ts';

export interface AgentFolders {
  /** Survives a reboot. */
  readonly dataDir: string;
  /** On tmpfs: secrets never touch a disk. */
  readonly runDir: string;
}

export const recordFile = 'record.json';

export function podsDir({ dataDir }: AgentFolders): string {
  return `${dataDir}/pod-files`;
}

export function podDir(folders: AgentFolders, podUid: string): string {
  return `${podsDir(folders)}/${podUid}`;
}

/** The pod's part of the tmpfs. */
export function memoryPodDir({ runDir }: AgentFolders, podUid: string): string {
  return `${runDir}/pod-files/${podUid}`;
}

export function volumeDir(folders: AgentFolders, podUid: string, plan: VolumePlan): string {
  if (plan.type === 'hostPath') return plan.path;
  if (plan.type === 'persistent') return persistentDir(folders, plan.path);
  const inMemory = plan.type === 'emptyDir' ? plan.memory : plan.secret;
  const base = inMemory ? memoryPodDir(folders, podUid) : podDir(folders, podUid);
  return `${base}/volumes/${plan.name}`;
}

/** Outlives the pods that use it. */
export function persistentDir({ dataDir }: AgentFolders, path: string): string {
  return `${dataDir}/${path}`;
}

export function etcFile(folders: AgentFolders, podUid: string, name: 'hosts' | 'hostname' | 'resolv.conf'): string {
  return `${podDir(folders, podUid)}/etc/${name}`;
}

export function terminationFile(folders: AgentFolders, podUid: string, container: string, attempt: number): string {
  return `${podDir(folders, podUid)}/termination/${container}-${attempt}`;
}

export function podLogDir({ dataDir }: AgentFolders, pod: Pod): string {
  const { namespace = 'default', name, uid } = pod.metadata;
  return `${dataDir}/logs/${namespace}_${name}_${uid}`;
}

export function logFile(folders: AgentFolders, pod: Pod, container: string, attempt: number): string {
  return `${podLogDir(folders, pod)}/${container}/${attempt}.log`;
}
