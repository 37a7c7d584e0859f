/** Columns of DaemonSets and of template histories. Pure. */
import { controllerOf } from '../../lib/model/object.ts';
import type { ControllerRevision, DaemonSet } from '../../proto/gen/types.ts';
import { groupedKind } from '../resources.ts';
import { ageColumn, labelsText, nameColumn, none, templateColumns } from './column-parts.ts';
import type { Column } from './table.ts';

export function daemonSetColumns(nowMs: number): readonly Column<DaemonSet>[] {
  return [
    nameColumn,
    { header: 'DESIRED', cell: ({ status }) => String(status?.desiredNumberScheduled ?? 0) },
    { header: 'CURRENT', cell: ({ status }) => String(status?.currentNumberScheduled ?? 0) },
    { header: 'READY', cell: ({ status }) => String(status?.numberReady ?? 0) },
    { header: 'UP-TO-DATE', cell: ({ status }) => String(status?.updatedNumberScheduled ?? 0) },
    { header: 'AVAILABLE', cell: ({ status }) => String(status?.numberAvailable ?? 0) },
    { header: 'NODE SELECTOR', cell: ({ spec }) => labelsText(spec.template.spec.nodeSelector) },
    ageColumn(nowMs),
    ...templateColumns<DaemonSet>(),
  ];
}

export function controllerRevisionColumns(nowMs: number): readonly Column<ControllerRevision>[] {
  return [
    nameColumn,
    { header: 'CONTROLLER', cell: ownerOf },
    { header: 'REVISION', cell: ({ revision }) => String(revision ?? 0) },
    ageColumn(nowMs),
  ];
}

function ownerOf(revision: ControllerRevision): string {
  const owner = controllerOf(revision);
  return owner ? `${groupedKind(owner.kind)}/${owner.name}` : none;
}
