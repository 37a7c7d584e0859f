/** Objects and values as JSON or YAML, as -o asks. A module of its own, because the YAML library takes time to load. Pure. */
import { stringify } from 'yaml';
import { GantryError } from '../../lib/errors.ts';
import { toManifest } from '../../lib/model/manifest.ts';
import type { KubeObject } from '../../proto/gen/types.ts';

export function asText(value: unknown, format: string): string {
  if (format === 'json') return `${JSON.stringify(value, null, 4)}\n`;
  // Quoted so that readers of YAML 1.1 too take "yes", times and the like as text, as kubectl's output is.
  if (format === 'yaml') return stringify(value, { lineWidth: 0, version: '1.1' });
  throw new GantryError('invalidArgument', `unknown output format "${format}"; use json or yaml`);
}

/** One object asked for by name is itself; everything else is a List, as kubectl prints. */
export function structuredText(objects: readonly KubeObject[], format: 'json' | 'yaml', single: boolean): string {
  const manifests = objects.map(toManifest);
  return asText(single && manifests.length === 1 ? manifests[0] : listOf(manifests), format);
}

function listOf(items: readonly object[]): object {
  return { apiVersion: 'v1', items, kind: 'List', metadata: { resourceVersion: '' } };
}
