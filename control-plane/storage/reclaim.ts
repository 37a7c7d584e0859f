/**
 * Volumes whose claim is gone and whose data goes with it: the agent of their node is told, and when it says that nothing
 * is left, the volume's object goes. Said again in every session, until it is done. Volumes of nodes that left the cluster
 * are the persistent volume controller's.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { volumeProtection } from '../../lib/model/storage.ts';
import type { PersistentVolume, RemoveVolumes } from '../../proto/gen/types.ts';
import { isReclaimable } from '../controllers/persistent-volume/volume.ts';
import type { ClusterState, ObjectChange } from '../state/cluster-state.ts';
import type { Snapshot } from '../state/snapshot.ts';
import { isVolumeOn } from './volume-nodes.ts';

export interface ReclamationParts {
  readonly state: ClusterState;
  readonly clock: Clock;
  readonly log: Log;
  readonly onWanted: (nodeName: string, wanted: RemoveVolumes) => void;
  /** Removes the object if it is as it was read. */
  readonly remove: (volume: PersistentVolume) => Promise<boolean>;
}

const gatherMs = 200;

export class Reclamation {
  readonly #parts: ReclamationParts;
  #unsubscribe: () => void = () => {};
  #timer: Timer | undefined;
  #isStopped = false;
  #wanted = new Map<string, readonly string[]>();

  constructor(parts: ReclamationParts) {
    this.#parts = parts;
  }

  begin(): void {
    this.#unsubscribe = this.#parts.state.onChange((changes) => this.#onChanges(changes));
    this.#refresh();
  }

  stop(): void {
    this.#isStopped = true;
    this.#unsubscribe();
    this.#timer?.cancel();
  }

  wantedOf(nodeName: string): RemoveVolumes | undefined {
    const paths = this.#wanted.get(nodeName);
    return paths && { paths: [...paths] };
  }

  async removed(nodeName: string, paths: readonly string[]): Promise<void> {
    const { state, log, remove } = this.#parts;
    const node = state.get('Node', undefined, nodeName);
    const gone = released(state).filter(
      (volume) => node && isVolumeOn(volume, node) && paths.includes(volume.spec.local?.path ?? ''),
    );
    for (const volume of gone) {
      const isRemoved = await remove(volume).catch((error: unknown) => {
        log.warn({ volume: volume.metadata.name, error: messageOf(error) }, 'a reclaimed volume is not removed yet');
        return false;
      });
      if (!isRemoved) this.#askAgain(nodeName);
    }
  }

  /** It changed meanwhile. What is asked for twice is as gone as before. */
  #askAgain(nodeName: string): void {
    this.#wanted.delete(nodeName);
    this.#refreshSoon();
  }

  #onChanges(changes: readonly ObjectChange[]): void {
    const matters = changes.some(({ object, previous }) => {
      const { kind } = (object ?? previous)!;
      return kind === 'PersistentVolume' || kind === 'PersistentVolumeClaim';
    });
    if (matters) this.#refreshSoon();
  }

  #refreshSoon(): void {
    if (this.#isStopped) return;
    this.#timer ??= this.#parts.clock.schedule(gatherMs, () => {
      this.#timer = undefined;
      this.#refresh();
    });
  }

  #refresh(): void {
    const { state, onWanted } = this.#parts;
    const before = this.#wanted;
    const wanted = new Map<string, string[]>();
    const volumes = released(state);
    for (const node of volumes.length > 0 ? state.list('Node') : []) {
      const paths = volumes.filter((volume) => isVolumeOn(volume, node)).map(({ spec }) => spec.local!.path);
      if (paths.length > 0) wanted.set(node.metadata.name, paths.sort());
    }
    this.#wanted = wanted;
    for (const [nodeName, paths] of wanted) {
      if (before.get(nodeName)?.join() !== paths.join()) onWanted(nodeName, { paths: [...paths] });
    }
  }
}

/** A claim that is being deleted still holds its volume: pods may use it. A uid never comes back. */
function released(snapshot: Snapshot): readonly PersistentVolume[] {
  return snapshot.list('PersistentVolume').filter((volume) => {
    const { uid } = volume.spec.claimRef ?? {};
    return isReclaimable(volume) && uid !== undefined && snapshot.byUID(uid) === undefined && !isHeld(volume);
  });
}

/** Somebody else is not done with it: the data stays as long. */
function isHeld({ metadata }: PersistentVolume): boolean {
  return metadata.finalizers?.some((finalizer) => finalizer !== volumeProtection) === true;
}
