/** `ctl apply` and `ctl create -f`: manifests in, one line an object out. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { checkManifest } from '../../lib/model/check.ts';
import { fromEnvelope, toEnvelope } from '../../lib/model/codec.ts';
import { kindInfo } from '../../lib/model/schema.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { dryRunMode, dryRunSuffix, printWarnings } from '../dry-run.ts';
import { parseSources, readSources } from '../manifests.ts';
import { nameLines, parseFormat } from '../output/objects.ts';
import { structuredText } from '../output/structured.ts';
import { qualifiedName } from '../resources.ts';
import { forEach } from '../selection.ts';

export interface ApplyOptions {
  readonly filename?: string[];
  readonly recursive?: boolean;
  readonly dryRun?: string;
  readonly output?: string;
  readonly fieldManager?: string;
  readonly forceConflicts?: boolean;
}

export function addFileOptions(command: Command): Command {
  return command
    .option('-f, --filename <file...>', 'manifest file, folder, or - for standard input')
    .option('-R, --recursive', 'folders below as well')
    .option('--dry-run <mode>', 'client (check only here) or server (all but the write)')
    .option('-o, --output <format>', 'json, yaml or name');
}

export function registerApply(program: Command, open: OpenContext): void {
  addFileOptions(program.command('apply'))
    .option('--field-manager <name>', 'who applies; removals touch only what the same one applied before', 'ctl')
    .option('--server-side', 'always so: the API merges')
    .option('--force-conflicts', 'take over fields that another manager applied with another value')
    .action(async (_options, command: Command) => {
      const options = optionsOf<ApplyOptions>(command);
      await apply(await open(options), options);
    });
}

export async function apply(context: Context, options: ApplyOptions): Promise<void> {
  await sendAll(context, options, async (object, dryRun) => {
    checkNamed(object);
    const response = await context.cluster.Apply({
      object: toEnvelope(object),
      fieldManager: options.fieldManager ?? 'ctl',
      dryRun,
      force: options.forceConflicts === true,
    });
    printWarnings(context, response);
    return { object: fromEnvelope(response.object) ?? object, result: response.result ?? 'configured' };
  });
}

function checkNamed({ kind, metadata }: KubeObject): void {
  if (metadata.name || !metadata.generateName) return;
  const what = `${kind} with generateName ${JSON.stringify(metadata.generateName)}`;
  throw new GantryError(
    'invalidArgument',
    `${what}: apply needs a metadata.name; for a new one each time: ctl create -f`,
  );
}

type Send = (object: KubeObject, dryRun: boolean) => Promise<{ object: KubeObject; result: string }>;

export async function sendAll(context: Context, options: ApplyOptions, send: Send): Promise<void> {
  const objects = await loadObjects(context, options);
  const mode = dryRunMode(options.dryRun);
  const format = parseFormat(options.output);
  const results: KubeObject[] = [];
  for (const run of runsOf(objects)) {
    const sending = sentAhead(run, async (object) =>
      mode === 'client' ? { object, result: 'valid' } : send(object, mode === 'server'),
    );
    await forEach(context, run, async (object) => {
      const sent = await sending.next();
      results.push(sent.object);
      if (format === undefined || format === 'wide') {
        context.write(`${qualifiedName(object.kind, sent.object.metadata.name)} ${sent.result}${dryRunSuffix(mode)}\n`);
      }
    });
  }
  if (format === 'name') context.write(nameLines(results));
  else if (format === 'json' || format === 'yaml') context.write(structuredText(results, format, results.length === 1));
}

/** Objects that may be sent together: of one kind, and none of them twice. They stay in their order. */
export function runsOf(objects: readonly KubeObject[]): readonly (readonly KubeObject[])[] {
  const runs: KubeObject[][] = [];
  let names = new Set<string>();
  for (const object of objects) {
    const { namespace = '', name } = object.metadata;
    const run = runs.at(-1);
    const isNew = name !== '' && !names.has(`${namespace}/${name}`);
    if (run && isNew && run[0]?.kind === object.kind) run.push(object);
    else {
      runs.push([object]);
      names = new Set();
    }
    names.add(`${namespace}/${name}`);
  }
  return runs;
}

/** How many are on their way while the first of them is awaited. */
const mostAhead = 32;

/** The outcomes in the order of the objects. */
function sentAhead<T, R>(objects: readonly T[], send: (object: T) => Promise<R>): { next(): Promise<R> } {
  const waiting: Promise<R>[] = [];
  let sent = 0;
  return {
    next() {
      while (sent < objects.length && waiting.length < mostAhead) {
        const outcome = send(objects[sent]!);
        outcome.catch(() => {}); // its turn to be told comes
        waiting.push(outcome);
        sent += 1;
      }
      return waiting.shift()!;
    },
  };
}

/** Objects of all files, each in a namespace: its own, or the one of -n. */
export async function loadObjects(context: Context, options: ApplyOptions): Promise<KubeObject[]> {
  if (!options.filename || options.filename.length === 0) {
    throw new GantryError('invalidArgument', 'name the manifests: -f FILE, -f FOLDER or -f -');
  }
  const sources = await readSources(options.filename, options.recursive === true, context.readInput);
  return parseSources(sources, checkManifest).map((object) => inNamespace(object, context.namespace));
}

function inNamespace(object: KubeObject, namespace: string): KubeObject {
  if (kindInfo(object.kind).clusterScoped || object.metadata.namespace !== undefined) return object;
  return { ...object, metadata: { ...object.metadata, namespace } } as KubeObject;
}
