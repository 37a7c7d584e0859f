/** StatefulSet. */
import type { StatefulSet } from '../../../proto/gen/types.ts';
import { sameValue } from '../equal.ts';
import { dnsLabelProblem } from '../formats.ts';
import type { Problem } from '../problems.ts';
import { withClaimVolumes } from '../stateful-claims.ts';
import { checkAtLeast, collect, type Report } from './checks.ts';
import { checkClaimTemplates } from './storage.ts';
import { checkWorkload } from './workloads.ts';

/** A pod's name is its host name. */
const longestPodName = 63;

export function checkStatefulSet(object: StatefulSet, old: StatefulSet | undefined, problems: Problem[]): void {
  const report = collect(problems);
  const { spec } = object;
  if (!spec) return;
  checkWorkload({ ...spec, template: withClaimVolumes(spec) }, old?.spec, problems);
  checkClaimTemplates(object, old, report);
  checkAtLeast(spec.revisionHistoryLimit, 0, 'spec.revisionHistoryLimit', report);
  checkAtLeast(spec.ordinals?.start, 0, 'spec.ordinals.start', report);
  checkAtLeast(spec.updateStrategy?.rollingUpdate?.partition, 0, 'spec.updateStrategy.rollingUpdate.partition', report);
  if (spec.updateStrategy?.type === 'OnDelete' && spec.updateStrategy.rollingUpdate) {
    report('spec.updateStrategy.rollingUpdate', 'is not allowed with type OnDelete; remove it');
  }
  for (const field of ['hostname', 'subdomain'] as const) {
    if (spec.template?.spec?.[field] === undefined) continue;
    const own = field === 'hostname' ? 'the name of each pod' : 'spec.serviceName';
    report(`spec.template.spec.${field}`, `is ${own} in a StatefulSet; remove it`);
  }
  checkNames(object, report);
  if (!old) return;
  for (const field of ['serviceName', 'podManagementPolicy'] as const) {
    if (sameValue(old.spec[field], spec[field])) continue;
    report(`spec.${field}`, 'never changes; delete the StatefulSet and create it again, or give it another name');
  }
}

function checkNames({ metadata, spec }: StatefulSet, report: Report): void {
  const { name } = metadata ?? {};
  if (!name) return;
  const last = (spec.ordinals?.start ?? 0) + Math.max(1, spec.replicas ?? 1) - 1;
  const podName = `${name}-${last}`;
  if (podName.length > longestPodName) {
    report('metadata.name', `is too long: pod ${podName} would have more than ${longestPodName} characters`);
  } else {
    const problem = dnsLabelProblem(name);
    report('metadata.name', problem && `${problem} (its pods' host names begin with it)`);
  }
}
