/** What is known of a container: its record, and what its exit file and its processes say now. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { GantryError } from '../../lib/errors.ts';
import type { RuntimeHost } from './host.ts';
import { isAlive } from './processes.ts';
import type { ContainerExit, ContainerRecord } from './records.ts';
import { type ContainerStatus, lostProcessMessage } from './runtime.ts';

/** Looks at the exit file and at the process; synchronous, microseconds each. */
export function containerStatus(host: RuntimeHost, record: ContainerRecord): ContainerStatus {
  const { config, phase, createdAtMs, startedAtMs } = record;
  const { id, podUid, name, attempt, imageId } = config;
  const common = { id, podUid, name, attempt, imageId, createdAtMs, ...(startedAtMs !== undefined && { startedAtMs }) };
  const exit = record.exit ?? (phase === 'creating' ? undefined : observeExit(host, record));
  if (exit) return { ...common, state: 'exited', ...exit };
  if (phase !== 'started' || !record.process) return { ...common, state: 'created' };
  return { ...common, state: 'running', pid: record.process.pid };
}

function observeExit(host: RuntimeHost, record: ContainerRecord): ContainerExit | undefined {
  const { id, podUid } = record.config;
  // While conmon lives it may be about to write; when it is gone, what it wrote is there.
  const running = isAlive(record.process) || isAlive(record.shim);
  const exit = readExit(host, id) ?? (running ? undefined : (readExit(host, id) ?? lost(host)));
  if (!exit) return undefined;
  host.containers.set(id, { ...record, exit });
  // On disk in its turn: by then the container may be on its way out.
  const note = host.queue.run(podUid, async () => {
    const current = host.containers.get(id);
    if (current && current.phase !== 'removing') await saveContainer(host, { ...current, exit });
  });
  note.catch((error: unknown) => host.log.warn({ container: id, error: String(error) }, 'cannot note the exit'));
  return exit;
}

function lost(host: RuntimeHost): ContainerExit {
  return { exitCode: 137, finishedAtMs: host.clock.nowMs(), message: lostProcessMessage };
}

function readExit(host: RuntimeHost, id: string): ContainerExit | undefined {
  const path = `${host.exitDir}/${id}`;
  try {
    const text = readFileSync(path, 'utf8').trim();
    if (!/^-?[0-9]+$/.test(text)) return undefined;
    const exitCode = Number(text);
    const oomKilled = exitCode !== 0 && existsSync(`${host.containerStore.dirOf(id)}/oom`);
    return { exitCode, finishedAtMs: Math.round(statSync(path).mtimeMs), ...(oomKilled && { oomKilled }) };
  } catch {
    return undefined;
  }
}

export function requireContainer(host: RuntimeHost, id: string): ContainerRecord {
  const record = host.containers.get(id);
  if (!record) throw new GantryError('notFound', `container ${id} does not exist on this node`);
  return record;
}

/** In memory and on disk. */
export async function saveContainer(host: RuntimeHost, record: ContainerRecord): Promise<void> {
  host.containers.set(record.config.id, record);
  await host.containerStore.save(record.config.id, record);
}
