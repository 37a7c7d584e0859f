/** The life of a sandbox: record, cgroup, pause process; and back. */
import { GantryError, messageOf } from '../../lib/errors.ts';
import { planPodCgroup } from './cgroup.ts';
import { applyCgroupPlan, killCgroup, removeCgroup } from './cgroup-host.ts';
import { podCgroup, type RuntimeHost } from './host.ts';
import { isAlive } from './processes.ts';
import type { SandboxRecord } from './records.ts';
import type { Sandbox, SandboxConfig, SandboxStatus } from './runtime.ts';
import { startPause } from './sandbox.ts';

export async function createSandbox(host: RuntimeHost, config: SandboxConfig): Promise<Sandbox> {
  const { podUid } = config;
  const existing = host.sandboxes.get(podUid);
  if (existing?.phase === 'created' && isAlive(existing.pause)) return describe(existing);
  // A start that was cut short, or a pause process that died: what is left of it goes first.
  if (existing) await clearSandbox(host, podUid);

  await save(host, { config, phase: 'creating', createdAtMs: host.clock.nowMs() });
  try {
    const cgroup = podCgroup(host, podUid);
    const pod = planPodCgroup(host.layout, cgroup, config.resources);
    const pauseDirs = pod.filter(({ dir }) => dir.endsWith(cgroup)).map(({ dir }) => `${dir}/pause`);
    await applyCgroupPlan([...pod, ...pauseDirs.map((dir) => ({ dir, writes: [] }))]);
    const procsFiles = pauseDirs.map((dir) => `${dir}/cgroup.procs`);
    const onExit = (): void => host.notify(podUid);
    const identity = await startPause(host.exec, host.clock, config, procsFiles, onExit);
    const record: SandboxRecord = { config, phase: 'created', createdAtMs: host.clock.nowMs(), pause: identity };
    await save(host, record);
    host.notify(podUid);
    return describe(record);
  } catch (error) {
    await clearSandbox(host, podUid);
    throw error;
  }
}

export async function removeSandbox(host: RuntimeHost, podUid: string): Promise<void> {
  const record = host.sandboxes.get(podUid);
  if (!record) return;
  const left = [...host.containers.values()].find(({ config }) => config.podUid === podUid);
  if (left) {
    throw new GantryError(
      'failedPrecondition',
      `pod ${podUid} still has container ${left.config.id}; remove that first`,
    );
  }
  await clearSandbox(host, podUid);
  host.notify(podUid);
}

/** Undoes a sandbox, whole or half made. */
export async function clearSandbox(host: RuntimeHost, podUid: string): Promise<void> {
  const record = host.sandboxes.get(podUid);
  if (record) {
    await save(host, { ...record, phase: 'removing' }).catch((error: unknown) => {
      // A full disk must not keep us from making room.
      host.log.warn({ podUid, error: messageOf(error) }, 'cannot note the removal');
    });
  }
  await killCgroup(host.layout, `${podCgroup(host, podUid)}/pause`, host.clock);
  await removeCgroup(host.layout, `${podCgroup(host, podUid)}/pause`, host.clock);
  const inUse = [...host.containers.values()].some(({ config }) => config.podUid === podUid);
  if (!inUse) await removeCgroup(host.layout, podCgroup(host, podUid), host.clock);
  await host.sandboxStore.remove(podUid);
  host.sandboxes.delete(podUid);
}

export function sandboxStatus(record: SandboxRecord): SandboxStatus {
  const alive = record.phase === 'created' && isAlive(record.pause);
  return { ...describe(record), alive, createdAtMs: record.createdAtMs };
}

function describe({ config, pause }: SandboxRecord): Sandbox {
  const pid = pause?.pid ?? 0;
  return {
    podUid: config.podUid,
    pid,
    ...(config.hostNetwork || pid === 0 ? {} : { netnsPath: `/proc/${pid}/ns/net` }),
  };
}

async function save(host: RuntimeHost, record: SandboxRecord): Promise<void> {
  host.sandboxes.set(record.config.podUid, record);
  await host.sandboxStore.save(record.config.podUid, record);
}
