/** `ctl wait`: until a condition holds, a field has a value, or an object is gone. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { kindInfo } from '../../lib/model/schema.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { deletionReason } from '../deletion.ts';
import { parseDurationMs } from '../duration.ts';
import { parseWanted, type Wanted } from '../output/wait-condition.ts';
import { qualifiedName } from '../resources.ts';
import { forEach, type Reference, type SelectOptions, selectReferences } from '../selection.ts';
import { type Deadline, deadlineIn, watchObjects } from '../watching.ts';

export interface WaitOptions extends SelectOptions {
  readonly for: string;
  readonly timeout?: string;
}

export function registerWait(program: Command, open: OpenContext): void {
  program
    .command('wait [resource] [names...]')
    .requiredOption('--for <what>', "condition=Ready, delete, create or jsonpath='{.status.phase}'=Running")
    .option('--timeout <duration>', 'how long; 0 checks once, a negative one is for ever', '30s')
    .option('-f, --filename <file...>', 'what these manifests name')
    .option('-R, --recursive', 'folders below as well')
    .option('-l, --selector <labels>', 'those with these labels')
    .option('--all', 'all of the kind in the namespace')
    .option('-A, --all-namespaces', 'of all namespaces')
    .action(async (resource: string | undefined, names: string[], _options, command: Command) => {
      const options = optionsOf<WaitOptions>(command);
      await wait(await open(options), resource === undefined ? [] : [resource, ...names], options);
    });
}

export async function wait(context: Context, words: readonly string[], options: WaitOptions): Promise<void> {
  const wanted = parseWanted(options.for);
  const timeoutMs = parseDurationMs(options.timeout ?? '30s');
  const references = await selectReferences(context, words, options);
  if (references.length === 0) {
    if (wanted.type === 'delete') return;
    throw new GantryError('notFound', 'no matching resources found');
  }
  const deadline = deadlineIn(context, timeoutMs < 0 ? undefined : timeoutMs);
  try {
    await forEach(context, references, async (reference) => {
      await waitFor(context, reference, wanted, deadline, timeoutMs === 0);
      context.write(`${qualifiedName(reference.kind, reference.name)} condition met\n`);
    });
  } finally {
    deadline.cancel();
  }
}

async function waitFor(
  context: Context,
  { kind, namespace, name, object }: Reference,
  wanted: Wanted,
  deadline: Deadline,
  once: boolean,
): Promise<void> {
  const { plural } = kindInfo(kind);
  const selection = { namespace, fieldSelector: `metadata.name=${name}` };
  // To look once, the list is waited for however long it takes.
  const signal = once ? context.signal : deadline.signal;
  const uid = object?.metadata.uid;
  let current: KubeObject | undefined;
  for await (const change of watchObjects(context, kind, selection, signal)) {
    const isThere = change.type === 'ADDED' || change.type === 'MODIFIED';
    if (isThere) current = change.object;
    else if (change.type === 'DELETED') current = undefined;
    const bookmark = change.type === 'BOOKMARK';
    if (wanted.type === 'delete') {
      const other = uid !== undefined && current !== undefined && current.metadata.uid !== uid;
      if ((!current && (bookmark || change.type === 'DELETED')) || other) return;
    } else if (wanted.type === 'create') {
      if (current) return;
    } else {
      if (current && wanted.test(current)) return;
      if (!current && bookmark) throw new GantryError('notFound', `${plural} "${name}" not found`);
    }
    if (once && bookmark) break;
  }
  if (once || deadline.isOver()) {
    const why = wanted.type === 'delete' && current ? await deletionReason(context, kind, name, namespace) : undefined;
    const end = why === undefined ? '' : `\n${plural}/${name} ${why}`;
    throw new GantryError('deadlineExceeded', `timed out waiting for the condition on ${plural}/${name}${end}`);
  }
  deadline.signal.throwIfAborted();
}
