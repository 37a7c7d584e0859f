/** The life of a container: record, root file system, conmon and runc, exit; and back. */
import { constants, readFileSync } from 'node:fs';
import { chown, mkdir, open, readFile, readlink, realpath, rm, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GantryError, messageOf } from '../../lib/errors.ts';
import { readImageConfig } from '../images/storage-layout.ts';
import { planCapabilities } from './capabilities.ts';
import { killCgroup, removeCgroup } from './cgroup-host.ts';
import { conmonArgv, isCommandProblem, runConmon } from './conmon.ts';
import { requireContainer, saveContainer } from './container-status.ts';
import { containerCgroup, type RuntimeHost } from './host.ts';
import { flagsToKeep } from './mount-flags.ts';
import { renderSpec } from './oci-spec.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from './processes.ts';
import type { ContainerExit, ContainerRecord } from './records.ts';
import { mountRootfs, readInRoot, removeRootfs } from './rootfs.ts';
import type { ContainerConfig, IdMapping } from './runtime.ts';
import { renderSeccomp } from './seccomp.ts';
import { signalNumber } from './signals.ts';
import { type ResolvedUser, resolveUser } from './users.ts';
import { waitUntil } from './wait.ts';

const startPatienceMs = 10_000;
const exitPatienceMs = 10_000;

export async function createContainer(host: RuntimeHost, config: ContainerConfig): Promise<void> {
  const existing = host.containers.get(config.id);
  if (existing && existing.phase !== 'creating' && existing.phase !== 'removing') return;
  if (existing) await clearContainer(host, config.id);
  const sandbox = host.sandboxes.get(config.podUid);
  if (sandbox?.phase !== 'created' || !isAlive(sandbox.pause)) {
    throw new GantryError(
      'failedPrecondition',
      `pod ${config.podUid} has no live sandbox on this node; create it first`,
    );
  }

  const intent: ContainerRecord = { config, phase: 'creating', createdAtMs: host.clock.nowMs() };
  await saveContainer(host, intent);
  try {
    const user = await writeBundle(host, config);
    await mkdir(dirname(config.logPath), { recursive: true });
    const bundle = host.containerStore.dirOf(config.id);
    const answer = await runConmon(host.exec, host.clock, conmonArgv({ ...host, bundle }, config), bundle);
    if ('pid' in answer) {
      const identity = identifyProcess(answer.pid);
      const shim = readShim(host, config.id);
      await giveStreams(answer.pid, user, sandbox.config.userNamespace);
      await saveContainer(host, {
        ...intent,
        phase: 'created',
        ...(identity && { process: identity }),
        ...(shim && { shim }),
      });
    } else if (isCommandProblem(answer.problem)) {
      await saveContainer(host, { ...intent, phase: 'failed', exit: commandFailure(host, answer.problem) });
    } else {
      throw new GantryError('failedPrecondition', `container "${config.name}" could not be created: ${answer.problem}`);
    }
  } catch (error) {
    await clearContainer(host, config.id);
    throw error;
  }
  host.notify(config.podUid);
}

/** 127 and 126 as a shell has it. */
function commandFailure(host: RuntimeHost, words: string): ContainerExit {
  const exitCode = /permission denied|is a directory/.test(words) ? 126 : 127;
  return { exitCode, finishedAtMs: host.clock.nowMs(), message: words };
}

/**
 * The pipes of standard output and error belong to us, who are nobody in the pod's user namespace; programs that open
 * /dev/stdout anew (nginx, anything behind `tee /dev/stderr`) need them to be the container user's own.
 */
async function giveStreams(pid: number, user: ResolvedUser, mapping: IdMapping | undefined): Promise<void> {
  const shift = mapping?.hostIdStart ?? 0;
  for (const stream of [1, 2].map((descriptor) => `/proc/${pid}/fd/${descriptor}`)) {
    const target = await readlink(stream).catch(() => ''); // already over, and then it needs nothing
    if (target.startsWith('pipe:')) await chown(stream, shift + user.uid, shift + user.gid).catch(() => {});
  }
}

async function writeBundle(host: RuntimeHost, config: ContainerConfig): Promise<ResolvedUser> {
  const { config: sandbox, pause } = host.sandboxes.get(config.podUid)!;
  const capabilities = planCapabilities(
    config.capabilitiesAdd,
    config.capabilitiesDrop,
    config.privileged,
    host.capabilities,
  );
  const volumeFlags = await inspectVolumes(config);
  const [image, rootfsPath] = await Promise.all([
    readImageConfig(host.roots, config.imageId),
    mountRootfs(host.exec, host.roots, config.id, config.imageId, sandbox.userNamespace),
  ]);
  const [passwd, group] = await Promise.all([
    readInRoot(rootfsPath, '/etc/passwd'),
    readInRoot(rootfsPath, '/etc/group'),
  ]);
  const user = resolveUser(config.user === '' ? image.user : config.user, passwd, group);
  const spec = renderSpec({
    container: config,
    sandbox,
    sandboxPid: pause!.pid,
    rootfsPath,
    user,
    cgroupsPath: containerCgroup(host, config.podUid, config.id),
    capabilities,
    volumeFlags,
    ...(!config.privileged &&
      host.seccompProfile && { seccomp: renderSeccomp(host.seccompProfile, process.arch, capabilities) }),
  });
  await writeFile(`${host.containerStore.dirOf(config.id)}/config.json`, JSON.stringify(spec));
  return user;
}

/** The flags each volume's mount must keep; a source that is not there is refused by its name (runc would name a descriptor). */
async function inspectVolumes(config: ContainerConfig): Promise<Readonly<Record<string, readonly string[]>>> {
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8');
  const flags: Record<string, readonly string[]> = {};
  for (const { hostPath, containerPath, tmpfsSizeBytes } of config.mounts) {
    if (tmpfsSizeBytes !== undefined) continue;
    const path = await realpath(hostPath).catch((cause: unknown) => {
      const message = `${hostPath}, to be mounted at ${containerPath} of container "${config.name}", does not exist on this node`;
      throw new GantryError('failedPrecondition', message, { cause });
    });
    flags[hostPath] = flagsToKeep(mountinfo, path);
  }
  return flags;
}

export async function startContainer(host: RuntimeHost, id: string): Promise<void> {
  const record = requireContainer(host, id);
  if (record.phase === 'failed')
    throw new GantryError('failedPrecondition', record.exit?.message ?? 'the command cannot be executed');
  if (record.phase !== 'created') return;
  await saveContainer(host, { ...record, phase: 'started', startedAtMs: host.clock.nowMs() });
  await letGo(host, id, record.process);
  host.notify(record.config.podUid);
}

/**
 * What `runc start` does, without its process: the container's init waits to open this fifo for writing; once it has
 * written a byte it executes the command, and without the fifo runc calls the container running.
 */
async function letGo(host: RuntimeHost, id: string, init: ProcessIdentity | undefined): Promise<void> {
  const path = `${host.runcRoot}/${id}/exec.fifo`;
  // Open for both: opening cannot hang, and a read that nobody answers can be ended by writing ourselves.
  const fifo = await open(path, constants.O_RDWR).catch(() => undefined);
  if (!fifo) return; // its init is gone already, and conmon will tell
  let answered = false;
  const watch = waitUntil(host.clock, startPatienceMs, () => answered || !isAlive(init)).then(async () => {
    if (!answered) await fifo.write(ourByte);
  });
  try {
    const { buffer } = await fifo.read(Buffer.alloc(1), 0, 1);
    answered = true;
    if (buffer.toString() === ourByte && isAlive(init)) {
      throw new GantryError(
        'deadlineExceeded',
        `container ${id} did not start within ${startPatienceMs / 1000} s; is the node overloaded?`,
      );
    }
  } finally {
    answered = true;
    void watch.finally(() => fifo.close());
  }
  await unlink(path).catch(() => {});
}

/** Never what runc writes. */
const ourByte = '!';

export async function signalContainer(host: RuntimeHost, id: string, signal: string): Promise<void> {
  const number = signalNumber(signal);
  const record = host.containers.get(id);
  if (!record?.process || !isAlive(record.process)) return;
  try {
    process.kill(record.process.pid, number);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export async function removeContainer(host: RuntimeHost, id: string): Promise<void> {
  const record = host.containers.get(id);
  if (!record) return;
  await clearContainer(host, id);
  host.notify(record.config.podUid);
}

/** Undoes a container, whole or half made. Keeps its log. */
export async function clearContainer(host: RuntimeHost, id: string): Promise<void> {
  const record = requireContainer(host, id);
  await saveContainer(host, { ...record, phase: 'removing' }).catch((error: unknown) => {
    // A full disk must not keep us from making room.
    host.log.warn({ container: id, error: messageOf(error) }, 'cannot note the removal');
  });
  const cgroup = containerCgroup(host, record.config.podUid, id);
  await killCgroup(host.layout, cgroup, host.clock);
  // conmon writes the exit file last; without this it would write it into what was removed.
  const shim = record.shim ?? readShim(host, id);
  await waitUntil(host.clock, exitPatienceMs, () => !isAlive(shim));
  // What is left of `runc delete` for a container without processes: its state folder here, its cgroups below.
  await rm(`${host.runcRoot}/${id}`, { recursive: true, force: true });
  await removeCgroup(host.layout, cgroup, host.clock);
  await removeRootfs(host.exec, host.roots, id);
  await rm(`${host.exitDir}/${id}`, { force: true });
  await host.containerStore.remove(id);
  host.containers.delete(id);
}

/** conmon notes its pid before it answers. */
function readShim(host: RuntimeHost, id: string): ProcessIdentity | undefined {
  try {
    return identifyProcess(Number(readFileSync(`${host.containerStore.dirOf(id)}/conmon.pid`, 'utf8')));
  } catch {
    return undefined;
  }
}
