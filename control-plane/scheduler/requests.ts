/** What a pod asks of a node, in whole units, read once per containers object (objects never change in place). */
import { cpuMillis, wholeUnits } from '../../lib/model/quantity.ts';
import { fromSharedParts } from '../../lib/model/shared-parts.ts';
import type { Container, Pod, PodSpec } from '../../proto/gen/types.ts';

export interface Requests {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** `protocol/hostIP/port`; hostIP 0.0.0.0 means every address. */
  readonly hostPorts: readonly string[];
}

/**
 * Containers run together, init containers one after another before them: the larger of the sum of the former and the
 * largest of the latter (Kubernetes' effective request).
 */
export function requestsOf({ spec }: Pod): Requests {
  return ofSpec(spec);
}

const ofSpec = fromSharedParts(['initContainers', 'hostNetwork'], compute);

function compute(spec: PodSpec): Requests {
  const effective = (read: (container: Container) => number): number =>
    Math.max(
      spec.containers.reduce((sum, container) => sum + read(container), 0),
      ...(spec.initContainers ?? []).map(read),
    );
  return {
    cpuMillis: effective((container) => cpuMillis(requested(container, 'cpu'))),
    memoryBytes: effective((container) => wholeUnits(requested(container, 'memory'))),
    hostPorts: spec.containers.flatMap((container) =>
      (container.ports ?? []).flatMap((port) => {
        const hostPort = spec.hostNetwork ? port.containerPort : port.hostPort;
        return hostPort ? [`${port.protocol ?? 'TCP'}/${port.hostIP ?? '0.0.0.0'}/${hostPort}`] : [];
      }),
    ),
  };
}

function requested({ resources }: Container, resource: string): string {
  return resources?.requests?.[resource] ?? resources?.limits?.[resource] ?? '0';
}

/** Whether two host port entries cannot live on one node. */
export function hostPortsCollide(a: string, b: string): boolean {
  if (a === b) return true;
  const [protocolA, ipA, portA] = a.split('/');
  const [protocolB, ipB, portB] = b.split('/');
  return protocolA === protocolB && portA === portB && (ipA === '0.0.0.0' || ipB === '0.0.0.0');
}
