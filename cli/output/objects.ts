/** Objects as tables and names, and what -o may ask for. Pure. */
import { GantryError } from '../../lib/errors.ts';
import type { Kind } from '../../lib/model/schema.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { qualifiedName, resourceKind } from '../resources.ts';
import { labelsText } from './column-parts.ts';
import { columnsOf } from './columns.ts';
import { renderTable } from './table.ts';

const formats = ['wide', 'json', 'yaml', 'name'] as const;
export type OutputFormat = (typeof formats)[number] | undefined;

export function parseFormat(text: string | undefined): OutputFormat {
  if (text === undefined || (formats as readonly string[]).includes(text)) return text as OutputFormat;
  if (/^(jsonpath|custom-columns)/.test(text)) {
    const [name] = text.split(/=|-file/);
    throw new GantryError('invalidArgument', `not supported here: -o ${text}; use ctl get with -o ${name}=...`);
  }
  if (/^(go-template|template|kyaml)/.test(text)) {
    throw new GantryError('invalidArgument', `not supported: -o ${text.split('=')[0]}; use -o jsonpath=... or -o json`);
  }
  const known = [...formats, 'with ctl get also jsonpath=TEMPLATE and custom-columns=HEADER:PATH'].join(', ');
  throw new GantryError('invalidArgument', `unknown output format "${text}"; use one of ${known}`);
}

export interface TableOptions {
  readonly wide: boolean;
  readonly headers: boolean;
  readonly showNamespace: boolean;
  readonly showLabels: boolean;
  /** Labels with columns of their own. */
  readonly labelColumns?: readonly string[];
  /** Names as TYPE/NAME, when several kinds are shown. */
  readonly showKind: boolean;
  readonly nowMs: number;
  /** Default: a table of its own. */
  readonly render?: typeof renderTable;
}

/** Objects of one kind. */
export function objectTable(kind: Kind, objects: readonly KubeObject[], options: TableOptions): string {
  const columns = columnsOf(kind, options.nowMs).filter(({ wide }) => options.wide || !wide);
  const namespaced = options.showNamespace && !resourceKind(kind).clusterScoped;
  const header = [...columns.map((column) => column.header)];
  const rows = objects.map((object) =>
    columns.map((column) => {
      const text = column.cell(object);
      return options.showKind && column.header === 'NAME' ? qualifiedName(kind, text) : text;
    }),
  );
  for (const label of options.labelColumns ?? []) {
    header.push(label.slice(label.lastIndexOf('/') + 1).toUpperCase());
    objects.forEach((object, i) => void rows[i]!.push(object.metadata.labels?.[label] ?? ''));
  }
  if (options.showLabels) {
    header.push('LABELS');
    objects.forEach((object, i) => void rows[i]!.push(labelsText(object.metadata.labels)));
  }
  if (namespaced) {
    header.unshift('NAMESPACE');
    objects.forEach((object, i) => void rows[i]!.unshift(object.metadata.namespace ?? ''));
  }
  const { render = renderTable } = options;
  return render(options.headers ? header : undefined, rows);
}

export function nameLines(objects: readonly KubeObject[]): string {
  return objects.map((object) => `${qualifiedName(object.kind, object.metadata.name)}\n`).join('');
}
