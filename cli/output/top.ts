/** Tables of `ctl top`: kubectl's columns. Pure. */
import { cpuMillis, wholeUnits } from '../../lib/model/quantity.ts';
import type { Node, NodeStats, PodStats } from '../../proto/gen/types.ts';
import { renderTable } from './table.ts';

interface Order {
  readonly sortBy?: 'cpu' | 'memory';
  readonly headers?: boolean;
}

export interface PodTopOptions extends Order {
  readonly containers?: boolean;
  readonly showNamespace?: boolean;
  readonly sum?: boolean;
}

export interface NodeTopOptions extends Order {
  readonly showCapacity?: boolean;
}

/** What a row measures; undefined: not known yet. */
interface Usage {
  readonly cpuNanocores: number | undefined;
  readonly memoryBytes: number | undefined;
}

interface Row extends Usage {
  readonly names: readonly string[];
}

const unknown = '<unknown>';
const mebibyte = 1024 * 1024;

export function podTable(pods: readonly PodStats[], options: PodTopOptions): string {
  const { containers = false, showNamespace = false, sum = false, headers = true } = options;
  const rows = pods.flatMap((pod): Row[] => {
    const names = [...(showNamespace ? [pod.namespace ?? ''] : []), pod.name ?? ''];
    const own = (pod.containers ?? []).map((container) => ({
      ...usageOf(container),
      names: [...names, container.name ?? ''],
    }));
    return containers ? own : [{ ...totalOf(own), names }];
  });
  const nameHeaders = [...(showNamespace ? ['NAMESPACE'] : []), ...(containers ? ['POD', 'NAME'] : ['NAME'])];
  const cells = sorted(rows, options).map((row) => [...row.names, ...usageCells(row)]);
  const blank = nameHeaders.map(() => '');
  const total = sum
    ? [
        [...blank, '________', '________'],
        [...blank, ...usageCells(totalOf(rows))],
      ]
    : [];
  return renderTable(headers ? [...nameHeaders, 'CPU(cores)', 'MEMORY(bytes)'] : undefined, [...cells, ...total]);
}

export function nodeTable(stats: readonly NodeStats[], nodes: readonly Node[], options: NodeTopOptions): string {
  const { showCapacity = false, headers = true } = options;
  const byName = new Map(nodes.map((node) => [node.metadata.name, node]));
  const rows = stats.map((entry): Row => ({ ...usageOf(entry), names: [entry.name ?? ''] }));
  const cells = sorted(rows, options).map((row) => {
    const status = byName.get(row.names[0] ?? '')?.status;
    const whole = showCapacity ? status?.capacity : status?.allocatable;
    const [cpu = unknown, memory = unknown] = usageCells(row);
    const millis = row.cpuNanocores === undefined ? undefined : row.cpuNanocores / 1e6;
    return [
      ...row.names,
      cpu,
      percent(millis, whole?.cpu === undefined ? undefined : cpuMillis(whole.cpu)),
      memory,
      percent(row.memoryBytes, whole?.memory === undefined ? undefined : wholeUnits(whole.memory)),
    ];
  });
  return renderTable(headers ? ['NAME', 'CPU(cores)', 'CPU(%)', 'MEMORY(bytes)', 'MEMORY(%)'] : undefined, cells);
}

function usageOf({ cpuNanocores, memoryBytes }: { cpuNanocores?: number; memoryBytes?: number }): Usage {
  return { cpuNanocores, memoryBytes };
}

/** Of what is known wholly: a part would look like little. */
function totalOf(rows: readonly Usage[]): Usage {
  const sum = (values: readonly (number | undefined)[]): number | undefined =>
    values.reduce((total, value) => (total === undefined || value === undefined ? undefined : total + value), 0);
  return {
    cpuNanocores: sum(rows.map((row) => row.cpuNanocores)),
    memoryBytes: sum(rows.map((row) => row.memoryBytes)),
  };
}

function sorted(rows: readonly Row[], { sortBy }: Order): readonly Row[] {
  if (!sortBy) return rows;
  const value = (row: Row): number => (sortBy === 'cpu' ? row.cpuNanocores : row.memoryBytes) ?? -1;
  return [...rows].sort((a, b) => value(b) - value(a));
}

function usageCells({ cpuNanocores, memoryBytes }: Usage): string[] {
  return [
    cpuNanocores === undefined ? unknown : `${Math.ceil(cpuNanocores / 1e6)}m`,
    memoryBytes === undefined ? unknown : `${Math.floor(memoryBytes / mebibyte)}Mi`,
  ];
}

function percent(part: number | undefined, whole: number | undefined): string {
  return part === undefined || !whole ? unknown : `${Math.floor((part * 100) / whole)}%`;
}
