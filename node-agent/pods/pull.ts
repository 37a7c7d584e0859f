/** Getting a container's image, beside the pod's other steps. */
import { GantryError, messageOf } from '../../lib/errors.ts';
import type { Container } from '../../proto/gen/types.ts';
import { type Image, ImagePullError } from '../images/images.ts';
import type { ImageProgress } from './activity.ts';
import type { PodContext } from './pod-context.ts';
import { pullDelayMs } from './restart-backoff.ts';

export function pullImage(context: PodContext, container: Container, attempt: number): void {
  const { activity } = context;
  const { image: reference, name } = container;
  const before = activity.images.get(name);
  const known = before?.reference === reference && before.state === 'failed' ? before : undefined;
  const progress: ImageProgress = {
    reference,
    attempt,
    state: 'pulling',
    failures: known?.failures ?? 0,
    retryAtMs: 0,
    ...(known?.reason !== undefined && { reason: known.reason }),
    ...(known?.message !== undefined && { message: known.message }),
  };
  activity.images.set(name, progress);
  context.background(async (signal) => {
    const next = await obtain(context, container, signal).then(
      (image): ImageProgress => ({ reference, attempt, state: 'present', image, failures: 0, retryAtMs: 0 }),
      (error: unknown) => failed(context, container, progress, error),
    );
    // The spec may have changed meanwhile; then another pull is under way.
    if (!signal.aborted && activity.images.get(name) === progress) activity.images.set(name, next);
    context.wake();
  });
}

class NeverPullError extends GantryError {
  readonly reason = 'ErrImageNeverPull';
}

async function obtain(context: PodContext, container: Container, signal: AbortSignal): Promise<Image> {
  const { images, clock } = context.deps;
  const reference = container.image;
  const policy = container.imagePullPolicy ?? 'IfNotPresent';
  const present = policy === 'Always' ? undefined : await images.find(reference);
  if (present) {
    context.event('Normal', 'Pulled', `Container image "${reference}" already present on machine`, container);
    return present;
  }
  if (policy === 'Never') {
    const message = `image "${reference}" is not on this node and imagePullPolicy is Never; load it there or change the policy`;
    throw new NeverPullError('notFound', message);
  }
  context.event('Normal', 'Pulling', `Pulling image "${reference}"`, container);
  const startedAtMs = clock.monotonicMs();
  const image = await images.pull(reference, { signal });
  const tookMs = Math.round(clock.monotonicMs() - startedAtMs);
  const message = `Successfully pulled image "${reference}" in ${tookMs}ms. Image size: ${image.sizeBytes} bytes.`;
  context.event('Normal', 'Pulled', message, container);
  return image;
}

function failed(context: PodContext, container: Container, before: ImageProgress, error: unknown): ImageProgress {
  const failures = before.failures + 1;
  const message = messageOf(error);
  const known = error instanceof ImagePullError || error instanceof NeverPullError;
  const reason = known ? error.reason : 'ErrImagePull';
  const delayMs = pullDelayMs(failures);
  context.event('Warning', 'Failed', `Failed to pull image "${container.image}": ${message}`, container);
  if (failures > 1) context.event('Normal', 'BackOff', `Back-off pulling image "${container.image}"`, container);
  const retryAtMs = context.deps.clock.monotonicMs() + delayMs;
  return { ...before, state: 'failed', failures, retryAtMs, reason, message };
}
