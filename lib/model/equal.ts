/** Comparing plain objects: a field that is undefined is the same as an absent one. */
import { at, atKey } from './problems.ts';

type Plain = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null;
}

export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && a.length !== (b as unknown as unknown[]).length) return false;
  return namesOf(a, b).every((name) => sameValue(a[name], b[name]));
}

/** Paths at which the two differ, as deep as both have something there. */
export function changedPaths(a: unknown, b: unknown, path: string): string[] {
  if (sameValue(a, b)) return [];
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return [path];
  if (Array.isArray(a) && a.length !== (b as unknown as unknown[]).length) return [path];
  const part = (name: string): string =>
    Array.isArray(a) ? at(path, Number(name)) : /^\w+$/.test(name) ? at(path, name) : atKey(path, name);
  return namesOf(a, b).flatMap((name) => changedPaths(a[name], b[name], part(name)));
}

function namesOf(a: Plain, b: Plain): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])];
}
