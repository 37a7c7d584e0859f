/** PodFiles in memory, for tests and the simulation. Survives an agent: it stands for the node's disk. */
import type { GantryError } from '../../lib/errors.ts';
import type { PodFiles } from './pod-files.ts';
import type { PodRecord } from './record.ts';
import { requireVolumePath, type VolumePlan } from './volumes.ts';

type FailingOperation = 'saveRecord' | 'prepareVolumes' | 'prepareContainer' | 'removePod' | 'removePersistentDir';

export interface MemoryPodFiles extends PodFiles {
  readonly records: ReadonlyMap<string, PodRecord>;
  readonly volumes: ReadonlyMap<string, readonly VolumePlan[]>;
  /** Paths of the directories of persistent volumes. */
  readonly persistentDirs: ReadonlySet<string>;
  readonly terminationMessages: Map<string, string>;
  failNext(operation: FailingOperation, error: GantryError): void;
  /** Of the failures asked for, those that have not happened yet will not. */
  forgetFailures(): void;
}

export function createMemoryPodFiles(): MemoryPodFiles {
  const records = new Map<string, PodRecord>();
  const volumes = new Map<string, readonly VolumePlan[]>();
  const persistentDirs = new Set<string>();
  const terminationMessages = new Map<string, string>();
  const failures = new Map<string, GantryError[]>();
  const enter = async (operation: string): Promise<void> => {
    const failure = failures.get(operation)?.shift();
    if (failure) throw failure;
  };
  return {
    records,
    volumes,
    persistentDirs,
    terminationMessages,
    failNext(operation, error) {
      failures.set(operation, [...(failures.get(operation) ?? []), error]);
    },
    forgetFailures: () => failures.clear(),
    loadRecords: async () => [...records.values()],
    readHostIdStart: async () => undefined,
    async saveRecord(record) {
      await enter('saveRecord');
      records.set(record.pod.metadata.uid!, structuredClone(record));
    },
    async prepareVolumes(podUid, plans) {
      await enter('prepareVolumes');
      volumes.set(podUid, plans);
      for (const plan of plans) if (plan.type === 'persistent') persistentDirs.add(plan.path);
    },
    async prepareContainer() {
      await enter('prepareContainer');
    },
    volumePath: async (podUid, plan, subPath) => `/volumes/${podUid}/${plan.name}/${subPath ?? ''}`,
    readTerminationMessage: async (podUid, name, attempt) =>
      terminationMessages.get(`${podUid}-${name}-${attempt}`) ?? '',
    async pruneLogs() {},
    async removeVolumes(podUid) {
      volumes.delete(podUid);
    },
    async removePod(pod) {
      await enter('removePod');
      volumes.delete(pod.metadata.uid!);
      records.delete(pod.metadata.uid!);
    },
    async removePersistentDir(path) {
      await enter('removePersistentDir');
      requireVolumePath(path);
      persistentDirs.delete(path);
    },
  };
}
