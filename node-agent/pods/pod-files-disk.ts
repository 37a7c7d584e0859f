/**
 * PodFiles on the node's disk.
 *
 * Layout (paths.ts): `<data>/pod-files/<uid>/` holds the record, /etc files, termination messages and disk volumes;
 * `<run>/pod-files/<uid>/` on tmpfs holds secrets and memory volumes. A memory volume with a limit is a tmpfs of its own.
 */
import { chmod, chown, mkdir, open, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GantryError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Exec } from '../../lib/process.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { switchFiles } from './atomic-files.ts';
import { prepareHostPath } from './host-path.ts';
import {
  type AgentFolders,
  etcFile,
  memoryPodDir,
  podDir,
  podLogDir,
  podsDir,
  recordFile,
  terminationFile,
  volumeDir,
} from './paths.ts';
import { makePersistentDir, removePersistentDir } from './persistent-dirs.ts';
import type { ContainerFiles, PodFiles } from './pod-files.ts';
import type { PodRecord } from './record.ts';
import { isTmpfs, mountTmpfs, unmountBelow } from './tmpfs.ts';
import type { VolumeOwner, VolumePlan } from './volumes.ts';

const longestTerminationMessageBytes = 4096;
/** Beside the log that is written to: `.1` to `.4`. */
const rotatedLogsKept = 4;
/** Of a memory volume without a limit. */
const defaultMemoryVolumeBytes = 64 * 1024 * 1024;

export function createDiskPodFiles(folders: AgentFolders, exec: Exec, log: Log): PodFiles {
  const prepare = async (podUid: string, plan: VolumePlan, owner: VolumeOwner): Promise<void> => {
    if (plan.type === 'hostPath') return prepareHostPath(plan);
    const dir = volumeDir(folders, podUid, plan);
    if (plan.type === 'persistent') return makePersistentDir(dir, owner);
    if ((plan.type === 'files' && plan.secret) || (plan.type === 'emptyDir' && plan.memory)) {
      await requireTmpfs(folders, exec);
    }
    await makeOpenDirs(folders, podUid, dir);
    if (plan.type === 'files') {
      await chown(dir, owner.uid, owner.gid);
      return switchFiles(dir, plan.files, owner);
    }
    if (plan.memory && !(await isMountPoint(dir))) {
      await mountTmpfs(dir, plan.sizeBytes ?? defaultMemoryVolumeBytes, exec);
    }
    await chown(dir, owner.uid, owner.gid);
    await chmod(dir, owner.groupShared ? 0o2777 : 0o777);
  };

  const removeVolumes = async (podUid: string): Promise<void> => {
    await unmountBelow(memoryPodDir(folders, podUid), exec);
    await rm(memoryPodDir(folders, podUid), { recursive: true, force: true });
    for (const name of ['volumes', 'etc', 'termination']) {
      await rm(`${podDir(folders, podUid)}/${name}`, { recursive: true, force: true });
    }
  };

  return {
    loadRecords: () => loadRecords(folders, log),
    async readHostIdStart(pid) {
      const map = await readFile(`/proc/${pid}/uid_map`, 'utf8').catch(() => '');
      const [inside, outside] = map.trim().split(/\s+/).map(Number);
      return inside === 0 && outside ? outside : undefined;
    },
    async saveRecord(record) {
      const dir = podDir(folders, record.pod.metadata.uid!);
      try {
        await mkdir(dir, { recursive: true, mode: 0o711 });
        await writeFile(`${dir}/${recordFile}.new`, JSON.stringify(record));
        await rename(`${dir}/${recordFile}.new`, `${dir}/${recordFile}`);
      } catch (error) {
        throw explain(error, "the pod's record");
      }
    },
    async prepareVolumes(podUid, plans, owner) {
      for (const plan of plans) {
        await prepare(podUid, plan, owner).catch((error: unknown) => {
          throw explain(error, `volume "${plan.name}"`);
        });
      }
    },
    prepareContainer: (pod, name, attempt, files, owner) =>
      prepareContainer(folders, { pod, name, attempt, files, owner }).catch((error: unknown) => {
        throw explain(error, `container "${name}"`);
      }),
    volumePath: (podUid, plan, subPath, owner) => volumePath(volumeDir(folders, podUid, plan), subPath, owner),
    async readTerminationMessage(podUid, name, attempt) {
      const path = terminationFile(folders, podUid, name, attempt);
      const bytes = await readFile(path).catch(() => Buffer.alloc(0));
      return bytes.subarray(-longestTerminationMessageBytes).toString('utf8');
    },
    pruneLogs: (pod, name, attempt) => pruneLogs(`${podLogDir(folders, pod)}/${name}`, attempt),
    removeVolumes,
    async removePod(pod) {
      const uid = pod.metadata.uid!;
      await removeVolumes(uid);
      // By uid: of a pod whose record was lost we may not know the name.
      const logs = dirname(podLogDir(folders, pod));
      for (const name of await readdir(logs).catch(() => [])) {
        if (name.endsWith(`_${uid}`)) await rm(`${logs}/${name}`, { recursive: true, force: true });
      }
      await rm(podDir(folders, uid), { recursive: true, force: true });
    },
    removePersistentDir: (path) => removePersistentDir(folders, path),
  };
}

async function loadRecords(folders: AgentFolders, log: Log): Promise<readonly PodRecord[]> {
  const uids = await readdir(podsDir(folders)).catch(() => []);
  const records: PodRecord[] = [];
  for (const uid of uids) {
    try {
      records.push(JSON.parse(await readFile(`${podDir(folders, uid)}/${recordFile}`, 'utf8')) as PodRecord);
    } catch (error) {
      log.warn(
        { uid, error: messageOf(error) },
        'a pod record cannot be read; the runtime and the slice stand in for it',
      );
    }
  }
  return records;
}

async function prepareContainer(
  folders: AgentFolders,
  {
    pod,
    name,
    attempt,
    files,
    owner,
  }: {
    readonly pod: Pod;
    readonly name: string;
    readonly attempt: number;
    readonly files: ContainerFiles;
    readonly owner: VolumeOwner;
  },
): Promise<void> {
  const uid = pod.metadata.uid!;
  const write = async (path: string, text: string, mode: number): Promise<void> => {
    // Content comes last, so content that is right proves that the rest is.
    if (text !== '' && (await readFile(path, 'utf8').catch(() => undefined)) === text) return;
    // In place: running containers of the pod have this very file mounted.
    const file = await open(path, 'a', mode);
    try {
      await file.chown(owner.uid, owner.uid);
      await file.chmod(mode);
      await file.truncate(0);
      await file.writeFile(text);
    } finally {
      await file.close();
    }
  };
  await mkdir(dirname(etcFile(folders, uid, 'hosts')), { recursive: true, mode: 0o711 });
  await mkdir(dirname(terminationFile(folders, uid, name, attempt)), { recursive: true, mode: 0o711 });
  await write(etcFile(folders, uid, 'hosts'), files.hosts, 0o644);
  await write(etcFile(folders, uid, 'hostname'), files.hostname, 0o644);
  await write(etcFile(folders, uid, 'resolv.conf'), files.resolvConf, 0o644);
  await write(terminationFile(folders, uid, name, attempt), '', 0o666);
  await mkdir(`${podLogDir(folders, pod)}/${name}`, { recursive: true });
}

/** The folders down to a volume: whoever is in the pod's user namespace may pass, not look. */
async function makeOpenDirs(folders: AgentFolders, podUid: string, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const own = dir.startsWith(folders.runDir) ? memoryPodDir(folders, podUid) : podDir(folders, podUid);
  for (const path of [dirname(own), own, dirname(dir)]) await chmod(path, 0o711);
}

async function volumePath(root: string, subPath: string | undefined, owner: VolumeOwner): Promise<string> {
  if (!subPath) return root;
  const path = `${root}/${subPath}`;
  const exists = await stat(path).then(
    () => true,
    () => false,
  );
  if (!exists) {
    const first = await mkdir(path, { recursive: true });
    if (first)
      for (let dir = path; dir.length >= first.length; dir = dirname(dir)) await chown(dir, owner.uid, owner.gid);
  }
  const real = await realpath(path);
  const realRoot = await realpath(root);
  if (real !== realRoot && !real.startsWith(`${realRoot}/`)) {
    throw new GantryError('invalidArgument', `subPath "${subPath}" leads out of its volume through a symbolic link`);
  }
  return real;
}

async function pruneLogs(dir: string, attempt: number): Promise<void> {
  for (const name of await readdir(dir).catch(() => [])) {
    const match = /^(\d+)\.log(?:\.(\d+))?$/.exec(name);
    if (!match) continue;
    if (Number(match[1]) < attempt || Number(match[2] ?? 0) > rotatedLogsKept)
      await rm(`${dir}/${name}`, { force: true });
  }
}

async function isMountPoint(dir: string): Promise<boolean> {
  const [own, parent] = await Promise.all([stat(dir), stat(dirname(dir))]);
  return own.dev !== parent.dev;
}

/** Secrets never touch a disk: where the run folder is none, it becomes a tmpfs. */
async function requireTmpfs(folders: AgentFolders, exec: Exec): Promise<void> {
  const dir = `${folders.runDir}/pod-files`;
  await mkdir(dir, { recursive: true, mode: 0o711 });
  if (await isTmpfs(dir)) return;
  await mountTmpfs(dir, undefined, exec);
}

function explain(error: unknown, what: string): GantryError {
  if (error instanceof GantryError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const message = `${what}: the node's disk is full; free space on the node or delete pods there`;
    return new GantryError('resourceExhausted', message, { cause: error });
  }
  return new GantryError('internal', `${what}: ${messageOf(error)}`, { cause: error });
}
