/** `ctl rollout status`: waits until a rollout has ended, one way or the other. */
import { GantryError } from '../../lib/errors.ts';
import type { Context } from '../context.ts';
import { parseDurationMs } from '../duration.ts';
import { getObject } from '../objects.ts';
import { obstacleSentence, rolloutState } from '../output/rollout.ts';
import { type FollowedKind, FollowedPods, followedKinds, watchFollowed } from '../rollout-pods.ts';
import type { RolloutObject, RolloutTarget } from '../rollouts.ts';
import { type Change, deadlineIn, together, watchObjects } from '../watching.ts';

export interface StatusOptions {
  readonly watch?: boolean;
  readonly timeout?: string;
  readonly revision?: string;
}

export async function rolloutStatus(context: Context, target: RolloutTarget, options: StatusOptions): Promise<void> {
  const object: RolloutObject = await getObject(context, target.kind, target.name);
  const report = new Report(context, options.revision);
  if (report.tell(object)) return;
  if (options.watch === false) return report.tellObstacle(await FollowedPods.listed(context, object));
  const timeoutMs = parseDurationMs(options.timeout ?? '0s');
  const deadline = deadlineIn(context, timeoutMs > 0 ? timeoutMs : undefined);
  const ending = new AbortController();
  const signal = AbortSignal.any([deadline.signal, ending.signal]);
  try {
    if (await followedToItsEnd(context, object, report, signal)) return;
  } finally {
    ending.abort();
    deadline.cancel();
  }
  if (deadline.isOver()) throw new GantryError('deadlineExceeded', 'timed out waiting for the condition');
  deadline.signal.throwIfAborted();
}

/** False when it was cut short. */
async function followedToItsEnd(
  context: Context,
  object: RolloutObject,
  report: Report,
  signal: AbortSignal,
): Promise<boolean> {
  const followed = new FollowedPods(object);
  const selection = { fieldSelector: `metadata.name=${object.metadata.name}` };
  const streams = [
    of(undefined, watchObjects(context, object.kind, selection, signal)),
    ...followedKinds(object).map((kind) => of(kind, watchFollowed(context, object, kind, signal))),
  ];
  for await (const { kind, change } of together(streams)) {
    if (kind !== undefined) followed.take(kind, change);
    else if (change.type === 'DELETED') throw new GantryError('notFound', 'object has been deleted');
    else if (change.type !== 'BOOKMARK' && report.tell(change.object as RolloutObject)) {
      report.warnOfCrashes(followed);
      return true;
    }
    report.tellObstacle(followed);
  }
  return false;
}

interface Followed {
  /** Undefined: the workload itself. */
  readonly kind: FollowedKind | undefined;
  readonly change: Change;
}

async function* of(
  kind: Followed['kind'],
  changes: AsyncGenerator<Change, void, undefined>,
): AsyncGenerator<Followed, void, undefined> {
  for await (const change of changes) yield { kind, change };
}

/** A line for each thing that is new. */
class Report {
  readonly #context: Context;
  readonly #revision: string | undefined;
  readonly #obstacles = new Set<string>();
  #object: RolloutObject | undefined;
  #last = '';

  constructor(context: Context, revision: string | undefined) {
    this.#context = context;
    this.#revision = revision;
  }

  /** True when the rollout is over; throws when it has failed. */
  tell(object: RolloutObject): boolean {
    checkRevision(object, this.#revision);
    this.#object = object;
    const { sentence, outcome } = rolloutState(object);
    if (outcome === 'failed') throw new GantryError('failedPrecondition', withReason(sentence, object));
    if (sentence !== this.#last) this.#context.write(`${sentence}\n`);
    this.#last = sentence;
    return outcome === 'done';
  }

  /** Each once: a container that crashes again and again would otherwise be told of as often. */
  tellObstacle(followed: FollowedPods): void {
    const object = this.#object;
    const obstacle = object && followed.obstacleTo(object);
    if (!obstacle || this.#obstacles.has(obstacle.subject)) return;
    this.#obstacles.add(obstacle.subject);
    this.#context.write(`${obstacleSentence(object, obstacle.sentence)}\n`);
  }

  /** Without a probe a container is ready as soon as it runs, which one that crashes does again and again. */
  warnOfCrashes(followed: FollowedPods): void {
    const object = this.#object;
    if (!object || ('minReadySeconds' in object.spec && (object.spec.minReadySeconds ?? 0) > 0)) return;
    const crashed = followed
      .podsOf(object)
      .find(({ metadata }) => this.#obstacles.has(`${metadata.name} CrashLoopBackOff`));
    if (!crashed || crashed.spec.containers.some(({ readinessProbe }) => readinessProbe)) return;
    this.#context.warn(
      `Warning: ${crashed.metadata.name} was in CrashLoopBackOff while this waited, and counts as available as soon as it ` +
        'runs; with a readinessProbe, or minReadySeconds, a rollout waits until it does for good',
    );
  }
}

/** The Progressing condition tells what the pods are short of. */
function withReason(sentence: string, { status }: RolloutObject): string {
  const message = status?.conditions?.find(({ type }) => type === 'Progressing')?.message;
  return message ? `${sentence}: ${message}` : sentence;
}

function checkRevision({ metadata }: RolloutObject, wanted: string | undefined): void {
  if (wanted === undefined || wanted === '0') return;
  const running = metadata.annotations?.['deployment.kubernetes.io/revision'];
  if (running === undefined || running === wanted) return;
  const message = `desired revision (${wanted}) is different from the running revision (${running})`;
  throw new GantryError('failedPrecondition', message);
}
