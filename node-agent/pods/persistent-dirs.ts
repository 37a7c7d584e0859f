/** Directories of persistent volumes, `<data>/volumes/pvc-...`: made with the first pod, removed when the control plane says so. */
import { chmod, chown, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { isPodFinished } from '../../lib/model/pods.ts';
import type { Pod, RemoveVolumes } from '../../proto/gen/types.ts';
import { type AgentFolders, persistentDir } from './paths.ts';
import type { PodFiles } from './pod-files.ts';
import { requireVolumePath, type VolumeOwner } from './volumes.ts';

/** Complete or not there at all. What pods made of one that is there stays: its owner and mode, too. */
export async function makePersistentDir(dir: string, owner: VolumeOwner): Promise<void> {
  const exists = await stat(dir).then(
    () => true,
    () => false,
  );
  if (exists) return;
  await mkdir(dirname(dir), { recursive: true, mode: 0o711 });
  const unfinished = `${dir}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished);
  await chown(unfinished, owner.uid, owner.gid);
  await chmod(unfinished, owner.groupShared ? 0o2777 : 0o777);
  await rename(unfinished, dir);
}

/** Done when nothing is left of it. */
export async function removePersistentDir(folders: AgentFolders, path: string): Promise<void> {
  requireVolumePath(path);
  await rm(persistentDir(folders, path), { recursive: true, force: true });
}

export interface VolumeRemoverOptions {
  readonly files: Pick<PodFiles, 'removePersistentDir'>;
  /** Of which something is on this node. */
  readonly pods: () => readonly Pod[];
  readonly removed: (paths: string[]) => void;
  readonly clock: Clock;
  readonly log: Log;
}

const retryMs = 5_000;

/** Removes what it was told to as soon as no pod here uses it, and says when nothing is left. */
export class VolumeRemover {
  readonly #options: VolumeRemoverOptions;
  readonly #waiting = new Set<string>();
  #timer: Timer | undefined;
  #isAtWork = false;

  constructor(options: VolumeRemoverOptions) {
    this.#options = options;
  }

  want({ paths = [] }: RemoveVolumes): void {
    for (const path of paths) this.#waiting.add(path);
    void this.#work();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#waiting.clear();
  }

  async #work(): Promise<void> {
    if (this.#isAtWork) return;
    this.#isAtWork = true;
    this.#timer?.cancel();
    const done: string[] = [];
    for (const path of [...this.#waiting]) if (await this.#remove(path)) done.push(path);
    for (const path of done) this.#waiting.delete(path);
    if (done.length > 0) this.#options.removed(done);
    this.#isAtWork = false;
    if (this.#waiting.size > 0) this.#timer = this.#options.clock.schedule(retryMs, () => void this.#work());
  }

  async #remove(path: string): Promise<boolean> {
    const { files, pods, log } = this.#options;
    if (pods().some((pod) => usesPath(pod, path))) return false;
    try {
      await files.removePersistentDir(path);
      return true;
    } catch (error) {
      log.warn({ path, error: messageOf(error) }, 'a volume cannot be removed; trying again');
      return false;
    }
  }
}

function usesPath(pod: Pod, path: string): boolean {
  if (isPodFinished(pod)) return false;
  return (pod.spec.volumes ?? []).some(({ persistentVolumeClaim: claim }) => claim?.bound?.path === path);
}
