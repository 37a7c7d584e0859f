/** Small checks that every kind's validation is made of. */
import type { LabelSelector } from '../../../proto/gen/types.ts';
import { labelValueProblem, qualifiedNameProblem } from '../formats.ts';
import { at, atKey, type Problem } from '../problems.ts';
import { holdsUnknown } from '../unknown.ts';

export type Report = (path: string, message: string | undefined) => void;

/** A collector: undefined messages are no problems. */
export function collect(problems: Problem[]): Report {
  return (path, message) => {
    if (message !== undefined) problems.push({ path, message });
  };
}

export function checkLabels(labels: Readonly<Record<string, string>> | undefined, path: string, report: Report): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    report(atKey(path, key), qualifiedNameProblem(key));
    if (typeof value === 'string') report(atKey(path, key), labelValueProblem(value));
  }
}

export function checkSelector(selector: LabelSelector | undefined, path: string, report: Report): void {
  checkLabels(selector?.matchLabels, at(path, 'matchLabels'), report);
  for (const [index, { key, operator, values = [] }] of (selector?.matchExpressions ?? []).entries()) {
    const here = at(at(path, 'matchExpressions'), index);
    if (key) report(at(here, 'key'), qualifiedNameProblem(key));
    const wantsValues = operator === 'In' || operator === 'NotIn';
    if (wantsValues && values.length === 0) report(at(here, 'values'), `required with operator ${operator}`);
    if (operator && !wantsValues && values.length > 0) {
      report(at(here, 'values'), `operator ${operator} takes no values; remove them`);
    }
  }
}

/** Reports every later element whose key was there before. `undefined` keys are not compared. */
export function checkUnique<T>(
  items: readonly T[] | undefined,
  path: string,
  keyOf: (item: T) => string | undefined,
  what: string,
  report: Report,
): void {
  const seen = new Set<string>();
  for (const [index, item] of (items ?? []).entries()) {
    const key = keyOf(item);
    if (key === undefined) continue;
    if (seen.has(key)) report(at(path, index), `${what} ${JSON.stringify(key)} is there twice; each must be unique`);
    seen.add(key);
  }
}

export function checkRange(
  value: number | undefined,
  lowest: number,
  highest: number,
  path: string,
  report: Report,
): void {
  if (value === undefined || (value >= lowest && value <= highest)) return;
  const rule = highest === Number.MAX_SAFE_INTEGER ? `at least ${lowest}` : `from ${lowest} to ${highest}`;
  report(path, `${value} is not allowed; it must be ${rule}`);
}

export function checkAtLeast(value: number | undefined, lowest: number, path: string, report: Report): void {
  checkRange(value, lowest, Number.MAX_SAFE_INTEGER, path, report);
}

export function checkPort(value: number | undefined, path: string, report: Report): void {
  checkRange(value, 1, 65_535, path, report);
}

const portNamePattern = /^(?=.{1,15}$)(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** RFC 6335 service names, as Kubernetes wants them of container ports. */
export function portNameProblem(name: string): string | undefined {
  if (portNamePattern.test(name)) return undefined;
  return `${JSON.stringify(name)} is not a port name; use at most 15 lower case letters, digits and "-", with a letter in it`;
}

/** A number or the name of a port. */
export function checkPortOrName(value: string | undefined, path: string, report: Report): void {
  if (value === undefined) return;
  if (/^-?\d+$/.test(value)) checkPort(Number(value), path, report);
  else report(path, portNameProblem(value));
}

/** Exactly one of the members may be set; or one that only a newer version has. */
export function checkExactlyOne(value: object, members: readonly string[], path: string, report: Report): void {
  const set = members.filter((member) => (value as Record<string, unknown>)[member] !== undefined);
  if (set.length === 0 && !holdsUnknown(value)) report(path, `needs one of ${members.join(', ')}`);
  if (set.length > 1) report(path, `has ${set.join(' and ')}; keep exactly one of them`);
}

export function checkAbsolutePath(path: string | undefined, where: string, report: Report): void {
  if (path !== undefined && !path.startsWith('/')) report(where, `${JSON.stringify(path)} must begin with "/"`);
}

/** A path inside something: relative, and never out of it. */
export function checkInnerPath(path: string | undefined, where: string, report: Report): void {
  if (path === undefined) return;
  if (path.startsWith('/')) report(where, `${JSON.stringify(path)} must be relative; remove the "/" at its beginning`);
  else if (path.split('/').includes('..')) report(where, `${JSON.stringify(path)} must not contain ".."`);
}
