/** Cron lines: when they fire, in which time zone, and whether they fire at all. Pure; croner reads the lines. */
import { Cron } from 'croner';

const minuteMs = 60_000;
/** Any instant will do to ask whether a line ever fires. */
const someInstant = new Date('2024-01-01T00:00:00Z');
const macros: readonly string[] = ['@hourly', '@daily', '@midnight', '@weekly', '@monthly', '@yearly', '@annually'];
/** What Kubernetes reads; croner would take more. */
const fieldPattern = /^[\dA-Za-z*/,?-]+$/;
const namePattern = /^(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)$/i;

/** Undefined when the line can be used. */
export function scheduleProblem(schedule: string): string | undefined {
  const text = JSON.stringify(schedule);
  const example = 'write five fields, such as "*/15 * * * *" (minute, hour, day of month, month, day of week)';
  if (/^\s*(CRON_)?TZ=/.test(schedule)) return `${text} names a time zone; use spec.timeZone for it`;
  if (schedule.startsWith('@every')) return `${text} is not supported; ${example}`;
  if (schedule.startsWith('@')) {
    return macros.includes(schedule) ? undefined : `${text} is not known; use one of ${macros.join(', ')}`;
  }
  const fields = schedule.trim().split(/\s+/);
  if (fields.length !== 5) return `${text} has ${fields.length} fields; ${example}`;
  const odd = fields.find((field) => !fieldPattern.test(field) || !hasOnlyKnownNames(field));
  if (odd !== undefined) return `${text} cannot be read at ${JSON.stringify(odd)}; ${example}`;
  try {
    if (runAfter(schedule, 'UTC', someInstant)) return undefined;
  } catch (error) {
    return `${text} cannot be read (${(error as Error).message.replace(/^CronPattern: /, '')}); ${example}`;
  }
  return `${text} never fires: there is no such day; correct the day of month or the month`;
}

function hasOnlyKnownNames(field: string): boolean {
  return (field.match(/[A-Za-z]+/g) ?? []).every((name) => namePattern.test(name));
}

export function timeZoneProblem(timeZone: string): string | undefined {
  const cure = 'use a name of the IANA database, such as Europe/Berlin or Asia/Seoul, or Etc/UTC';
  const problem = `${JSON.stringify(timeZone)} is not a time zone; ${cure}`;
  if (!/^[A-Za-z][\w+-]*(\/[\w+-]+)*$/.test(timeZone) || timeZone === 'Local') return problem;
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return undefined;
  } catch {
    return problem;
  }
}

/** The first time after `afterMs`. Undefined when there is none. */
export function nextRunMs(schedule: string, timeZone: string, afterMs: number): number | undefined {
  return runAfter(schedule, timeZone, new Date(afterMs))?.getTime();
}

/** The last time in (afterMs, untilMs], found by halving: there may be a year of minutes between them. */
export function lastRunMs(schedule: string, timeZone: string, afterMs: number, untilMs: number): number | undefined {
  const cron = cronOf(schedule, timeZone);
  const first = (fromMs: number): number | undefined => {
    const ms = cron.nextRun(new Date(fromMs))?.getTime();
    return ms !== undefined && ms <= untilMs ? ms : undefined;
  };
  let found = first(afterMs);
  if (found === undefined) return undefined;
  let beyondMs = untilMs;
  while (beyondMs - found > minuteMs) {
    const middleMs: number = found + Math.floor((beyondMs - found) / 2);
    const later = first(middleMs);
    if (later === undefined) beyondMs = middleMs;
    else found = later;
  }
  return first(found) ?? found;
}

function runAfter(schedule: string, timeZone: string, after: Date): Date | undefined {
  return cronOf(schedule, timeZone).nextRun(after) ?? undefined;
}

/** `paused`: nothing is scheduled, it is only asked. Days of month and of week are alternatives, as in every cron. */
function cronOf(schedule: string, timeZone: string): Cron {
  return new Cron(schedule, { paused: true, timezone: timeZone, mode: '5-part', domAndDow: false });
}
