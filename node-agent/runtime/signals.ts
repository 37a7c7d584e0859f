/** Signals by the names images and pods use. Pure. */
import { constants } from 'node:os';
import { GantryError } from '../../lib/errors.ts';

const firstRealTime = 34;
const lastRealTime = 64;

/** The number of `SIGTERM`, `TERM`, `15` or `SIGRTMIN+3` (signal(7)). */
export function signalNumber(name: string): number {
  const upper = name.toUpperCase().replace(/^(?!SIG|[0-9])/, 'SIG');
  const known = (constants.signals as Readonly<Record<string, number>>)[upper];
  if (known !== undefined) return known;
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])([0-9]{1,2}))?$/.exec(upper);
  const offset = Number(realTime?.[3] ?? 0) * (realTime?.[2] === '-' ? -1 : 1);
  const number = realTime ? (realTime[1] === 'MIN' ? firstRealTime : lastRealTime) + offset : Number(upper);
  if (!Number.isInteger(number) || number < 1 || number > lastRealTime) {
    throw new GantryError(
      'invalidArgument',
      `unknown signal "${name}"; write for example SIGTERM, SIGQUIT or SIGRTMIN+3`,
    );
  }
  return number;
}
