/** What a bench says: one line a metric, as a table for people or as JSON lines. */

export interface Metric {
  readonly bench: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** The bare tool or the rival measured in the same run, in the same unit. */
  readonly peer?: { readonly name: string; readonly value: number };
  /** What we aim at: at most (`<=`) or at least (`>=`) this. */
  readonly target?: { readonly bound: '<=' | '>='; readonly value: number };
}

export type Report = (metric: Metric) => void;

/** value / peer; undefined without a peer. */
export function ratio({ value, peer }: Metric): number | undefined {
  return peer && peer.value !== 0 ? value / peer.value : undefined;
}

export function meetsTarget({ value, target }: Metric): boolean | undefined {
  if (!target) return undefined;
  return target.bound === '<=' ? value <= target.value : value >= target.value;
}

/** `{bench, metric, value, unit, peer, ratio, target}`; peer and target as numbers, null when there is none. */
export function jsonLine(metric: Metric): string {
  return JSON.stringify({
    bench: metric.bench,
    metric: metric.metric,
    value: round(metric.value),
    unit: metric.unit,
    peer: metric.peer ? round(metric.peer.value) : null,
    ratio: ratio(metric) === undefined ? null : round(ratio(metric)!),
    target: metric.target?.value ?? null,
  });
}

export function tableRow(metric: Metric): string[] {
  const met = meetsTarget(metric);
  return [
    metric.bench,
    metric.metric,
    `${round(metric.value)} ${metric.unit}`,
    metric.peer ? `${round(metric.peer.value)} ${metric.unit} (${metric.peer.name})` : '',
    ratio(metric) === undefined ? '' : round(ratio(metric)!).toString(),
    metric.target ? `${metric.target.bound} ${metric.target.value} ${met ? 'met' : 'MISSED'}` : '',
  ];
}

/** Three significant digits, whole numbers from a hundred on. */
function round(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
