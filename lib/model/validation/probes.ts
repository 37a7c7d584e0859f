/** Probes and lifecycle hooks of a container. */
import type { Container, HTTPGetAction, LifecycleHandler, Probe } from '../../../proto/gen/types.ts';
import { at } from '../problems.ts';
import { checkAtLeast, checkExactlyOne, checkPortOrName, type Report } from './checks.ts';

const probeFields = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;

export function checkProbes(container: Container, path: string, report: Report): void {
  for (const field of probeFields) {
    const probe = container[field];
    if (probe) checkProbe(probe, field, container, at(path, field), report);
  }
}

function checkProbe(
  probe: Probe,
  field: (typeof probeFields)[number],
  container: Container,
  path: string,
  report: Report,
): void {
  checkExactlyOne(probe, ['exec', 'httpGet', 'tcpSocket'], path, report);
  if (probe.httpGet) checkHTTP(probe.httpGet, container, at(path, 'httpGet'), report);
  if (probe.tcpSocket) checkTargetPort(probe.tcpSocket.port, container, at(path, 'tcpSocket.port'), report);
  checkAtLeast(probe.initialDelaySeconds, 0, at(path, 'initialDelaySeconds'), report);
  checkAtLeast(probe.timeoutSeconds, 1, at(path, 'timeoutSeconds'), report);
  checkAtLeast(probe.periodSeconds, 1, at(path, 'periodSeconds'), report);
  checkAtLeast(probe.successThreshold, 1, at(path, 'successThreshold'), report);
  checkAtLeast(probe.failureThreshold, 1, at(path, 'failureThreshold'), report);
  checkAtLeast(probe.terminationGracePeriodSeconds, 1, at(path, 'terminationGracePeriodSeconds'), report);
  if (field === 'readinessProbe') {
    if (probe.terminationGracePeriodSeconds !== undefined) {
      report(at(path, 'terminationGracePeriodSeconds'), 'a readinessProbe stops nothing; remove it');
    }
  } else if ((probe.successThreshold ?? 1) > 1) {
    report(at(path, 'successThreshold'), `must be 1 for a ${field}`);
  }
}

function checkHTTP(action: HTTPGetAction, container: Container, path: string, report: Report): void {
  checkTargetPort(action.port, container, at(path, 'port'), report);
  if (action.path !== undefined && !action.path.startsWith('/')) report(at(path, 'path'), 'must begin with "/"');
}

function checkTargetPort(port: string | undefined, container: Container, path: string, report: Report): void {
  checkPortOrName(port, path, report);
  if (port === undefined || /^-?\d+$/.test(port)) return;
  const names = (container.ports ?? []).flatMap((entry) => (entry.name ? [entry.name] : []));
  if (names.includes(port)) return;
  const hint = names.length === 0 ? 'it has no named ports' : `it has ${names.join(', ')}`;
  report(path, `no port of this container is called ${JSON.stringify(port)}; ${hint}`);
}

export function checkLifecycle({ lifecycle, ...container }: Container, path: string, report: Report): void {
  for (const hook of ['postStart', 'preStop'] as const) {
    const handler = lifecycle?.[hook];
    if (handler) checkHandler(handler, container, at(path, hook), report);
  }
}

function checkHandler(handler: LifecycleHandler, container: Container, path: string, report: Report): void {
  checkExactlyOne(handler, ['exec', 'httpGet', 'sleep'], path, report);
  if (handler.httpGet) checkHTTP(handler.httpGet, container, at(path, 'httpGet'), report);
  checkAtLeast(handler.sleep?.seconds, 0, at(path, 'sleep.seconds'), report);
}
