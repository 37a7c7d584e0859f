/** One probe, beside the pod's other steps, and what its answer changes. */
import { messageOf } from '../../lib/errors.ts';
import type { Container } from '../../proto/gen/types.ts';
import { probeCheck } from './checks.ts';
import type { PodContext } from './pod-context.ts';
import type { Answer } from './prober.ts';
import { isReady, isStarted, type ProbeKind, probeAnswered, probeOf, probeStarted } from './probes.ts';
import { noteContainer } from './record.ts';

const kindNames: Readonly<Record<ProbeKind, string>> = {
  startup: 'Startup',
  liveness: 'Liveness',
  readiness: 'Readiness',
};

export function runProbe(
  context: PodContext,
  { id, container, kind }: { readonly id: string; readonly container: Container; readonly kind: ProbeKind },
): void {
  const { activity, deps } = context;
  const state = activity.probes.get(id)?.[kind];
  const probe = probeOf(container, kind);
  if (!state || !probe) return;
  activity.probes.set(id, { ...activity.probes.get(id), [kind]: probeStarted(state) });
  context.background(async (signal) => {
    const answer = await ask(context, id, container, kind, signal);
    const probes = activity.probes.get(id);
    const current = probes?.[kind];
    if (signal.aborted || !probes || !current) return;
    const next = probeAnswered(current, kind, probe, answer, deps.clock.monotonicMs());
    activity.probes.set(id, { ...probes, [kind]: next });
    if (next.failures > 0) {
      context.event('Warning', 'Unhealthy', `${kindNames[kind]} probe failed: ${answer.message}`, container);
    }
    await noteVerdict(context, id, container);
    context.wake();
  });
}

async function ask(
  context: PodContext,
  id: string,
  container: Container,
  kind: ProbeKind,
  signal: AbortSignal,
): Promise<Answer> {
  const probe = probeOf(container, kind)!;
  try {
    const check = probeCheck(context.pod(), container, id, probe);
    return await context.deps.prober.ask(check, (probe.timeoutSeconds ?? 1) * 1000, signal);
  } catch (error) {
    return { success: false, message: messageOf(error) };
  }
}

/** A restarted agent goes on from here instead of taking the pod out of service. */
async function noteVerdict(context: PodContext, id: string, container: Container): Promise<void> {
  const probes = context.activity.probes.get(id);
  const started = isStarted(probes);
  const ready = isReady(probes);
  const entry = context.record.containers[container.name];
  if (!entry || !id.endsWith(`-${entry.attempt}`)) return;
  if (entry.started === started && entry.ready === ready) return;
  await context.note(noteContainer(context.record, container.name, { started, ready }));
}
