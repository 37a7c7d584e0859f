/** The objects that a command is about: named, selected by label, or those of manifests. */
import { GantryError } from '../lib/errors.ts';
import { type Kind, type KindInfo, kindInfo } from '../lib/model/schema.ts';
import type { KubeObject } from '../proto/gen/types.ts';
import type { Context } from './context.ts';
import { errorLines } from './errors.ts';
import { parseSources, readSources } from './manifests.ts';
import { getObject, listObjects } from './objects.ts';
import { parseTargets } from './resources.ts';

export interface SelectOptions {
  readonly filename?: string[];
  readonly recursive?: boolean;
  readonly selector?: string;
  readonly fieldSelector?: string;
  readonly all?: boolean;
  readonly allNamespaces?: boolean;
}

export interface Reference {
  readonly kind: Kind;
  /** Empty for kinds without. */
  readonly namespace: string;
  readonly name: string;
  /** When it had to be read to be found. */
  readonly object?: KubeObject;
}

export async function selectReferences(
  context: Context,
  words: readonly string[],
  options: SelectOptions,
): Promise<Reference[]> {
  if (options.filename && options.filename.length > 0) {
    if (words.length > 0 || options.all || options.selector) {
      throw new GantryError('invalidArgument', 'when manifests are given with -f, leave out names, -l and --all');
    }
    const sources = await readSources(options.filename, options.recursive === true, context.readInput);
    return parseSources(sources).map((object) => manifestReference(context, object));
  }
  if (words.length === 0) {
    throw new GantryError('invalidArgument', 'You must provide one or more resources by argument or filename');
  }
  const targets = parseTargets(words);
  const selected = options.all || options.selector !== undefined || options.fieldSelector !== undefined;
  const references: Reference[] = [];
  for (const { info, name } of targets) {
    if (name === undefined) {
      if (!selected) throw new GantryError('invalidArgument', 'resource(s) were provided, but no name was specified');
      const objects = await listObjects(context, info.kind, options);
      references.push(...objects.map(referenceOf));
    } else {
      if (selected) {
        throw new GantryError('invalidArgument', 'name cannot be provided when a selector or --all is specified');
      }
      references.push({ kind: info.kind, namespace: namespaceFor(context, info), name });
    }
  }
  return references;
}

export function referenceOf(object: KubeObject): Reference {
  const { name, namespace = '' } = object.metadata;
  return { kind: object.kind, namespace, name, object };
}

function manifestReference(context: Context, { kind, metadata }: KubeObject): Reference {
  const info = kindInfo(kind);
  const namespace = info.clusterScoped ? '' : (metadata.namespace ?? context.namespace);
  return { kind, namespace, name: metadata.name };
}

function namespaceFor(context: Context, info: KindInfo): string {
  return info.clusterScoped ? '' : context.namespace;
}

export async function objectOf(context: Context, { kind, namespace, name, object }: Reference): Promise<KubeObject> {
  return object ?? (await getObject(context, kind, name, namespace));
}

/** One that is refused does not hold up the others; the exit status tells. An unreachable server ends it. */
export async function forEach<T>(
  context: Context,
  items: readonly T[],
  action: (item: T) => Promise<void>,
): Promise<void> {
  for (const item of items) {
    try {
      await action(item);
    } catch (error) {
      if (context.signal.aborted || (error instanceof GantryError && error.code === 'unavailable')) throw error;
      for (const line of errorLines(error)) context.warn(line);
      context.setExitCode(1);
    }
  }
}
