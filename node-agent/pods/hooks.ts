/** postStart and preStop, beside the pod's other steps. */
import type { Container, LifecycleHandler } from '../../proto/gen/types.ts';
import { hookCheck } from './checks.ts';
import type { PodContext } from './pod-context.ts';
import type { Answer } from './prober.ts';
import { noteContainer } from './record.ts';

/** A postStart hook that takes longer has failed. */
const postStartLimitMs = 300_000;

export function runPostStart(context: PodContext, id: string, container: Container): void {
  const { activity } = context;
  activity.postStarts.set(id, { state: 'running' });
  context.background(async (signal) => {
    const answer = await callHook(context, id, container, container.lifecycle!.postStart!, postStartLimitMs, signal);
    if (signal.aborted) return;
    if (answer.success) {
      await context.note(noteContainer(context.record, container.name, { postStarted: true }));
    } else {
      activity.postStarts.set(id, { state: 'failed' });
      context.event('Warning', 'FailedPostStartHook', `PostStartHook failed: ${answer.message}`, container);
    }
    context.wake();
  });
}

export function beginPreStop(
  context: PodContext,
  id: string,
  container: Container,
  hook: LifecycleHandler,
  graceMs: number,
): void {
  const { activity, deps } = context;
  context.background(async (signal) => {
    const answer = await callHook(context, id, container, hook, graceMs, signal);
    const progress = activity.stops.get(id);
    if (signal.aborted || !progress) return;
    activity.stops.set(id, { ...progress, preStop: 'done', preStopEndedAtMs: deps.clock.monotonicMs() });
    if (!answer.success) {
      context.event('Warning', 'FailedPreStopHook', `PreStopHook failed: ${answer.message}`, container);
    }
    context.wake();
  });
}

async function callHook(
  context: PodContext,
  id: string,
  container: Container,
  hook: LifecycleHandler,
  limitMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  const { clock, prober } = context.deps;
  const check = hookCheck(context.pod(), container, id, hook);
  if (check) return prober.ask(check, limitMs, signal);
  await clock.sleep((hook.sleep?.seconds ?? 0) * 1000, signal);
  return { success: true, message: 'slept' };
}
