/** A pod's volumes and what its containers mount. */
import type { Container, KeyToPath, Volume } from '../../../proto/gen/types.ts';
import { at } from '../problems.ts';
import { checkAbsolutePath, checkExactlyOne, checkInnerPath, checkRange, checkUnique, type Report } from './checks.ts';

export function checkVolumes(volumes: readonly Volume[], path: string, report: Report): void {
  checkUnique(volumes, path, (volume) => volume.name, 'volume', report);
  for (const [index, volume] of volumes.entries()) {
    const here = at(path, index);
    checkExactlyOne(volume, ['emptyDir', 'configMap', 'secret', 'hostPath', 'persistentVolumeClaim'], here, report);
    if (volume.configMap) {
      if (!volume.configMap.name) report(at(here, 'configMap.name'), 'required');
      checkItems(volume.configMap, at(here, 'configMap'), report);
    }
    if (volume.secret) {
      if (!volume.secret.secretName) report(at(here, 'secret.secretName'), 'required');
      checkItems(volume.secret, at(here, 'secret'), report);
    }
    if (volume.hostPath) checkHostPath(volume.hostPath.path, at(here, 'hostPath.path'), report);
  }
}

function checkItems(
  source: { readonly items?: KeyToPath[]; readonly defaultMode?: number },
  path: string,
  report: Report,
): void {
  checkMode(source.defaultMode, at(path, 'defaultMode'), report);
  checkUnique(source.items, at(path, 'items'), (item) => item.path, 'path', report);
  for (const [index, item] of (source.items ?? []).entries()) {
    const here = at(at(path, 'items'), index);
    checkInnerPath(item.path, at(here, 'path'), report);
    checkMode(item.mode, at(here, 'mode'), report);
  }
}

function checkMode(mode: number | undefined, path: string, report: Report): void {
  if (mode === undefined || (mode >= 0 && mode <= 0o777)) return;
  report(path, `${mode} is not a file mode; write 0644, or its decimal 420 (0 to 511)`);
}

function checkHostPath(hostPath: string | undefined, path: string, report: Report): void {
  if (hostPath === undefined) return;
  checkAbsolutePath(hostPath, path, report);
  if (hostPath.split('/').includes('..')) report(path, `${JSON.stringify(hostPath)} must not contain ".."`);
}

export function checkVolumeMounts(
  { volumeMounts = [] }: Container,
  volumes: readonly Volume[],
  path: string,
  report: Report,
): void {
  const known = volumes.map((volume) => volume.name);
  checkUnique(volumeMounts, path, (mount) => mount.mountPath, 'mountPath', report);
  for (const [index, mount] of volumeMounts.entries()) {
    const here = at(path, index);
    if (mount.name && !known.includes(mount.name)) {
      const hint = known.length === 0 ? 'the pod has none; add it to spec.volumes' : `the pod has ${known.join(', ')}`;
      report(at(here, 'name'), `no volume is called ${JSON.stringify(mount.name)}; ${hint}`);
    }
    checkAbsolutePath(mount.mountPath, at(here, 'mountPath'), report);
    if (mount.mountPath?.includes(':')) report(at(here, 'mountPath'), 'must not contain ":"');
    checkInnerPath(mount.subPath, at(here, 'subPath'), report);
  }
}

export function checkIDs(ids: Readonly<Record<string, number | undefined>>, path: string, report: Report): void {
  for (const [name, id] of Object.entries(ids)) checkRange(id, 0, 2 ** 31 - 1, at(path, name), report);
}
