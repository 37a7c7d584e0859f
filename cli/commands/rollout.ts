/** `ctl rollout`: follow, restart, undo, pause and resume the rollout of a Deployment. */
import type { Command } from 'commander';
import { timestamp } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { controllerOf, isSame } from '../../lib/model/object.ts';
import type { Deployment, PodTemplateSpec, ReplicaSet } from '../../proto/gen/types.ts';
import { changeObject } from '../changing.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { dryRunMode, dryRunSuffix } from '../dry-run.ts';
import { getObject, listObjects } from '../objects.ts';
import { alignTabs } from '../output/align.ts';
import { templateLines } from '../output/describe/template.ts';
import { parseTargets, qualifiedName, resourceKind } from '../resources.ts';
import { forEach } from '../selection.ts';
import { rolloutStatus, type StatusOptions } from './rollout-status.ts';

const revisionAnnotation = 'deployment.kubernetes.io/revision';
const changeCauseAnnotation = 'kubernetes.io/change-cause';
const restartedAtAnnotation = 'kubectl.kubernetes.io/restartedAt';
const templateHashLabel = 'pod-template-hash';

export function registerRollout(program: Command, open: OpenContext): void {
  const rollout = program.command('rollout');
  const add = <O extends object>(
    name: string,
    description: string,
    action: (context: Context, deployment: string, options: O) => Promise<void>,
  ): Command =>
    rollout
      .command(`${name} <resource> [names...]`)
      .description(description)
      .usage('deploy/NAME | deployment NAME')
      .action(async (resource: string, names: string[], _options, command: Command) => {
        const options = optionsOf<O>(command);
        const context = await open(options);
        const deployments = deploymentsOf([resource, ...names]);
        if (deployments.length === 1) await action(context, deployments[0]!, options);
        else await forEach(context, deployments, (deployment) => action(context, deployment, options));
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
  add('pause', 'hold further steps', (context, name) => setPaused(context, name, true));
  add('resume', 'go on after pause', (context, name) => setPaused(context, name, false));
}

function deploymentsOf(words: readonly string[]): string[] {
  return parseTargets(words).map(({ info, name }) => {
    if (info.kind !== 'Deployment') {
      throw new GantryError('invalidArgument', `${info.plural} have no rollout; name a deployment: deploy/NAME`);
    }
    if (name === undefined) throw new GantryError('invalidArgument', 'name the deployment: deploy/NAME');
    return name;
  });
}

function print(context: Context, name: string, what: string): void {
  context.write(`${qualifiedName('Deployment', name)} ${what}\n`);
}

async function patch(context: Context, name: string, change: object): Promise<void> {
  const request = { kind: 'Deployment', namespace: context.namespace, name, patch: JSON.stringify(change) };
  await context.cluster.Patch(request);
}

async function restart(context: Context, name: string): Promise<void> {
  const { spec } = await getObject(context, 'Deployment', name);
  if (spec.paused) {
    const message = `deployments.apps "${name}" can't restart paused deployment (run rollout resume first)`;
    throw new GantryError('failedPrecondition', message);
  }
  const annotations = { [restartedAtAnnotation]: timestamp(context.clock.nowMs()) };
  await patch(context, name, { spec: { template: { metadata: { annotations } } } });
  print(context, name, 'restarted');
}

async function setPaused(context: Context, name: string, paused: boolean): Promise<void> {
  const { spec } = await getObject(context, 'Deployment', name);
  if ((spec.paused === true) === paused) {
    const state = paused ? 'already paused' : 'not paused';
    throw new GantryError('failedPrecondition', `deployments.apps "${name}" is ${state}`);
  }
  await patch(context, name, { spec: { paused: paused ? true : null } });
  print(context, name, paused ? 'paused' : 'resumed');
}

interface Revision {
  readonly number: number;
  readonly replicaSet: ReplicaSet;
}

/** Oldest first. */
async function revisionsOf(context: Context, deployment: Deployment): Promise<Revision[]> {
  const replicaSets = await listObjects(context, 'ReplicaSet');
  return replicaSets
    .filter((replicaSet) => controllerOf(replicaSet)?.uid === deployment.metadata.uid)
    .map((replicaSet) => ({ number: Number(replicaSet.metadata.annotations?.[revisionAnnotation] ?? 0), replicaSet }))
    .filter(({ number }) => number > 0)
    .sort((a, b) => a.number - b.number);
}

interface UndoOptions {
  readonly toRevision?: string;
  readonly dryRun?: string;
}

async function undo(context: Context, name: string, { toRevision = '0', dryRun }: UndoOptions): Promise<void> {
  const mode = dryRunMode(dryRun);
  if (mode === 'client') throw new GantryError('invalidArgument', 'not supported: --dry-run=client; use server');
  const deployment = await getObject(context, 'Deployment', name);
  if (deployment.spec.paused) {
    const message = 'you cannot rollback a paused deployment; resume it first with `ctl rollout resume` and try again';
    throw new GantryError('failedPrecondition', message);
  }
  const { number, replicaSet } = wantedRevision(await revisionsOf(context, deployment), name, toRevision);
  const template = withoutHash(replicaSet.spec.template);
  const target = { kind: 'Deployment', namespace: context.namespace, name } as const;
  const { changed } = await changeObject(
    context,
    target,
    (object) =>
      isSame(template, withoutHash(object.spec.template))
        ? undefined
        : { ...object, spec: { ...object.spec, template } },
    mode === 'server',
  );
  if (!changed) print(context, name, `skipped rollback (current template already matches revision ${number})`);
  else print(context, name, `rolled back${dryRunSuffix(mode)}`);
}

function wantedRevision(revisions: readonly Revision[], name: string, asked: string): Revision {
  if (asked === '0') {
    const previous = revisions.at(-2);
    if (previous) return previous;
    throw new GantryError('notFound', `no rollout history found for deployment "${name}"`);
  }
  const found = revisions.find(({ number }) => String(number) === asked);
  if (found) return found;
  const known = revisions.map(({ number }) => number).join(', ') || 'none';
  throw new GantryError('notFound', `unable to find specified revision ${asked} in history; there is ${known}`);
}

function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const { [templateHashLabel]: _hash, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

interface HistoryOptions {
  readonly revision?: string;
}

async function history(context: Context, name: string, { revision = '0' }: HistoryOptions): Promise<void> {
  const deployment = await getObject(context, 'Deployment', name);
  const revisions = await revisionsOf(context, deployment);
  const title = qualifiedName('Deployment', name);
  if (revision !== '0') {
    const { number, replicaSet } = wantedRevision(revisions, name, revision);
    const lines = ['Pod Template:', ...templateLines(replicaSet.spec.template)];
    return context.write(`${title} with revision #${number}\n${alignTabs(lines)}\n`);
  }
  if (revisions.length === 0) {
    throw new GantryError('notFound', `no rollout history found for ${resourceKind('Deployment').plural}/${name}`);
  }
  const rows = revisions.map(({ number, replicaSet }) => {
    const cause = replicaSet.metadata.annotations?.[changeCauseAnnotation] ?? '<none>';
    return `${number}\t${cause}`;
  });
  context.write(`${title} \n${alignTabs(['REVISION\tCHANGE-CAUSE', ...rows])}\n`);
}
