/** Values as JSON or YAML, as -o asks. Pure. */
import { stringify } from 'yaml';
import { GantryError } from '../../lib/errors.ts';

export function asText(value: unknown, format: string): string {
  if (format === 'json') return `${JSON.stringify(value, null, 4)}\n`;
  if (format === 'yaml') return stringify(value, { lineWidth: 0 });
  throw new GantryError('invalidArgument', `unknown output format "${format}"; use json or yaml`);
}
