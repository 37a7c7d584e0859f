/** Objects as text, in the form that -o asks for. Pure. */
import { stringify } from 'yaml';
import { GantryError } from '../../lib/errors.ts';
import { toManifest } from '../../lib/model/manifest.ts';
import type { Kind } from '../../lib/model/schema.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { qualifiedName, resourceKind } from '../resources.ts';
import { columnsOf, labelsText } from './columns.ts';
import { renderTable } from './table.ts';

const formats = ['wide', 'json', 'yaml', 'name'] as const;
export type OutputFormat = (typeof formats)[number] | undefined;

export function parseFormat(text: string | undefined): OutputFormat {
  if (text === undefined || (formats as readonly string[]).includes(text)) return text as OutputFormat;
  if (/^(jsonpath|go-template|custom-columns|template)/.test(text)) {
    throw new GantryError('invalidArgument', `not supported: -o ${text.split('=')[0]}; use -o json and a JSON tool`);
  }
  throw new GantryError('invalidArgument', `unknown output format "${text}"; use one of ${formats.join(', ')}`);
}

export interface TableOptions {
  readonly wide: boolean;
  readonly headers: boolean;
  readonly showNamespace: boolean;
  readonly showLabels: boolean;
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

/** One object asked for by name is itself; everything else is a List, as kubectl prints. */
export function structuredText(objects: readonly KubeObject[], format: 'json' | 'yaml', single: boolean): string {
  const manifests = objects.map(toManifest);
  const value = single && manifests.length === 1 ? manifests[0] : listOf(manifests);
  return format === 'json' ? `${JSON.stringify(value, null, 4)}\n` : stringify(value, { lineWidth: 0 });
}

function listOf(items: readonly object[]): object {
  return { apiVersion: 'v1', items, kind: 'List', metadata: { resourceVersion: '' } };
}

export function nameLines(objects: readonly KubeObject[]): string {
  return objects.map((object) => `${qualifiedName(object.kind, object.metadata.name)}\n`).join('');
}
