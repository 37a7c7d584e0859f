/** Pieces that descriptions are made of: lines with tabs between name and value, set in columns at the end. Pure. */
import { isFieldsAnnotation } from '../../../lib/model/apply.ts';
import { controllerOf } from '../../../lib/model/object.ts';
import type { KubeObject } from '../../../proto/gen/types.ts';

export const none = '<none>';
/** Annotations beyond this go on a line of their own. */
const longestAnnotation = 140;

export function indented(lines: readonly string[], spaces = 2): string[] {
  return lines.map((line) => `${' '.repeat(spaces)}${line}`);
}

/** The first beside the name, the others below it. */
export function listField(name: string, values: readonly string[]): string[] {
  if (values.length === 0) return [`${name}:\t${none}`];
  return values.map((value, index) => `${index === 0 ? `${name}:` : ''}\t${value}`);
}

export function labelsField(name: string, labels: Readonly<Record<string, string>> | undefined): string[] {
  return listField(
    name,
    Object.entries(labels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .sort(),
  );
}

const hiddenAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

export function annotationsField(annotations: Readonly<Record<string, string>> | undefined): string[] {
  const shown = Object.entries(annotations ?? {})
    .filter(([key]) => key !== hiddenAnnotation && !isFieldsAnnotation(key))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const values = shown.flatMap(([key, value]) => {
    const long = key.length + value.length > longestAnnotation || value.includes('\n');
    return long
      ? [
          `${key}:`,
          ...value
            .trimEnd()
            .split('\n')
            .map((line) => `  ${line}`),
        ]
      : [`${key}: ${value}`];
  });
  return listField('Annotations', values);
}

/** Name, namespace, labels and annotations: the head of every description. */
export function headLines({ metadata }: KubeObject): string[] {
  const { name, namespace, labels, annotations } = metadata;
  return [
    `Name:\t${name}`,
    ...(namespace === undefined ? [] : [`Namespace:\t${namespace}`]),
    ...labelsField('Labels', labels),
    ...annotationsField(annotations),
  ];
}

export function controlledBy(object: KubeObject): string[] {
  const owner = controllerOf(object);
  return owner ? [`Controlled By:\t${owner.kind}/${owner.name}`] : [];
}

/** `Mon, 05 Jan 2026 10:00:00 +0000` */
export function timeText(timestamp: string | undefined): string {
  if (timestamp === undefined) return '<unknown>';
  const time = new Date(timestamp);
  return Number.isNaN(time.getTime()) ? timestamp : time.toUTCString().replace('GMT', '+0000');
}

/** A table inside a description: header, rule, rows. */
export function tableLines(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const rule = header.map((word) => '-'.repeat(word.length));
  return indented([header, rule, ...rows].map((row) => row.join('\t')));
}

/** Where a condition's message says more than its reason. */
export function conditionLines(
  conditions: readonly { type: string; status: string; reason?: string; message?: string }[] | undefined,
  withReason: boolean,
): string[] {
  if (!conditions || conditions.length === 0) return [];
  if (withReason) {
    const rows = conditions.map(({ type, status, reason = '' }) => [type, status, reason]);
    return ['Conditions:', ...tableLines(['Type', 'Status', 'Reason'], rows)];
  }
  const rows = conditions.map(({ type, status }) => `${type}\t${status}`);
  return ['Conditions:', ...indented(['Type\tStatus', ...rows])];
}
