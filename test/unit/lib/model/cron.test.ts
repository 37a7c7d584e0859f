import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lastRunMs, nextRunMs, scheduleProblem, timeZoneProblem } from '../../../../lib/model/cron.ts';

const ms = (text: string): number => Date.parse(text);
const text = (value: number | undefined): string | undefined =>
  value === undefined ? undefined : new Date(value).toISOString().slice(0, 16);

describe('a cron line', () => {
  it.each([
    ['0 0 30 2 *', 'never fires'],
    ['0 0 31 4,6,9,11 *', 'never fires'],
    ['* * * *', 'has 4 fields'],
    ['0 * * * * *', 'has 6 fields'],
    ['61 * * * *', 'cannot be read'],
    ['*/0 * * * *', 'cannot be read'],
    ['5-1 * * * *', 'cannot be read'],
    ['0 0 L * *', 'cannot be read at "L"'],
    ['0 0 * * 5#2', 'cannot be read at "5#2"'],
    ['0 0 * foo *', 'cannot be read at "foo"'],
    ['@every 1h', 'is not supported'],
    ['@reboot', 'is not known'],
    ['TZ=Asia/Seoul 0 0 * * *', 'use spec.timeZone'],
    ['', 'has 1 fields'],
  ])('%s is refused', (line, expected) => {
    expect(scheduleProblem(line)).toContain(expected);
  });

  it.each([
    '* * * * *',
    '*/15 8-18 * * MON-FRI',
    '0 0 29 2 *',
    '0 0 31 2 1',
    '@daily',
    '0 0 1,15 jan-mar ?',
    '5 4 * * 7',
  ])('%s is taken', (line) => {
    expect(scheduleProblem(line)).toBeUndefined();
  });

  it.each([
    ['*/15 * * * *', 'UTC', '2026-01-01T00:00:00Z', '2026-01-01T00:15'],
    ['0 0 29 2 *', 'UTC', '2026-01-01T00:00:00Z', '2028-02-29T00:00'],
    ['0 0 1 * 1', 'UTC', '2026-01-02T00:00:00Z', '2026-01-05T00:00'],
    ['0 9 * * *', 'Asia/Seoul', '2026-01-01T00:00:00Z', '2026-01-02T00:00'],
    ['0 9 * * *', 'Europe/Berlin', '2026-03-29T12:00:00Z', '2026-03-30T07:00'],
    ['0 9 * * *', 'Europe/Berlin', '2026-03-28T06:00:00Z', '2026-03-28T08:00'],
  ])('%s in %s after %s fires at %s', (line, zone, after, expected) => {
    expect(text(nextRunMs(line, zone, ms(after)))).toBe(expected);
  });

  it('fires once on the days when the clocks change', () => {
    for (const day of ['2026-03-29', '2026-10-25']) {
      const times: number[] = [];
      let at = ms(`${day}T00:00:00Z`) - 3 * 3_600_000;
      while (at < ms(`${day}T20:00:00Z`)) {
        at = nextRunMs('30 2 * * *', 'Europe/Berlin', at)!;
        if (at < ms(`${day}T20:00:00Z`)) times.push(at);
      }
      expect(times).toHaveLength(1);
    }
  });
});

describe('the last time that has passed', () => {
  it.each([
    ['0 * * * *', '2026-01-01T00:00:00Z', '2026-01-01T05:30:00Z', '2026-01-01T05:00'],
    ['0 * * * *', '2026-01-01T00:00:00Z', '2026-01-01T05:00:00Z', '2026-01-01T05:00'],
    ['0 * * * *', '2026-01-01T05:00:00Z', '2026-01-01T05:59:59Z', undefined],
    ['0 0 1 1 *', '2020-06-01T00:00:00Z', '2026-06-01T00:00:00Z', '2026-01-01T00:00'],
  ])('of %s in (%s, %s] is %s', (line, after, until, expected) => {
    expect(text(lastRunMs(line, 'UTC', ms(after), ms(until)))).toBe(expected);
  });

  it('is the one that counting forwards would find', () => {
    const lines = fc.constantFrom('*/7 * * * *', '0 */5 * * *', '* 3 * * *', '59 23 * * 1-5', '* * * * *');
    fc.assert(
      fc.property(lines, fc.nat(3 * 1440), fc.nat(2 * 1440), fc.nat(59), (line, start, minutes, seconds) => {
        const afterMs = ms('2026-01-01T00:00:00Z') + start * 60_000;
        const untilMs = afterMs + minutes * 60_000 + seconds * 1000;
        let counted: number | undefined;
        for (let next = nextRunMs(line, 'UTC', afterMs)!; next <= untilMs; next = nextRunMs(line, 'UTC', next)!) {
          counted = next;
        }
        expect(lastRunMs(line, 'UTC', afterMs, untilMs)).toBe(counted);
      }),
      { numRuns: 25 },
    );
  });
});

describe('a time zone', () => {
  it.each(['UTC', 'Etc/UTC', 'Asia/Seoul', 'America/Argentina/Buenos_Aires', 'Etc/GMT+3'])('%s is taken', (zone) => {
    expect(timeZoneProblem(zone)).toBeUndefined();
  });
  it.each(['', 'Mars/Olympus', 'Local', '../etc', '+02:00'])('%j is refused', (zone) => {
    expect(timeZoneProblem(zone)).toContain('is not a time zone');
  });
});
