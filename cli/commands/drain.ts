/** `ctl drain`: cordons a node, evicts its pods, and waits until they are gone. */
import type { Command } from 'commander';
import { GantryError, isGantryError, messageOf } from '../../lib/errors.ts';
import { controllerOf } from '../../lib/model/object.ts';
import { isPodFinished } from '../../lib/model/pods.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { dryRunMode, dryRunSuffix } from '../dry-run.ts';
import { parseDurationMs } from '../duration.ts';
import { listObjects } from '../objects.ts';
import { type Deadline, deadlineIn, watchObjects } from '../watching.ts';
import { nodesOf, setUnschedulable } from './cordon.ts';

export interface DrainOptions {
  readonly force?: boolean;
  readonly ignoreDaemonsets?: boolean;
  readonly gracePeriod?: string;
  readonly timeout?: string;
  readonly selector?: string;
  readonly podSelector?: string;
  readonly deleteEmptydirData?: boolean;
  readonly dryRun?: string;
}

export function registerDrain(program: Command, open: OpenContext): void {
  program
    .command('drain [nodes...]')
    .option('--force', 'also pods that no controller will replace')
    .option('--ignore-daemonsets', 'leave the pods of DaemonSets, which stay on a cordoned node')
    .option('--delete-emptydir-data', 'also pods with emptyDir volumes, whose data is lost')
    .option('--grace-period <seconds>', "what a pod gets to end by itself; -1 is the pod's own", '-1')
    .option('--timeout <duration>', 'how long to wait; 0 is for ever', '0s')
    .option('-l, --selector <labels>', 'nodes with these labels')
    .option('--pod-selector <labels>', 'only pods with these labels')
    .option('--dry-run <mode>', 'client or server: all but the evictions')
    .action(async (words: string[], _options, command: Command) => {
      const options = optionsOf<DrainOptions>(command);
      await drain(await open(options), words, options);
    });
}

export async function drain(context: Context, words: readonly string[], options: DrainOptions): Promise<void> {
  const nodes = await nodesOf(context, words, options.selector);
  for (const node of nodes) await setUnschedulable(context, node, true, options.dryRun);
  const timeoutMs = parseDurationMs(options.timeout ?? '0s');
  const deadline = deadlineIn(context, timeoutMs > 0 ? timeoutMs : undefined);
  try {
    for (const node of nodes) await drainNode(context, node, options, deadline);
  } finally {
    deadline.cancel();
  }
}

async function drainNode(context: Context, node: Node, options: DrainOptions, deadline: Deadline): Promise<void> {
  const { name } = node.metadata;
  const all = await listObjects(context, 'Pod', {
    allNamespaces: true,
    fieldSelector: `spec.nodeName=${name}`,
    ...(options.podSelector !== undefined && { selector: options.podSelector }),
  });
  const obstacles = obstaclesOf(all, options);
  if (obstacles.length > 0) {
    const message = `unable to drain node "${name}"; it stays cordoned (ctl uncordon ${name})`;
    throw new GantryError('failedPrecondition', message, { details: obstacles });
  }
  const daemons = all.filter(isOfDaemonSet);
  if (daemons.length > 0) context.warn(`Warning: ignoring DaemonSet-managed Pods: ${namesOf(daemons)}`);
  const pods = all.filter((pod) => !isOfDaemonSet(pod));
  warnOfForce(context, pods);
  const mode = dryRunMode(options.dryRun);
  await evictAll(context, pods, options, deadline);
  if (!mode && pods.length > 0) await waitUntilGone(context, name, pods, deadline);
  context.write(`node/${name} drained${dryRunSuffix(mode)}\n`);
}

/** Pure. What kubectl refuses to lose unless told to. */
export function obstaclesOf(
  pods: readonly Pod[],
  { force, deleteEmptydirData, ignoreDaemonsets }: DrainOptions,
): string[] {
  const daemons = ignoreDaemonsets ? [] : pods.filter(isOfDaemonSet);
  const alive = pods.filter((pod) => !isPodFinished(pod) && !isOfDaemonSet(pod));
  const orphans = force ? [] : alive.filter((pod) => !controllerOf(pod));
  const withData = deleteEmptydirData
    ? []
    : alive.filter((pod) => (pod.spec.volumes ?? []).some(({ emptyDir }) => emptyDir !== undefined));
  return [
    ...(daemons.length > 0
      ? [`cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): ${namesOf(daemons)}`]
      : []),
    ...(orphans.length > 0
      ? [`cannot delete Pods that declare no controller (use --force to override): ${namesOf(orphans)}`]
      : []),
    ...(withData.length > 0
      ? [`cannot delete Pods with local storage (use --delete-emptydir-data to override): ${namesOf(withData)}`]
      : []),
  ];
}

/** It would come back at once, since it may run on a cordoned node. */
function isOfDaemonSet(pod: Pod): boolean {
  return controllerOf(pod)?.kind === 'DaemonSet';
}

function warnOfForce(context: Context, pods: readonly Pod[]): void {
  const orphans = pods.filter((pod) => !controllerOf(pod));
  if (orphans.length > 0) context.warn(`Warning: deleting Pods that declare no controller: ${namesOf(orphans)}`);
}

function namesOf(pods: readonly Pod[]): string {
  return pods.map(nameOf).join(', ');
}

function nameOf({ metadata: { namespace = 'default', name } }: Pod): string {
  return `${namespace}/${name}`;
}

const retryAfterMs = 5000;

/** A pod whose disruption budget refuses is asked for again, while the others go. */
async function evictAll(
  context: Context,
  pods: readonly Pod[],
  options: DrainOptions,
  deadline: Deadline,
): Promise<void> {
  let left = pods;
  for (;;) {
    const refused: Pod[] = [];
    for (const pod of left) if (!(await evict(context, pod, options))) refused.push(pod);
    if (refused.length === 0) return;
    left = refused;
    await context.clock.sleep(retryAfterMs, deadline.signal).catch(() => {});
    if (deadline.isOver()) {
      const message = `timed out: the disruption budgets of these pods do not let them go: ${namesOf(left)}`;
      throw new GantryError('deadlineExceeded', message);
    }
    deadline.signal.throwIfAborted();
  }
}

/** False: not now. */
async function evict(context: Context, pod: Pod, { gracePeriod = '-1', dryRun }: DrainOptions): Promise<boolean> {
  const seconds = Number(gracePeriod);
  if (!Number.isInteger(seconds)) {
    throw new GantryError('invalidArgument', `--grace-period=${gracePeriod}: give whole seconds`);
  }
  const mode = dryRunMode(dryRun);
  context.write(`evicting pod ${nameOf(pod)}${dryRunSuffix(mode)}\n`);
  if (mode) return true;
  const { name, namespace = 'default' } = pod.metadata;
  try {
    await context.cluster.Evict({ namespace, name, ...(seconds >= 0 && { gracePeriodSeconds: seconds }) });
  } catch (error) {
    if (isGantryError(error, 'resourceExhausted')) {
      const where = `pods/"${name}" -n "${namespace}"`;
      context.warn(`error when evicting ${where} (will retry after ${retryAfterMs / 1000}s): ${messageOf(error)}`);
      return false;
    }
    if (!isGantryError(error, 'notFound')) throw error;
  }
  return true;
}

async function waitUntilGone(context: Context, node: string, pods: readonly Pod[], deadline: Deadline): Promise<void> {
  const left = new Map(pods.map((pod) => [pod.metadata.uid, pod]));
  const gone = (uid: string | undefined): void => {
    const pod = left.get(uid);
    if (pod && left.delete(uid)) context.write(`pod/${pod.metadata.name} evicted\n`);
  };
  const present = new Set<string | undefined>();
  const selection = { allNamespaces: true, fieldSelector: `spec.nodeName=${node}` };
  for await (const change of watchObjects(context, 'Pod', selection, deadline.signal)) {
    if (change.type === 'BOOKMARK') {
      for (const uid of [...left.keys()]) if (!present.has(uid)) gone(uid);
    } else if (change.type === 'DELETED') gone(change.object.metadata.uid);
    else present.add(change.object.metadata.uid);
    if (left.size === 0) return;
  }
  if (deadline.isOver()) {
    const message = `timed out waiting for pods of node "${node}" to be gone: ${namesOf([...left.values()])}`;
    throw new GantryError('deadlineExceeded', message);
  }
  deadline.signal.throwIfAborted();
}
