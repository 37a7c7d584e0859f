/** Values of flags that several commands make objects of. Pure but for the files that --from-file names. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { GantryError, messageOf } from '../lib/errors.ts';
import type { EnvVar } from '../proto/gen/types.ts';

/** `a=1,b=2`. */
export function parseLabels(text: string): Record<string, string> {
  const pairs = text.split(',').filter(Boolean);
  return Object.fromEntries(pairs.map((pair) => keyAndValue(pair, 'label')));
}

function keyAndValue(pair: string, what: string): [string, string] {
  const at = pair.indexOf('=');
  if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
  throw new GantryError('invalidArgument', `${what} "${pair}": write KEY=VALUE`);
}

/** Each `NAME=VALUE`. */
export function parseEnv(pairs: readonly string[]): EnvVar[] {
  return pairs.map((pair) => {
    const [name, value] = keyAndValue(pair, 'environment variable');
    return { name, value };
  });
}

export function parsePort(text: string, flag: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new GantryError('invalidArgument', `${flag}=${text}: give a port from 1 to 65535`);
}

export interface DataOptions {
  readonly fromLiteral?: string[];
  readonly fromFile?: string[];
  readonly fromEnvFile?: string[];
}

/** Keys and contents of --from-literal, --from-file (a file, KEY=FILE or a folder) and --from-env-file. */
export function readData({ fromLiteral = [], fromFile = [], fromEnvFile = [] }: DataOptions): Map<string, Buffer> {
  const data = new Map<string, Buffer>();
  const add = (key: string, value: Buffer): void => {
    if (data.has(key))
      throw new GantryError('alreadyExists', `cannot add key "${key}", another key by that name exists`);
    data.set(key, value);
  };
  for (const pair of fromLiteral) {
    const [key, value] = keyAndValue(pair, 'literal');
    add(key, Buffer.from(value));
  }
  for (const source of fromFile) for (const [key, path] of filesOf(source)) add(key, read(path));
  for (const path of fromEnvFile) {
    const lines = read(path).toString('utf8').split(/\r?\n/);
    for (const line of lines.filter((text) => text.trim() !== '' && !text.startsWith('#'))) {
      const [key, value] = keyAndValue(line, `${path}: line`);
      add(key.trim(), Buffer.from(value));
    }
  }
  return data;
}

function filesOf(source: string): [string, string][] {
  const at = source.indexOf('=');
  if (at > 0) return [[source.slice(0, at), source.slice(at + 1)]];
  if (!isFolder(source)) return [[basename(source), source]];
  return readdirSync(source, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }): [string, string] => [name, join(source, name)])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new GantryError('notFound', `cannot read ${path}: ${messageOf(error)}`);
  }
}
