/** From a probe or hook in the pod's spec to the question to ask. Pure. */
import { GantryError } from '../../lib/errors.ts';
import type { Container, HTTPGetAction, LifecycleHandler, Pod, Probe } from '../../proto/gen/types.ts';
import type { Check } from './prober.ts';

export function probeCheck(pod: Pod, container: Container, containerId: string, probe: Probe): Check {
  const { exec, httpGet, tcpSocket } = probe;
  if (exec) return { type: 'exec', containerId, argv: exec.command };
  if (httpGet) return httpCheck(pod, container, httpGet);
  if (tcpSocket) {
    return { type: 'tcp', host: tcpSocket.host ?? podAddress(pod), port: portNumber(container, tcpSocket.port) };
  }
  throw new GantryError(
    'invalidArgument',
    `a probe of container "${container.name}" has no exec, httpGet or tcpSocket`,
  );
}

/** Undefined for `sleep`, which asks nothing. */
export function hookCheck(
  pod: Pod,
  container: Container,
  containerId: string,
  hook: LifecycleHandler,
): Check | undefined {
  if (hook.exec) return { type: 'exec', containerId, argv: hook.exec.command };
  return hook.httpGet && httpCheck(pod, container, hook.httpGet);
}

function httpCheck(pod: Pod, container: Container, action: HTTPGetAction): Check {
  const path = action.path ?? '/';
  return {
    type: 'http',
    host: action.host ?? podAddress(pod),
    port: portNumber(container, action.port),
    path: path.startsWith('/') ? path : `/${path}`,
    scheme: action.scheme ?? 'HTTP',
    headers: Object.fromEntries((action.httpHeaders ?? []).map(({ name, value }) => [name, value])),
  };
}

function podAddress(pod: Pod): string {
  return pod.status?.podIP ?? '127.0.0.1';
}

/** A number, or the name of one of the container's ports. */
function portNumber(container: Container, port: string): number {
  const number = Number(port);
  if (Number.isInteger(number)) return number;
  const named = container.ports?.find(({ name }) => name === port);
  if (named) return named.containerPort;
  throw new GantryError('invalidArgument', `container "${container.name}" has no port named "${port}"`);
}
