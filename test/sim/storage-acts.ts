/** What users do about volumes: provide them, and take claims and volumes away again. */
import { isDeleting } from '../../lib/model/object.ts';
import type { SimUser } from './users.ts';
import { manualClass, manualVolume } from './workloads/storage.ts';
import { pick } from './workloads/workload.ts';

const mostManualVolumes = 4;

/** A volume on some machine, for whatever claim can have it. */
export async function provideVolume(user: SimUser): Promise<void> {
  const { checker, random } = user;
  const nodes = checker.list('Node').filter((node) => !isDeleting(node));
  const name = `disk-${Math.floor(random.next() * mostManualVolumes)}`;
  const isThere = checker.list('PersistentVolume').some(({ metadata }) => metadata.name === name);
  if (nodes.length > 0 && !isThere) await user.apply(manualVolume(name, pick(nodes, random).metadata.name));
}

/** One that is in use waits until it is not. */
export async function dropClaim(user: SimUser): Promise<void> {
  const claims = user.checker.list('PersistentVolumeClaim');
  if (claims.length === 0) return;
  const { name, namespace = 'default' } = pick(claims, user.random).metadata;
  await user.delete('PersistentVolumeClaim', name, { namespace });
}

/** Of those that somebody provided. One that is bound waits until it is not. */
export async function dropVolume(user: SimUser): Promise<void> {
  const volumes = user.checker.list('PersistentVolume').filter(({ spec }) => spec.storageClassName === manualClass);
  if (volumes.length > 0) await user.delete('PersistentVolume', pick(volumes, user.random).metadata.name);
}
