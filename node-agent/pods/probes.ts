/**
 * When to probe a container and what the answers mean. Pure. A startup probe holds back the other two until it
 * succeeded; liveness failing means restart; readiness decides whether the pod takes traffic.
 */
import type { Container, Probe } from '../../proto/gen/types.ts';

export const probeKinds = ['startup', 'liveness', 'readiness'] as const;
export type ProbeKind = (typeof probeKinds)[number];

/** Of one container run. */
export interface ContainerProbes {
  readonly startup?: ProbeState;
  readonly liveness?: ProbeState;
  readonly readiness?: ProbeState;
}

export interface ProbeState {
  readonly verdict: 'unknown' | 'success' | 'failure';
  /** Same answers in a row. */
  readonly successes: number;
  readonly failures: number;
  readonly runs: number;
  readonly nextAtMs: number;
  readonly running: boolean;
  readonly lastMessage?: string;
}

/** Until a probe first succeeds it is repeated at these intervals, so that a quick start is seen quickly. */
const firstIntervalMs = 100;

export function probeOf(container: Container, kind: ProbeKind): Probe | undefined {
  if (kind === 'startup') return container.startupProbe;
  return kind === 'liveness' ? container.livenessProbe : container.readinessProbe;
}

/** At the start of a run, or when a restarted agent finds it running (`known`: what was last said of it). */
export function beginProbes(
  container: Container,
  nowMs: number,
  known: { readonly started?: boolean; readonly ready?: boolean } = {},
): ContainerProbes {
  const begin = (kind: ProbeKind, success: boolean): ProbeState | undefined => {
    const probe = probeOf(container, kind);
    if (!probe) return undefined;
    const delayMs = success ? 0 : (probe.initialDelaySeconds ?? 0) * 1000;
    return {
      verdict: success ? 'success' : 'unknown',
      successes: success ? (probe.successThreshold ?? 1) : 0,
      failures: 0,
      runs: 0,
      nextAtMs: nowMs + delayMs,
      running: false,
    };
  };
  const startup = begin('startup', known.started === true);
  const liveness = begin('liveness', false);
  const readiness = begin('readiness', known.ready === true);
  return { ...(startup && { startup }), ...(liveness && { liveness }), ...(readiness && { readiness }) };
}

/** Probes that may run now or later: all but those that wait for the startup probe, and a startup probe that is done. */
export function activeKinds(probes: ContainerProbes): readonly ProbeKind[] {
  if (probes.startup && probes.startup.verdict !== 'success') return ['startup'];
  return probeKinds.filter((kind) => kind !== 'startup' && probes[kind] !== undefined);
}

export function probeStarted(state: ProbeState): ProbeState {
  return { ...state, running: true };
}

export function probeAnswered(
  state: ProbeState,
  kind: ProbeKind,
  probe: Probe,
  answer: { readonly success: boolean; readonly message: string },
  nowMs: number,
): ProbeState {
  const periodMs = (probe.periodSeconds ?? 10) * 1000;
  const earlyIntervalMs = firstIntervalMs * 2 ** state.runs;
  // Early answers can only be good news: failures are counted at the period the user chose.
  const early = !answer.success && state.verdict === 'unknown' && kind !== 'liveness' && earlyIntervalMs < periodMs;
  const successes = answer.success ? state.successes + 1 : 0;
  const failures = answer.success || early ? 0 : state.failures + 1;
  let verdict = state.verdict;
  if (successes >= (probe.successThreshold ?? 1)) verdict = 'success';
  if (failures >= (probe.failureThreshold ?? 3)) verdict = 'failure';
  return {
    verdict,
    successes,
    failures,
    runs: state.runs + 1,
    nextAtMs: nowMs + (early ? earlyIntervalMs : periodMs),
    running: false,
    lastMessage: answer.message,
  };
}

/** spec semantics: without a startup probe a running container has started. */
export function isStarted(probes: ContainerProbes | undefined): boolean {
  return !probes?.startup || probes.startup.verdict === 'success';
}

export function isReady(probes: ContainerProbes | undefined): boolean {
  return isStarted(probes) && (!probes?.readiness || probes.readiness.verdict === 'success');
}

/** Why the container must be restarted, if it must. */
export function deathSentence(probes: ContainerProbes | undefined): string | undefined {
  if (probes?.startup?.verdict === 'failure') return `startup probe failed: ${probes.startup.lastMessage ?? ''}`;
  if (probes?.liveness?.verdict === 'failure') return `liveness probe failed: ${probes.liveness.lastMessage ?? ''}`;
  return undefined;
}
