/** Looks at claims, volumes, and pods that are bound: one claim and one volume to each other, and pods where theirs are. */
import { isPodFinished } from '../../lib/model/pods.ts';
import type { KubeObject, PersistentVolume, PersistentVolumeClaim, Pod } from '../../proto/gen/types.ts';
import type { Change, Report, StoreChecker } from './store-checker.ts';
import { claimNames, machinesOf, usesClaim } from './workloads/storage.ts';

export class StorageChecker {
  /** Where pods with volumes of machines may run, by uid; known for ever. */
  readonly machines = new Map<string, readonly string[]>();
  readonly #store: Pick<StoreChecker, 'list'>;
  readonly #report: Report;

  constructor(store: Pick<StoreChecker, 'list'>, report: Report) {
    this.#store = store;
    this.#report = report;
  }

  applied(changes: readonly Change[]): void {
    for (const { key, object, previous } of changes) {
      if (!object && previous?.kind === 'PersistentVolumeClaim') this.#checkUnused(key, previous);
      if (!object && previous?.kind === 'PersistentVolume') this.#checkReleased(key, previous);
      const before = isSameObject(object, previous) ? previous : undefined;
      if (object?.kind === 'PersistentVolumeClaim') this.#checkClaim(key, object, before as PersistentVolumeClaim);
      else if (object?.kind === 'PersistentVolume') this.#checkVolume(key, object, before as PersistentVolume);
      else if (object?.kind === 'Pod') this.#checkPod(object, before as Pod | undefined);
    }
  }

  #checkClaim(key: string, { metadata, spec, status }: PersistentVolumeClaim, before?: PersistentVolumeClaim): void {
    const had = before?.spec.volumeName;
    const { volumeName } = spec;
    if (had !== undefined && had !== volumeName) this.#broken(`${key} had volume ${had} and now has ${volumeName}`);
    if (volumeName === undefined || status?.phase !== 'Bound' || before?.status?.phase === 'Bound') return;
    const owner = this.#volume(volumeName)?.spec.claimRef?.uid;
    if (owner !== metadata.uid) this.#broken(`${key} is bound to ${volumeName}, which is of claim ${owner}`);
    const others = this.#store
      .list('PersistentVolumeClaim')
      .filter((one) => one.spec.volumeName === volumeName && one.metadata.uid !== metadata.uid);
    for (const { metadata: other } of others) this.#broken(`${key} and claim ${other.name} have volume ${volumeName}`);
  }

  #checkVolume(key: string, { spec }: PersistentVolume, before?: PersistentVolume): void {
    const had = before?.spec.claimRef?.uid;
    const uid = spec.claimRef?.uid;
    if (had !== undefined && had !== uid) this.#broken(`${key} was of claim ${had} and now is of ${uid}`);
  }

  /** At the moment it is bound. */
  #checkPod(pod: Pod, before?: Pod): void {
    const { metadata, spec } = pod;
    if (!spec.nodeName || before?.spec.nodeName) return;
    for (const name of claimNames(pod)) {
      const volume = this.#volumeOfClaim(name, metadata.namespace);
      const machines = volume && machinesOf(volume);
      const path = spec.volumes?.find((one) => one.persistentVolumeClaim?.claimName === name)?.persistentVolumeClaim
        ?.bound?.path;
      const what = `pod ${metadata.name} on ${spec.nodeName}`;
      if (!volume) this.#report('volume-node', `${what} was bound, but its claim ${name} has no volume`);
      else if (path !== volume.spec.local?.path)
        this.#report('volume-node', `${what} has ${path} for claim ${name}, and not ${volume.spec.local?.path}`);
      else if (machines && !machines.includes(spec.nodeName))
        this.#report(
          'volume-node',
          `${what}: volume ${volume.metadata.name} of its claim is on ${machines.join(', ')}`,
        );
      if (machines) this.machines.set(metadata.uid ?? '', machines);
    }
  }

  /** A claim that goes takes the data with it. */
  #checkUnused(key: string, claim: PersistentVolumeClaim): void {
    const pods = this.#store.list('Pod').filter((pod) => pod.spec.nodeName && !isPodFinished(pod));
    const user = pods.find((pod) => usesClaim(pod, claim));
    if (user) this.#report('volume-data', `${key} is gone, and pod ${user.metadata.name} uses it`);
  }

  #checkReleased(key: string, { metadata, spec }: PersistentVolume): void {
    const claims = this.#store.list('PersistentVolumeClaim').filter((one) => one.metadata.uid === spec.claimRef?.uid);
    const holder = claims.find((one) => one.spec.volumeName === metadata.name);
    if (holder) this.#report('volume-data', `${key} is gone, and claim ${holder.metadata.name} has it`);
  }

  #volumeOfClaim(name: string, namespace: string | undefined): PersistentVolume | undefined {
    const claim = this.#store
      .list('PersistentVolumeClaim')
      .find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
    return claim?.spec.volumeName === undefined ? undefined : this.#volume(claim.spec.volumeName);
  }

  #volume(name: string): PersistentVolume | undefined {
    return this.#store.list('PersistentVolume').find(({ metadata }) => metadata.name === name);
  }

  #broken(message: string): void {
    this.#report('one-claim-per-volume', message);
  }
}

function isSameObject(a: KubeObject | undefined, b: KubeObject | undefined): boolean {
  return a?.metadata.uid === b?.metadata.uid;
}
