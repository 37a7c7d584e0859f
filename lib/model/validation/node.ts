/** Node: clients may cordon, taint and label; the rest is the cluster's. */
import type { Node } from '../../../proto/gen/types.ts';
import { labelValueProblem, qualifiedNameProblem } from '../formats.ts';
import { at } from '../problems.ts';
import { checkUnique, type Report } from './checks.ts';

export function checkNode({ spec }: Node, old: Node | undefined, report: Report): void {
  const taints = spec?.taints ?? [];
  checkUnique(taints, 'spec.taints', ({ key, effect }) => key && effect && `${key}:${effect}`, 'taint', report);
  for (const [index, { key, value }] of taints.entries()) {
    const here = at('spec.taints', index);
    if (key) report(at(here, 'key'), qualifiedNameProblem(key));
    if (value) report(at(here, 'value'), labelValueProblem(value));
  }
  for (const field of ['podCIDR', 'providerID'] as const) {
    if (old && spec?.[field] !== undefined && spec[field] !== old.spec[field]) {
      report(at('spec', field), `is the cluster's to write (it is ${old.spec[field] ?? 'absent'}); leave it out`);
    }
  }
}
