/** `ctl rollout status`: waits until a rollout has ended, one way or the other. */
import { GantryError } from '../../lib/errors.ts';
import type { Context } from '../context.ts';
import { parseDurationMs } from '../duration.ts';
import { getObject } from '../objects.ts';
import { rolloutState } from '../output/rollout.ts';
import type { RolloutObject, RolloutTarget } from '../rollouts.ts';
import { deadlineIn, watchObjects } from '../watching.ts';

export interface StatusOptions {
  readonly watch?: boolean;
  readonly timeout?: string;
  readonly revision?: string;
}

export async function rolloutStatus(
  context: Context,
  { kind, name }: RolloutTarget,
  options: StatusOptions,
): Promise<void> {
  const object: RolloutObject = await getObject(context, kind, name);
  let last = '';
  const report = (current: RolloutObject): boolean => {
    checkRevision(current, options.revision);
    const { sentence, outcome } = rolloutState(current);
    if (outcome === 'failed') throw new GantryError('failedPrecondition', withReason(sentence, current));
    if (sentence !== last) context.write(`${sentence}\n`);
    last = sentence;
    return outcome === 'done';
  };
  if (report(object) || options.watch === false) return;
  const timeoutMs = parseDurationMs(options.timeout ?? '0s');
  const deadline = deadlineIn(context, timeoutMs > 0 ? timeoutMs : undefined);
  const selection = { fieldSelector: `metadata.name=${name}` };
  try {
    for await (const change of watchObjects(context, kind, selection, deadline.signal)) {
      if (change.type === 'DELETED') throw new GantryError('notFound', 'object has been deleted');
      if (change.type !== 'BOOKMARK' && report(change.object as RolloutObject)) return;
    }
  } finally {
    deadline.cancel();
  }
  if (deadline.isOver()) throw new GantryError('deadlineExceeded', 'timed out waiting for the condition');
  deadline.signal.throwIfAborted();
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
