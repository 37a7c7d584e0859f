/** `ctl rollout`: follow, restart, undo, pause and resume the rollout of a workload. */
import type { Command } from 'commander';
import { timestamp } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { isSame } from '../../lib/model/object.ts';
import {
  type CopyNames,
  changeCauseAnnotation,
  contentHash,
  restartedAtAnnotation,
  rollsOutWithConfiguration,
  undoAnnotation,
} from '../../lib/model/rollouts.ts';
import { podTemplateOf, withPodTemplate } from '../../lib/model/workloads.ts';
import { changeObject } from '../changing.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { dryRunMode, dryRunSuffix } from '../dry-run.ts';
import { getObject } from '../objects.ts';
import { alignTabs } from '../output/align.ts';
import { templateLines } from '../output/describe/template.ts';
import { qualifiedName } from '../resources.ts';
import {
  changeCauses,
  noCause,
  numbered,
  type Revision,
  type RolloutObject,
  type RolloutTarget,
  resourceName,
  revisionsOf,
  rolloutTargets,
  wantedRevision,
  wholeCause,
  withoutHash,
} from '../rollouts.ts';
import { forEach } from '../selection.ts';
import { rolloutStatus, type StatusOptions } from './rollout-status.ts';

export function registerRollout(program: Command, open: OpenContext): void {
  const rollout = program.command('rollout');
  const add = <O extends object>(
    name: string,
    description: string,
    action: (context: Context, target: RolloutTarget, options: O) => Promise<void>,
  ): Command =>
    rollout
      .command(`${name} <resource> [names...]`)
      .description(description)
      .usage('TYPE/NAME | TYPE NAME')
      .action(async (resource: string, names: string[], _options, command: Command) => {
        const options = optionsOf<O>(command);
        const context = await open(options);
        const targets = rolloutTargets([resource, ...names]);
        if (targets.length === 1) await action(context, targets[0]!, options);
        else await forEach(context, targets, (target) => action(context, target, options));
      });

  add<StatusOptions>('status', 'wait for the rollout and tell how it goes', rolloutStatus)
    .option('-w, --watch', 'until it has ended (default)')
    .option('--no-watch', 'tell how it is now')
    .option('--timeout <duration>', 'how long to wait; 0 is for ever', '0s')
    .option('--revision <number>', 'of this revision alone');
  add('restart', 'replace all pods, as a rolling update', restart);
  add<UndoOptions>('undo', 'go back to an earlier template', undo)
    .option('--to-revision <number>', 'which; default: the one before')
    .option('--dry-run <mode>', 'server: all but the write');
  add<HistoryOptions>('history', 'show revisions', history).option('--revision <number>', 'show its template');
  add('pause', 'hold further steps', (context, target) => setPaused(context, target, true));
  add('resume', 'go on after pause', (context, target) => setPaused(context, target, false));
}

function read(context: Context, { kind, name }: RolloutTarget): Promise<RolloutObject> {
  return getObject(context, kind, name);
}

function print(context: Context, { kind, name }: RolloutTarget, what: string): void {
  context.write(`${qualifiedName(kind, name)} ${what}\n`);
}

async function patch(context: Context, { kind, name }: RolloutTarget, change: object): Promise<void> {
  await context.cluster.Patch({ kind, namespace: context.namespace, name, patch: JSON.stringify(change) });
}

function isPaused(object: RolloutObject): boolean {
  return object.kind === 'Deployment' && object.spec.paused === true;
}

async function restart(context: Context, target: RolloutTarget): Promise<void> {
  const object = await read(context, target);
  if (isPaused(object)) {
    const message = `${resourceName(object)} can't restart paused deployment (run rollout resume first)`;
    throw new GantryError('failedPrecondition', message);
  }
  const annotations = { [restartedAtAnnotation]: timestamp(context.clock.nowMs()) };
  await patch(context, target, { spec: { template: { metadata: { annotations } } } });
  print(context, target, 'restarted');
}

async function setPaused(context: Context, target: RolloutTarget, paused: boolean): Promise<void> {
  const object = await read(context, target);
  if (object.kind !== 'Deployment') {
    const word = paused ? 'pausing' : 'resuming';
    throw new GantryError(
      'invalidArgument',
      `${resourceName(object)} ${word} is not supported; only deployments pause`,
    );
  }
  if (isPaused(object) === paused) {
    const state = paused ? 'already paused' : 'not paused';
    throw new GantryError('failedPrecondition', `${resourceName(object)} is ${state}`);
  }
  await patch(context, target, { spec: { paused: paused ? true : null } });
  print(context, target, paused ? 'paused' : 'resumed');
}

interface UndoOptions {
  readonly toRevision?: string;
  readonly dryRun?: string;
}

async function undo(context: Context, target: RolloutTarget, { toRevision = '0', dryRun }: UndoOptions): Promise<void> {
  const mode = dryRunMode(dryRun);
  if (mode === 'client') throw new GantryError('invalidArgument', 'not supported: --dry-run=client; use server');
  const current = await read(context, target);
  if (isPaused(current)) {
    const message = 'you cannot rollback a paused deployment; resume it first with `ctl rollout resume` and try again';
    throw new GantryError('failedPrecondition', message);
  }
  const revisions = await revisionsOf(context, current);
  const wanted = wantedRevision(revisions, current, toRevision);
  const isInUse = revisions.at(-1) === wanted;
  const { changed } = await changeObject(
    context,
    { ...target, namespace: context.namespace },
    (object: RolloutObject) => undone(object, wanted, isInUse),
    mode === 'server',
  );
  if (!changed) print(context, target, `skipped rollback (current template already matches revision ${wanted.number})`);
  else print(context, target, `rolled back${dryRunSuffix(mode)}`);
}

/** Undefined when all is as wanted. The controller is told: it brings the content of that time back, and notes the cause. */
function undone(object: RolloutObject, wanted: Revision, isInUse: boolean): RolloutObject | undefined {
  const { name, template, copies, changeCause } = wanted;
  const sameTemplate = isSame(withoutHash(template), withoutHash(podTemplateOf(object)!));
  const hasContent = rollsOutWithConfiguration(object) && Object.keys(copies).length > 0;
  const isPassedOver = object.status?.rollback?.reason === 'ProgressDeadlineExceeded';
  if (sameTemplate && (!hasContent || (isInUse && !isPassedOver))) return undefined;
  const { [changeCauseAnnotation]: _cause, ...others } = object.metadata.annotations ?? {};
  const annotations = {
    ...others,
    ...(changeCause !== undefined && { [changeCauseAnnotation]: changeCause }),
    [undoAnnotation]: name,
  };
  return { ...withPodTemplate(object, template), metadata: { ...object.metadata, annotations } };
}

interface HistoryOptions {
  readonly revision?: string;
}

async function history(context: Context, target: RolloutTarget, { revision = '0' }: HistoryOptions): Promise<void> {
  const object = await read(context, target);
  const revisions = await revisionsOf(context, object);
  const title = qualifiedName(target.kind, target.name);
  if (revision !== '0') {
    const wanted = numbered(revisions, revision, 'unable to find the specified revision');
    const { number, template, copies } = wanted;
    const why = wholeCause(revisions, wanted);
    const cause = why === noCause ? [] : [`Change-Cause:\t${why}`];
    const lines = [...cause, 'Pod Template:', ...templateLines(template), ...copyLines(copies)];
    return context.write(`${title} with revision #${number}\n${alignTabs(lines)}\n`);
  }
  if (revisions.length === 0) return context.write(`${title} \nNo rollout history found.\n`);
  const causes = changeCauses(revisions);
  const rows = revisions.map(({ number }, index) => `${number}\t${causes[index]}`);
  context.write(`${title} \n${alignTabs(['REVISION\tCHANGE-CAUSE', ...rows])}\n`);
}

/** Which content it had, and where that is kept. */
function copyLines(copies: CopyNames): string[] {
  const entries = Object.entries(copies);
  if (entries.length === 0) return [];
  return [
    'Configuration:',
    ...entries.map(([original, copy]) => {
      const [kind = ''] = original.split('/');
      return `  ${original.replace('/', ' ')}:\tcontent ${contentHash(copy)}, kept in ${kind.toLowerCase()}/${copy}`;
    }),
  ];
}
