/** Durations on the command line, in Go's form. Pure. */
import { GantryError } from '../lib/errors.ts';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `30m`, `24h`, `1h30m`, `7d`, `1.5s`, `500ms`, or bare seconds; with a minus for what kubectl calls "for ever". */
export function parseDurationMs(text: string): number {
  const [, sign, rest] = /^(-?)(.*)$/.exec(text)!;
  const factor = sign === '-' ? -1 : 1;
  if (/^\d+$/.test(rest!)) return factor * Number(rest) * 1000;
  const parts = [...rest!.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== rest) {
    throw new GantryError('invalidArgument', `"${text}" is not a duration; examples: 90s, 30m, 24h, 1h30m`);
  }
  return factor * parts.reduce((sum, [, count, unit]) => sum + Number(count) * unitMs[unit!]!, 0);
}

/** Whole seconds, rounded up: what the API takes. */
export function parseDurationSeconds(text: string): number {
  return Math.ceil(parseDurationMs(text) / 1000);
}
