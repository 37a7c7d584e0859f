/** DaemonSet, and the ControllerRevisions that its controller makes. */
import type { ControllerRevision, DaemonSet } from '../../../proto/gen/types.ts';
import { sameValue } from '../equal.ts';
import type { Problem } from '../problems.ts';
import { checkAtLeast, collect } from './checks.ts';
import { amountOf, checkWorkload } from './workloads.ts';

export function checkDaemonSet(object: DaemonSet, old: DaemonSet | undefined, problems: Problem[]): void {
  const { spec } = object;
  if (!spec) return;
  const report = collect(problems);
  checkWorkload(spec, old?.spec, problems);
  checkAtLeast(spec.revisionHistoryLimit, 0, 'spec.revisionHistoryLimit', report);
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  if (!rollingUpdate) return;
  if (type === 'OnDelete') {
    report('spec.updateStrategy.rollingUpdate', 'is not allowed with type OnDelete; remove it');
    return;
  }
  const path = 'spec.updateStrategy.rollingUpdate.maxUnavailable';
  const unavailable = amountOf(rollingUpdate.maxUnavailable, path, report);
  if (unavailable === 0) report(path, 'must be more than 0: nothing could ever move');
  if (rollingUpdate.maxUnavailable?.endsWith('%') && (unavailable ?? 0) > 100) {
    report(path, `${rollingUpdate.maxUnavailable} is more than 100%`);
  }
}

export function checkControllerRevision(
  object: ControllerRevision,
  old: ControllerRevision | undefined,
  problems: Problem[],
): void {
  const report = collect(problems);
  if (!old) report('kind', 'a ControllerRevision is made by its workload; apply the DaemonSet or StatefulSet itself');
  else if (!sameValue(object.data, old.data)) report('data', 'never changes; change the template of the workload');
}
