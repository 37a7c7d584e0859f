/**
 * The container runtime over conmon, runc and containers-storage.
 *
 * Invariants:
 * - A record is written before the side effect it announces (records.ts): whatever is on the host can be undone.
 * - Nothing depends on this process: conmon and the pause processes outlive it; a new runtime over the same folders adopts them.
 * - A process is addressed by pid and start time, a container by id and cgroup.
 * - Per pod, one operation at a time; `list`, `signalContainer` and `exec` do not wait.
 */
import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { GantryError, messageOf } from '../../lib/errors.ts';
import { readUsage } from './cgroup-host.ts';
import { orderLogReopen } from './conmon.ts';
import { containerStatus, requireContainer } from './container-status.ts';
import { clearContainer, createContainer, removeContainer, signalContainer, startContainer } from './containers.ts';
import { execInContainer } from './exec.ts';
import { containerCgroup, openHost, type RuncRuntimeOptions, type RuntimeHost } from './host.ts';
import { limiter } from './keyed-queue.ts';
import { checkHost } from './preflight.ts';
import type { ContainerRecord, SandboxRecord } from './records.ts';
import type { ContainerStats, Runtime } from './runtime.ts';
import { clearSandbox, createSandbox, removeSandbox, sandboxStatus } from './sandboxes.ts';

export interface RuncRuntime extends Runtime {
  /** Stops watching. Containers run on. */
  close(): void;
}

const defaultConcurrency = 4;
/** Rotated logs that are kept. */
const keptLogs = 4;

/** Opens the runtime over its folders: adopts what runs, undoes or finishes what a former agent left half done. */
export async function openRuncRuntime(options: RuncRuntimeOptions): Promise<RuncRuntime> {
  const listeners = new Set<(podUid: string) => void>();
  const host = await openHost(options, (podUid) => {
    for (const listener of [...listeners]) listener(podUid);
  });
  await mkdir(host.exitDir, { recursive: true });
  await mkdir(host.runcRoot, { recursive: true, mode: 0o700 });
  await recover(host);
  const exits = watchExits(host);
  const bounded = limiter(options.concurrency ?? defaultConcurrency);
  const inTurn = <Result>(podUid: string, work: () => Promise<Result>): Promise<Result> =>
    host.queue.run(podUid, () => bounded(work).catch(explain));
  const podOf = (containerId: string): string => requireContainer(host, containerId).config.podUid;

  return {
    check: () => checkHost(host),
    createSandbox: (config) => inTurn(config.podUid, () => createSandbox(host, config)),
    removeSandbox: (podUid) => inTurn(podUid, () => removeSandbox(host, podUid)),
    createContainer: (config) => inTurn(config.podUid, () => createContainer(host, config)),
    async startContainer(id) {
      await inTurn(podOf(id), () => startContainer(host, id));
    },
    signalContainer: (id, signal) => signalContainer(host, id, signal),
    async removeContainer(id) {
      if (host.containers.has(id)) await inTurn(podOf(id), () => removeContainer(host, id));
    },
    exec: (request) => execInContainer(host, request),
    async list(podUid) {
      // What is being created is not there yet.
      const wanted = ({ phase, config }: SandboxRecord | ContainerRecord): boolean =>
        phase !== 'creating' && (podUid === undefined || config.podUid === podUid);
      return {
        sandboxes: [...host.sandboxes.values()].filter(wanted).map(sandboxStatus),
        containers: [...host.containers.values()].filter(wanted).map((record) => containerStatus(host, record)),
      };
    },
    stats: (podUids) => readStats(host, podUids && new Set(podUids)),
    onChange(callback) {
      const listener = (podUid: string): void => callback(podUid);
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async rotateLogs() {
      for (const { config } of host.containers.values())
        await rotateLog(host, config.id, config.logPath, config.logMaxBytes);
    },
    close: () => exits.close(),
  };
}

/** What the operating system says, as a sentence with a next step. */
function explain(error: unknown): never {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const message = "no space left on the node's disk; free some or remove unused images";
    throw new GantryError('resourceExhausted', message, { cause: error });
  }
  throw error;
}

/** Half-made things are undone, half-removed ones finished. What cannot be now is tried again when it is asked for. */
async function recover(host: RuntimeHost): Promise<void> {
  await rm(`${host.options.runDir}/exec`, { recursive: true, force: true });
  for (const [id, record] of host.containers) {
    if (record.phase !== 'creating' && record.phase !== 'removing') continue;
    host.log.info({ container: id, phase: record.phase }, 'finishing what a former agent left half done');
    await clearContainer(host, id).catch((error: unknown) =>
      host.log.error({ container: id, error: messageOf(error) }, 'cannot yet'),
    );
  }
  for (const [podUid, record] of host.sandboxes) {
    if (record.phase === 'created') continue;
    await clearSandbox(host, podUid).catch((error: unknown) =>
      host.log.error({ podUid, error: messageOf(error) }, 'cannot yet'),
    );
  }
  const known = await readdir(host.exitDir);
  for (const id of known) if (!host.containers.has(id)) await rm(`${host.exitDir}/${id}`, { force: true });
}

/** conmon writes an exit file by renaming, so each is seen whole and once. */
function watchExits(host: RuntimeHost): FSWatcher {
  return watch(host.exitDir, { persistent: false }, (_event, name) => {
    const record = name === null ? undefined : host.containers.get(name);
    if (record) host.notify(record.config.podUid);
  });
}

async function readStats(host: RuntimeHost, podUids?: ReadonlySet<string>): Promise<readonly ContainerStats[]> {
  const stats: ContainerStats[] = [];
  for (const record of host.containers.values()) {
    const { id, podUid, name } = record.config;
    if (podUids?.has(podUid) === false || containerStatus(host, record).state !== 'running') continue;
    const usage = await readUsage(host.layout, containerCgroup(host, podUid, id));
    if (usage) stats.push({ containerId: id, podUid, name, ...usage });
  }
  return stats;
}

async function rotateLog(host: RuntimeHost, id: string, logPath: string, maxBytes: number): Promise<void> {
  const size = await stat(logPath).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= maxBytes) return;
  await rm(`${logPath}.${keptLogs}`, { force: true });
  for (let number = keptLogs - 1; number >= 1; number -= 1) {
    await rename(`${logPath}.${number}`, `${logPath}.${number + 1}`).catch(() => {});
  }
  await rename(logPath, `${logPath}.1`);
  await orderLogReopen(host.containerStore.dirOf(id));
}
