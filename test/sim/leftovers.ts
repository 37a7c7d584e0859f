/** What users have left half done about volumes, configuration and autoscaling, and what ends it. */
import { objectKey } from '../../lib/model/keys.ts';
import { isControlledBy, isDeleting } from '../../lib/model/object.ts';
import { isPodFinished } from '../../lib/model/pods.ts';
import type { KubeObject, PersistentVolume, PersistentVolumeClaim, Pod } from '../../proto/gen/types.ts';
import type { StoreChecker } from './store-checker.ts';
import type { SimUser } from './users.ts';
import { missingReferences } from './workloads/configuration.ts';
import { configMap, secret } from './workloads/others.ts';
import {
  claim,
  claimNames,
  freeVolume,
  machinesOf,
  manualClass,
  manualVolume,
  usesClaim,
} from './workloads/storage.ts';

type Ending = () => Promise<unknown>;

/** A clock that is ahead by less does no harm. */
const slackMs = 5_000;

export function leftovers(user: SimUser): Ending[] {
  return [...ofVolumes(user), ...ofConfiguration(user), ...ofClocks(user)];
}

function ofVolumes(user: SimUser): Ending[] {
  const { checker, random } = user;
  const nodes = checker.list('Node').filter((node) => !isDeleting(node));
  const pods = checker.list('Pod').filter((pod) => !isPodFinished(pod));
  const endings: Ending[] = [];
  for (const one of checker.list('PersistentVolumeClaim')) {
    const { name, namespace = 'default' } = one.metadata;
    const users = pods.filter((pod) => usesClaim(pod, one));
    if (isDeleting(one)) {
      for (const pod of users.filter((pod) => !isDeleting(pod))) endings.push(() => remove(user, pod));
    } else if (isLost(one, checker)) {
      endings.push(() => user.delete('PersistentVolumeClaim', name, { namespace }));
    } else if (one.spec.volumeName === undefined && one.spec.storageClassName === manualClass && nodes.length > 0) {
      const node = nodes[Math.floor(random.next() * nodes.length)]!;
      // Of a name that nobody has had: one that is released stays so.
      if (!freeVolume(one, checker))
        endings.push(() => user.apply(manualVolume(`disk-${checker.revision}`, node.metadata.name)));
    }
  }
  for (const pod of pods.filter(({ metadata }) => !metadata.ownerReferences?.length)) {
    const { namespace = 'default' } = pod.metadata;
    for (const name of claimNames(pod)) {
      if (checker.objects.has(objectKey('PersistentVolumeClaim', namespace, name))) continue;
      const made = claim.make(name, random, 0);
      endings.push(() => user.apply({ ...made, metadata: { name, namespace } } as KubeObject));
    }
  }
  return endings;
}

/** Its volume is gone, or on a machine that is. */
function isLost({ spec, status }: PersistentVolumeClaim, checker: StoreChecker): boolean {
  if (spec.volumeName === undefined) return false;
  const key = objectKey('PersistentVolume', undefined, spec.volumeName);
  const volume = checker.objects.get(key) as PersistentVolume | undefined;
  if (!volume) return status?.phase === 'Lost';
  const names = checker.list('Node').map(({ metadata }) => metadata.name);
  return machinesOf(volume)?.some((name) => names.includes(name)) === false;
}

/** What rollouts wait for. */
function ofConfiguration(user: SimUser): Ending[] {
  const { checker, random } = user;
  return checker.list('Deployment').flatMap((deployment) =>
    missingReferences(deployment, checker).map(({ kind, name }): Ending => {
      const made = (kind === 'Secret' ? secret : configMap).make(name, random, 0);
      const { namespace } = deployment.metadata;
      return () => user.apply({ ...made, metadata: { name, namespace } } as KubeObject);
    }),
  );
}

/** Pods that an agent whose clock was ahead calls ready since later than now: their figures would not count before. */
function ofClocks(user: SimUser): Ending[] {
  const { checker, world } = user;
  const nowMs = world.epochMs + world.nowMs;
  if (checker.list('HorizontalPodAutoscaler').length === 0) return [];
  const owners: readonly KubeObject[] = [...checker.list('ReplicaSet'), ...checker.list('StatefulSet')];
  const early = ({ status }: Pod): boolean => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    return [status?.startTime, ready?.lastTransitionTime].some((text) => Date.parse(text ?? '') > nowMs + slackMs);
  };
  return checker
    .list('Pod')
    .filter((pod) => early(pod) && !isDeleting(pod) && owners.some((owner) => isControlledBy(pod, owner)))
    .map(
      (pod): Ending =>
        () =>
          remove(user, pod),
    );
}

function remove(user: SimUser, { metadata: { name, namespace = 'default' } }: Pod): Promise<boolean> {
  return user.delete('Pod', name, { namespace });
}
