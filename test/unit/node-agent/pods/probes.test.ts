import { describe, expect, test } from 'vitest';
import {
  activeKinds,
  beginProbes,
  deathSentence,
  isReady,
  isStarted,
  type ProbeKind,
  probeAnswered,
  probeStarted,
} from '../../../../node-agent/pods/probes.ts';
import type { Probe } from '../../../../proto/gen/types.ts';
import { testContainer } from './fixture.ts';

const probe: Probe = { tcpSocket: { port: '80' }, periodSeconds: 10, failureThreshold: 3, successThreshold: 1 };

/** The states after these answers, each given when the probe is due. */
function play(kind: ProbeKind, answers: string, more: Partial<Probe> = {}) {
  const own = { ...probe, ...more };
  let state = beginProbes(testContainer('main', { [`${kind}Probe`]: own }), 0)[kind]!;
  for (const answer of answers) {
    const nowMs = state.nextAtMs;
    state = probeAnswered(probeStarted(state), kind, own, { success: answer === '+', message: '' }, nowMs);
  }
  return state;
}

describe('intervals', () => {
  test('until its first success a probe is repeated quickly, then at its period', () => {
    expect(play('readiness', '-').nextAtMs).toBe(100);
    expect(play('readiness', '--').nextAtMs).toBe(300);
    expect(play('readiness', '---').nextAtMs).toBe(700);
    expect(play('readiness', '---+').nextAtMs).toBe(700 + 10_000);
  });
  test('the quick ones do not count against a starting container', () => {
    expect(play('startup', '-------').verdict).toBe('unknown');
    expect(play('startup', '-------').failures).toBe(0);
    expect(play('startup', '----------').verdict).toBe('failure');
  });
  test('liveness is never hurried', () => {
    expect(play('liveness', '-').nextAtMs).toBe(10_000);
    expect(play('liveness', '---').verdict).toBe('failure');
  });
  test('the initial delay is kept', () => {
    expect(play('readiness', '', { initialDelaySeconds: 7 }).nextAtMs).toBe(7_000);
  });
});

describe('thresholds', () => {
  test.each([
    ['+', 'success'],
    ['+--', 'success'],
    ['+---', 'failure'],
    ['+--+--', 'success'],
    ['+---+', 'success'],
  ])('readiness %s is %s', (answers, verdict) => {
    expect(play('readiness', answers).verdict).toBe(verdict);
  });
  test('several successes in a row may be asked for', () => {
    expect(play('readiness', '+', { successThreshold: 2 }).verdict).toBe('unknown');
    expect(play('readiness', '++', { successThreshold: 2 }).verdict).toBe('success');
  });
});

describe('together', () => {
  const container = testContainer('main', { startupProbe: probe, livenessProbe: probe, readinessProbe: probe });
  test('a startup probe holds back the others', () => {
    const probes = beginProbes(container, 0);
    expect(activeKinds(probes)).toEqual(['startup']);
    expect([isStarted(probes), isReady(probes)]).toEqual([false, false]);
    const startup = probeAnswered(probes.startup!, 'startup', probe, { success: true, message: '' }, 0);
    expect(activeKinds({ ...probes, startup })).toEqual(['liveness', 'readiness']);
  });
  test('what a former agent knew is taken over', () => {
    const probes = beginProbes(container, 0, { started: true, ready: true });
    expect([isStarted(probes), isReady(probes)]).toEqual([true, true]);
  });
  test('without probes a container that runs is started and ready', () => {
    expect(isReady(beginProbes(testContainer('main'), 0))).toBe(true);
  });
  test('a death sentence names its probe', () => {
    const failed = play('liveness', '---');
    expect(deathSentence({ liveness: failed })).toContain('liveness');
    expect(deathSentence({ readiness: play('readiness', '+---') })).toBeUndefined();
  });
});
