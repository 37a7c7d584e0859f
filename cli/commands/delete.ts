/** `ctl delete`: asks for deletion, then waits until the objects are gone. */
import type { Command } from 'commander';
import { GantryError, isGantryError } from '../../lib/errors.ts';
import { fromEnvelope } from '../../lib/model/codec.ts';
import { type Kind, kindInfo } from '../../lib/model/schema.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { deletionReason } from '../deletion.ts';
import { dryRunMode, dryRunSuffix } from '../dry-run.ts';
import { parseDurationMs } from '../duration.ts';
import { parseFormat } from '../output/objects.ts';
import { groupedKind, qualifiedName } from '../resources.ts';
import { forEach, objectOf, type Reference, type SelectOptions, selectReferences } from '../selection.ts';
import { type Deadline, deadlineIn, watchObjects } from '../watching.ts';

/** Of those that are still there when the time is up. */
const mostExplained = 3;

export interface DeleteOptions extends SelectOptions {
  readonly gracePeriod?: string;
  readonly force?: boolean;
  readonly now?: boolean;
  readonly wait?: boolean;
  readonly timeout?: string;
  readonly cascade?: string | boolean;
  readonly ignoreNotFound?: boolean;
  readonly output?: string;
  readonly dryRun?: string;
}

export function registerDelete(program: Command, open: OpenContext): void {
  program
    .command('delete [resource] [names...]')
    .option('-f, --filename <file...>', 'manifest file, folder, or - for standard input')
    .option('-R, --recursive', 'folders below as well')
    .option('-l, --selector <labels>', 'those with these labels')
    .option('--field-selector <fields>', 'those with these fields')
    .option('--all', 'all of the kind in the namespace')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('--grace-period <seconds>', 'what a pod gets to end by itself; 0 needs --force')
    .option('--now', 'a grace period of one second')
    .option('--force', 'remove the object at once, whatever its node still runs')
    .option('--wait', 'return when the objects are gone (default)')
    .option('--no-wait', 'return at once')
    .option('--timeout <duration>', 'how long to wait; 0 is for ever', '0s')
    .option(
      '--cascade [mode]',
      'what the object owns: background (goes too), foreground (goes first) or orphan (stays)',
      'background',
    )
    .option('--ignore-not-found', 'absence is no error')
    .option('--dry-run <mode>', 'client or server: all but the deletion')
    .option('-o, --output <format>', 'name')
    .action(async (resource: string | undefined, names: string[], _options, command: Command) => {
      const options = optionsOf<DeleteOptions>(command);
      const words = resource === undefined ? [] : [resource, ...names];
      await deleteResources(await open(options), words, options);
    });
}

export async function deleteResources(
  context: Context,
  words: readonly string[],
  options: DeleteOptions,
): Promise<void> {
  if (options.all && options.selector !== undefined) {
    throw new GantryError('invalidArgument', 'cannot set --all and --selector at the same time');
  }
  const mode = dryRunMode(options.dryRun);
  const gracePeriodSeconds = graceOf(options);
  const request = {
    ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
    propagationPolicy: propagationOf(options.cascade),
    dryRun: mode === 'server',
  };
  const asName = parseFormat(options.output) === 'name';
  const references = await selectReferences(context, words, options);
  if (references.length === 0) return context.warn('No resources found');
  if (options.force) {
    context.warn(
      'Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. ' +
        'The resource may continue to run on the cluster indefinitely.',
    );
  }
  const verb = `${options.force ? 'force ' : ''}deleted${dryRunSuffix(mode)}`;
  const deleted: KubeObject[] = [];
  await forEach(context, references, async (reference) => {
    const ignoreNotFound = options.ignoreNotFound === true || isSweep(options);
    const object = await deleteOne(context, reference, mode === 'client' ? undefined : request, ignoreNotFound);
    if (!object) return;
    deleted.push(object);
    const { kind, name } = reference;
    context.write(asName ? `${qualifiedName(kind, name)}\n` : `${groupedKind(kind)} "${name}" ${verb}\n`);
  });
  if (options.wait !== false && !mode) await waitUntilGone(context, deleted, options.timeout);
}

/** What was listed a moment ago may go by itself before its turn comes. */
function isSweep({ all, selector, fieldSelector }: DeleteOptions): boolean {
  return all === true || selector !== undefined || fieldSelector !== undefined;
}

async function deleteOne(
  context: Context,
  reference: Reference,
  request: object | undefined,
  ignoreNotFound: boolean,
): Promise<KubeObject | undefined> {
  const { kind, namespace, name } = reference;
  try {
    if (!request) return await objectOf(context, reference);
    const response = await context.cluster.Delete({ kind, namespace, name, ...request });
    return fromEnvelope(response.object);
  } catch (error) {
    if (ignoreNotFound && isGantryError(error, 'notFound')) return undefined;
    throw error;
  }
}

function graceOf({ gracePeriod, force, now }: DeleteOptions): number | undefined {
  if (now) {
    if (gracePeriod !== undefined) {
      throw new GantryError('invalidArgument', '--now and --grace-period cannot be specified together');
    }
    return 1;
  }
  if (gracePeriod === undefined) return force ? 0 : undefined;
  const seconds = Number(gracePeriod);
  if (!Number.isInteger(seconds) || seconds < -1) {
    throw new GantryError('invalidArgument', `--grace-period=${gracePeriod}: give whole seconds`);
  }
  if (seconds > 0 && force) {
    throw new GantryError('invalidArgument', '--force and --grace-period greater than 0 cannot be specified together');
  }
  if (seconds === -1) return force ? 0 : undefined;
  // As kubectl: only --force gives up the agent's word that the containers have ended.
  return seconds === 0 && !force ? 1 : seconds;
}

function propagationOf(cascade: string | boolean | undefined): 'Background' | 'Foreground' | 'Orphan' {
  if (cascade === undefined || cascade === true || cascade === 'true' || cascade === 'background') return 'Background';
  if (cascade === 'orphan' || cascade === 'false') return 'Orphan';
  if (cascade === 'foreground') return 'Foreground';
  throw new GantryError('invalidArgument', `--cascade=${cascade}: use background, foreground or orphan`);
}

/** Of each kind and namespace one watch. An object of the same name with another uid is another object. */
async function waitUntilGone(context: Context, deleted: readonly KubeObject[], timeout = '0s'): Promise<void> {
  const timeoutMs = parseDurationMs(timeout);
  const deadline = deadlineIn(context, timeoutMs > 0 ? timeoutMs : undefined);
  const groups = Map.groupBy(deleted, ({ kind, metadata }) => `${kind}/${metadata.namespace ?? ''}`);
  try {
    for (const objects of groups.values()) await groupGone(context, objects, deadline);
  } finally {
    deadline.cancel();
  }
}

async function groupGone(context: Context, objects: readonly KubeObject[], deadline: Deadline): Promise<void> {
  const [{ kind, metadata }] = objects as [KubeObject];
  const left = new Map(objects.map((object) => [object.metadata.uid, object]));
  const present = new Set<string | undefined>();
  const namespace = metadata.namespace;
  const fieldSelector = objects.length === 1 ? `metadata.name=${metadata.name}` : '';
  const selection = { fieldSelector, ...(namespace !== undefined && { namespace }) };
  for await (const change of watchObjects(context, kind, selection, deadline.signal)) {
    if (change.type === 'BOOKMARK') {
      for (const uid of left.keys()) if (!present.has(uid)) left.delete(uid);
    } else if (change.type === 'DELETED') left.delete(change.object.metadata.uid);
    else present.add(change.object.metadata.uid);
    if (left.size === 0) return;
  }
  if (deadline.isOver()) throw await timedOut(context, kind, [...left.values()]);
  deadline.signal.throwIfAborted();
}

/** With what the first ones wait for, as far as that can be told. */
async function timedOut(context: Context, kind: Kind, left: readonly KubeObject[]): Promise<GantryError> {
  const names = left.map(({ metadata }) => `${kindInfo(kind).plural}/${metadata.name}`).join(', ');
  const reasons = await Promise.all(
    left.slice(0, mostExplained).map(async ({ metadata: { name, namespace } }) => {
      const why = await deletionReason(context, kind, name, namespace).catch(() => undefined);
      return why === undefined ? [] : [`${kindInfo(kind).plural}/${name} ${why}`];
    }),
  );
  const goesOn = `Deletion was asked for and goes on; to wait for its end: ${waitCommand(context, kind, left)}`;
  const text = [`timed out waiting for the condition on ${names}`, ...reasons.flat(), goesOn].join('\n');
  return new GantryError('deadlineExceeded', text);
}

function waitCommand(context: Context, kind: Kind, left: readonly KubeObject[]): string {
  const [{ metadata }] = left as [KubeObject];
  const isElsewhere = metadata.namespace !== undefined && metadata.namespace !== context.namespace;
  const names = left.slice(0, mostExplained).map((object) => `${kindInfo(kind).plural}/${object.metadata.name}`);
  return `ctl wait --for=delete ${isElsewhere ? `-n ${metadata.namespace} ` : ''}${names.join(' ')}`;
}
