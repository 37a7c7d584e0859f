/** PersistentVolume, PersistentVolumeClaim and StorageClass. */
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  StatefulSet,
  StorageClass,
} from '../../../proto/gen/types.ts';
import { changedPaths, sameValue } from '../equal.ts';
import { dnsLabelProblem, dnsSubdomainProblem } from '../formats.ts';
import { at } from '../problems.ts';
import { parseQuantity } from '../quantity.ts';
import { isProvisioned, localProvisioner } from '../storage.ts';
import { checkAbsolutePath, checkExactlyOne, checkSelector, checkUnique, type Report } from './checks.ts';
import { checkNodeTerm } from './placement.ts';

export function checkPersistentVolume(
  object: PersistentVolume,
  old: PersistentVolume | undefined,
  report: Report,
): void {
  const { spec } = object;
  if (!spec) return;
  checkStorage(spec.capacity, 'spec.capacity', report);
  if (!spec.accessModes?.length) report('spec.accessModes', 'required; for example [ReadWriteOnce]');
  checkExactlyOne(spec, ['local', 'hostPath'], 'spec', report);
  const isOurs = isProvisioned(object) && old !== undefined && isProvisioned(old);
  if (spec.local && !isOurs) checkPath(spec.local.path, 'spec.local.path', report);
  if (spec.hostPath) checkPath(spec.hostPath.path, 'spec.hostPath.path', report);
  if (spec.local && !spec.nodeAffinity) {
    report(
      'spec.nodeAffinity',
      'required with local: the directory is on one node; say which by kubernetes.io/hostname',
    );
  }
  for (const [index, term] of (spec.nodeAffinity?.required?.nodeSelectorTerms ?? []).entries()) {
    checkNodeTerm(term, at('spec.nodeAffinity.required.nodeSelectorTerms', index), report);
  }
  if (spec.persistentVolumeReclaimPolicy === 'Delete' && !isOurs) {
    const whose = `only volumes that ${localProvisioner} made are deleted with their claims`;
    report('spec.persistentVolumeReclaimPolicy', `Delete is not allowed here: ${whose}; use Retain`);
  }
  const { claimRef } = spec;
  if (claimRef && (!claimRef.name || !claimRef.namespace)) {
    report('spec.claimRef', 'needs the namespace and the name of the claim that the volume is for');
  }
  if (old) checkVolumeChange(object, old, report);
}

function checkVolumeChange({ spec }: PersistentVolume, old: PersistentVolume, report: Report): void {
  for (const field of ['capacity', 'local', 'hostPath', 'storageClassName', 'volumeMode'] as const) {
    if (sameValue(old.spec[field], spec[field])) continue;
    report(`spec.${field}`, 'never changes; make another volume');
  }
  if (old.spec.nodeAffinity && !sameValue(old.spec.nodeAffinity, spec.nodeAffinity)) {
    report('spec.nodeAffinity', 'never changes; make another volume');
  }
}

function checkPath(path: string | undefined, where: string, report: Report): void {
  checkAbsolutePath(path, where, report);
  if (path?.split('/').includes('..')) report(where, `${JSON.stringify(path)} must not contain ".."`);
}

function checkStorage(amounts: Readonly<Record<string, string>> | undefined, path: string, report: Report): void {
  const storage = amounts?.storage;
  if (storage === undefined) report(at(path, 'storage'), 'required; for example 1Gi');
  else if ((parseQuantity(storage) ?? 1) <= 0) report(at(path, 'storage'), 'must be more than 0');
  for (const name of Object.keys(amounts ?? {})) {
    if (name !== 'storage') report(at(path, name), 'only storage counts for volumes; remove it');
  }
}

export function checkClaim(
  object: PersistentVolumeClaim,
  old: PersistentVolumeClaim | undefined,
  report: Report,
): void {
  if (!object.spec) return;
  checkClaimSpec(object.spec, 'spec', report);
  if (!old) return;
  for (const path of changedPaths(filledIn(old.spec, object.spec), object.spec, 'spec')) {
    report(path, 'never changes; delete the claim and create it again, or give it another name');
  }
}

/** What the cluster has not filled in yet may be said later. */
function filledIn(old: PersistentVolumeClaimSpec, { storageClassName, volumeName }: PersistentVolumeClaimSpec) {
  return {
    ...old,
    ...(old.storageClassName === undefined && storageClassName !== undefined && { storageClassName }),
    ...(old.volumeName === undefined && volumeName !== undefined && { volumeName }),
  };
}

function checkClaimSpec(spec: PersistentVolumeClaimSpec, path: string, report: Report): void {
  if (spec.accessModes?.length === 0) report(at(path, 'accessModes'), 'required; for example [ReadWriteOnce]');
  checkStorage(spec.resources?.requests, at(path, 'resources.requests'), report);
  checkSelector(spec.selector, at(path, 'selector'), report);
  if (spec.storageClassName) report(at(path, 'storageClassName'), dnsSubdomainProblem(spec.storageClassName));
}

/** A claim's name is also the name of a volume in the pods. */
export function checkClaimTemplates({ spec }: StatefulSet, old: StatefulSet | undefined, report: Report): void {
  const path = 'spec.volumeClaimTemplates';
  const templates = spec.volumeClaimTemplates ?? [];
  checkUnique(templates, path, ({ metadata }) => metadata?.name, 'template', report);
  for (const [index, { metadata, spec: claim }] of templates.entries()) {
    const here = at(path, index);
    if (metadata?.name) report(at(here, 'metadata.name'), dnsLabelProblem(metadata.name));
    if (claim) checkClaimSpec(claim, at(here, 'spec'), report);
  }
  if (old && !sameValue(old.spec.volumeClaimTemplates, spec.volumeClaimTemplates)) {
    report(path, 'never changes; delete the StatefulSet (its claims stay) and create it again');
  }
}

export function checkStorageClass(object: StorageClass, old: StorageClass | undefined, report: Report): void {
  const { provisioner, volumeBindingMode, reclaimPolicy } = object;
  if (provisioner === localProvisioner && volumeBindingMode === 'Immediate') {
    const why = `${localProvisioner} makes a directory on the node of the first pod`;
    report('volumeBindingMode', `Immediate is not possible: ${why}; use WaitForFirstConsumer`);
  }
  if (!old) return;
  const before = {
    provisioner: old.provisioner,
    volumeBindingMode: old.volumeBindingMode,
    reclaimPolicy: old.reclaimPolicy,
  };
  for (const path of changedPaths(before, { provisioner, volumeBindingMode, reclaimPolicy }, '')) {
    report(path, 'never changes; delete the class and create it again, or make another one');
  }
}
