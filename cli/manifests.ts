/**
 * Manifest files to objects: YAML or JSON, several documents, Lists. Every problem of every document is found before
 * anything is sent, each with its file, line and path.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Document, isDocument, LineCounter, parseAllDocuments } from 'yaml';
import { GantryError, messageOf } from '../lib/errors.ts';
import { fromManifest, type ManifestResult, problemLine } from '../lib/model/manifest.ts';
import { manifestYaml } from '../lib/model/yaml.ts';
import type { KubeObject } from '../proto/gen/types.ts';

export interface SourceText {
  /** File name, or "standard input". */
  readonly name: string;
  readonly text: string;
}

const extensions = /\.(ya?ml|json)$/;

/** FILE, DIR or -. */
export async function readSources(
  paths: readonly string[],
  recursive: boolean,
  readInput: () => Promise<string>,
): Promise<SourceText[]> {
  const sources: SourceText[] = [];
  for (const path of paths) {
    if (path === '-') sources.push({ name: 'standard input', text: await readInput() });
    else if (/^https?:/.test(path)) {
      throw new GantryError(
        'invalidArgument',
        `not supported: -f ${path}; fetch it first: curl -sSL ${path} | ctl apply -f -`,
      );
    } else sources.push(...readPath(path, recursive));
  }
  return sources;
}

function readPath(path: string, recursive: boolean): SourceText[] {
  try {
    if (!statSync(path).isDirectory()) return [{ name: path, text: readFileSync(path, 'utf8') }];
    const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    const found = entries.flatMap((entry) => {
      if (entry.isDirectory()) return recursive ? readPath(join(path, entry.name), true) : [];
      return extensions.test(entry.name) ? readPath(join(path, entry.name), recursive) : [];
    });
    if (found.length > 0 || recursive) return found;
  } catch (error) {
    throw new GantryError('notFound', `cannot read ${path}: ${messageOf(error)}`);
  }
  throw new GantryError(
    'invalidArgument',
    `the folder ${path} holds no .yaml, .yml or .json file (-R looks in folders below)`,
  );
}

type Read = (value: unknown) => ManifestResult;

/** Throws one GantryError with a detail per problem; `read` is checkManifest for what is about to be applied. */
export function parseSources(sources: readonly SourceText[], read: Read = fromManifest): KubeObject[] {
  const objects: KubeObject[] = [];
  const problems: string[] = [];
  for (const source of sources) parseSource(source, read, objects, problems);
  if (problems.length === 1) throw new GantryError('invalidArgument', problems[0]!);
  if (problems.length > 1) {
    throw new GantryError('invalidArgument', `${problems.length} problems; nothing was sent`, { details: problems });
  }
  if (objects.length === 0) {
    const names = sources.map(({ name }) => name).join(', ');
    throw new GantryError('invalidArgument', `no objects in ${names}`);
  }
  return objects.sort((a, b) => rank(a) - rank(b));
}

/** What others are in or refer to goes first. The sort keeps the order within a rank. */
function rank({ kind }: KubeObject): number {
  if (kind === 'Namespace') return 0;
  return early.has(kind) ? 1 : 2;
}

/** A quota first: what comes with it must fit into it. */
const early: ReadonlySet<string> = new Set(['ResourceQuota', 'LimitRange', 'ConfigMap', 'Secret', 'PriorityClass']);

/** What the parser says of a line that begins in the wrong column. */
const indentationErrors: ReadonlySet<string> = new Set([
  'BAD_INDENT',
  'BLOCK_AS_IMPLICIT_KEY',
  'BLOCK_IN_FLOW',
  'MULTILINE_IMPLICIT_KEY',
]);

function parseSource({ name, text }: SourceText, read: Read, objects: KubeObject[], problems: string[]): void {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter, ...manifestYaml });
  if (!Array.isArray(documents)) return; // an empty text
  for (const document of documents) {
    const [error] = document.errors; // the others mostly follow from the first
    if (error) {
      const hint = indentationErrors.has(error.code) ? '; check the indentation there and on the line after it' : '';
      problems.push(`${name}: ${error.message.split('\n')[0]!.replace(/:$/, '')}${hint}`);
      continue;
    }
    let value: unknown;
    try {
      value = document.toJS();
    } catch (error) {
      problems.push(`${name}: ${messageOf(error)}`); // too many aliases
      continue;
    }
    if (value === null || value === undefined) continue;
    for (const { item, path } of itemsOf(value)) {
      const result = read(item);
      if (result.object) objects.push(result.object);
      for (const problem of result.problems) {
        const line = lineOf(document, lineCounter, [...path, ...pathParts(problem.path)]);
        problems.push(`${name}:${line}: ${described(item)}${problemLine(problem)}`);
      }
    }
  }
}

/** The document itself, or the items of a List. */
function itemsOf(value: unknown): { item: unknown; path: (string | number)[] }[] {
  const list = value as { kind?: unknown; items?: unknown };
  if (
    typeof value === 'object' &&
    typeof list.kind === 'string' &&
    list.kind.endsWith('List') &&
    Array.isArray(list.items)
  ) {
    return list.items.map((item, index) => ({ item, path: ['items', index] }));
  }
  return [{ item: value, path: [] }];
}

function described(item: unknown): string {
  const { kind, metadata } = (item ?? {}) as { kind?: unknown; metadata?: { name?: unknown } };
  return typeof kind === 'string' && typeof metadata?.name === 'string' ? `${kind} ${metadata.name}: ` : '';
}

/** `spec.containers[0].image` and `metadata.labels["a.b/c"]` as keys to walk. */
export function pathParts(path: string): (string | number)[] {
  const parts = path.matchAll(/\[(\d+)\]|\[["']([^"']*)["']\]|([^.[\]]+)/g);
  return [...parts].map(([, index, quoted, name]) => (index !== undefined ? Number(index) : (quoted ?? name)!));
}

/** The line of the deepest part of the path that the document has. */
function lineOf(document: Document | unknown, lineCounter: LineCounter, path: readonly (string | number)[]): number {
  if (!isDocument(document)) return 1;
  for (let depth = path.length; depth >= 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true) as { range?: [number, number, number] } | undefined;
    const offset = keyOffset(document, path.slice(0, depth)) ?? node?.range?.[0];
    if (offset !== undefined) return lineCounter.linePos(offset).line;
  }
  return 1;
}

/** A map's key stands on the line people look for; its value may start on the next. */
function keyOffset(document: Document, path: readonly (string | number)[]): number | undefined {
  if (path.length === 0) return undefined;
  const parent = document.getIn(path.slice(0, -1), true) as {
    items?: { key?: { value?: unknown; range?: number[] } }[];
  };
  return parent?.items?.find((pair) => pair?.key?.value === path.at(-1))?.key?.range?.[0];
}
