/** A pod's spec, in a Pod or in a template. */
import type { PodSpec, Toleration } from '../../../proto/gen/types.ts';
import { dnsSubdomainProblem, ipProblem, qualifiedNameProblem } from '../formats.ts';
import { at } from '../problems.ts';
import { checkAtLeast, checkLabels, type Report } from './checks.ts';
import { checkContainers } from './containers.ts';
import { checkPlacement } from './placement.ts';
import { checkIDs, checkVolumes } from './volumes.ts';

export function checkPodSpec(spec: PodSpec | undefined, path: string, report: Report): void {
  if (!spec) return;
  checkContainers(spec, path, report);
  checkVolumes(spec.volumes ?? [], at(path, 'volumes'), report);
  checkAtLeast(spec.terminationGracePeriodSeconds, 0, at(path, 'terminationGracePeriodSeconds'), report);
  checkAtLeast(spec.activeDeadlineSeconds, 1, at(path, 'activeDeadlineSeconds'), report);
  checkLabels(spec.nodeSelector, at(path, 'nodeSelector'), report);
  checkPlacement(spec, path, report);
  checkHostNamespaces(spec, path, report);
  checkDNS(spec, path, report);
  for (const [index, toleration] of (spec.tolerations ?? []).entries()) {
    checkToleration(toleration, at(at(path, 'tolerations'), index), report);
  }
  for (const [index, alias] of (spec.hostAliases ?? []).entries()) {
    for (const [nameIndex, name] of (alias.hostnames ?? []).entries()) {
      const here = at(at(at(at(path, 'hostAliases'), index), 'hostnames'), nameIndex);
      if (typeof name === 'string') report(here, dnsSubdomainProblem(name));
    }
  }
  checkPodSecurityContext(spec, at(path, 'securityContext'), report);
}

function checkHostNamespaces(spec: PodSpec, path: string, report: Report): void {
  if (spec.hostUsers !== false) return;
  if ((spec.volumes ?? []).some(({ persistentVolumeClaim: claim }) => claim)) {
    const why = "files of persistent volumes belong to the node's users, whichever pod wrote them";
    report(at(path, 'hostUsers'), `cannot be false with persistentVolumeClaim: ${why}; leave it out`);
  }
  const shared = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field]);
  if (shared.length > 0) {
    report(at(path, 'hostUsers'), `cannot be false with ${shared.join(', ')}; set hostUsers: true or leave it out`);
  }
}

function checkDNS({ dnsPolicy, dnsConfig }: PodSpec, path: string, report: Report): void {
  const { nameservers = [], searches = [] } = dnsConfig ?? {};
  const here = at(path, 'dnsConfig');
  if (dnsPolicy === 'None' && nameservers.length === 0) {
    report(at(here, 'nameservers'), 'required with dnsPolicy: None');
  }
  if (nameservers.length > 3) report(at(here, 'nameservers'), 'at most 3 are allowed');
  if (searches.length > 32) report(at(here, 'searches'), 'at most 32 are allowed');
  for (const [index, server] of nameservers.entries()) {
    if (typeof server === 'string') report(at(at(here, 'nameservers'), index), ipProblem(server));
  }
}

function checkToleration(toleration: Toleration, path: string, report: Report): void {
  const { key, operator = 'Equal', value, effect, tolerationSeconds } = toleration;
  if (key) report(at(path, 'key'), qualifiedNameProblem(key));
  else if (operator !== 'Exists') report(at(path, 'operator'), 'must be Exists when there is no key');
  if (operator === 'Exists' && value) report(at(path, 'value'), 'operator Exists takes no value; remove it');
  if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
    report(at(path, 'effect'), 'must be NoExecute when tolerationSeconds is set');
  }
}

function checkPodSecurityContext({ securityContext }: PodSpec, path: string, report: Report): void {
  if (!securityContext) return;
  const { runAsUser, runAsGroup, fsGroup, supplementalGroups = [], runAsNonRoot } = securityContext;
  checkIDs({ runAsUser, runAsGroup, fsGroup }, path, report);
  if (runAsNonRoot && runAsUser === 0) report(at(path, 'runAsUser'), '0 is root, which runAsNonRoot forbids');
  for (const [index, group] of supplementalGroups.entries()) {
    checkIDs({ [String(index)]: group }, at(path, 'supplementalGroups'), report);
  }
}
