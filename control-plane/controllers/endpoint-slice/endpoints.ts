/** From a service and its pods to endpoints: who is behind it, on which ports. Pure. */
import { isDeleting } from '../../../lib/model/object.ts';
import { isPodFinished, isPodReady } from '../../../lib/model/pods.ts';
import type { Endpoint, EndpointPort, Pod, Service, ServicePort } from '../../../proto/gen/types.ts';

export interface EndpointGroup {
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

/**
 * Pods in groups by what the service's ports mean for them: a named targetPort may be another number in each pod. No
 * group at all when no pod has an address.
 */
export function groupEndpoints(service: Service, pods: readonly Pod[]): EndpointGroup[] {
  const groups = new Map<string, { ports: EndpointPort[]; endpoints: Endpoint[] }>();
  for (const pod of [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const endpoint = endpointOf(service, pod);
    if (!endpoint) continue;
    const ports = (service.spec.ports ?? []).flatMap((port) => resolvePort(port, pod) ?? []);
    const signature = ports.map(signatureOf).join();
    const group = groups.get(signature) ?? { ports, endpoints: [] };
    group.endpoints.push(endpoint);
    groups.set(signature, group);
  }
  return [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

/** Undefined for pods without an address and for those that have run to their end. */
function endpointOf(service: Service, pod: Pod): Endpoint | undefined {
  const { podIP } = pod.status ?? {};
  if (!podIP || isPodFinished(pod)) return undefined;
  const terminating = isDeleting(pod);
  const serving = isPodReady(pod);
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const { namespace = 'default', name, uid } = pod.metadata;
  const { hostname, subdomain, nodeName } = pod.spec;
  const isNamed = hostname !== undefined && subdomain === service.metadata.name;
  return {
    addresses: [podIP],
    conditions: { ready, serving, terminating },
    ...(isNamed && { hostname }),
    targetRef: { kind: 'Pod', namespace, name, ...(uid !== undefined && { uid }) },
    ...(nodeName !== undefined && { nodeName }),
  };
}

function signatureOf({ name = '', protocol, port = 0, appProtocol = '' }: EndpointPort): string {
  return `${name}/${protocol}/${port}/${appProtocol}`;
}

/** Undefined when the pod has no port of that name. */
function resolvePort(port: ServicePort, pod: Pod): EndpointPort | undefined {
  const protocol = port.protocol ?? 'TCP';
  const number = targetNumber(port.targetPort ?? `${port.port}`, protocol, pod);
  if (number === undefined) return undefined;
  return {
    ...(port.name !== undefined && { name: port.name }),
    protocol,
    port: number,
    ...(port.appProtocol !== undefined && { appProtocol: port.appProtocol }),
  };
}

function targetNumber(targetPort: string, protocol: string, pod: Pod): number | undefined {
  if (/^\d+$/.test(targetPort)) return Number(targetPort);
  const ports = pod.spec.containers.flatMap(({ ports = [] }) => ports);
  return ports.find(({ name, protocol: its = 'TCP' }) => name === targetPort && its === protocol)?.containerPort;
}

/** Field by field: slices are large and compared at every change of a pod. */
export function areSameEndpoints(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  return a.length === b.length && a.every((endpoint, index) => isSameEndpoint(endpoint, b[index]!));
}

function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return (
    a.addresses?.[0] === b.addresses?.[0] &&
    a.addresses?.length === b.addresses?.length &&
    a.conditions?.ready === b.conditions?.ready &&
    a.conditions?.serving === b.conditions?.serving &&
    a.conditions?.terminating === b.conditions?.terminating &&
    a.hostname === b.hostname &&
    a.nodeName === b.nodeName &&
    a.targetRef?.uid === b.targetRef?.uid &&
    a.targetRef?.name === b.targetRef?.name
  );
}
