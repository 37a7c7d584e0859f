/**
 * Service addresses: what the node's nft table must hold for the Services, their ready endpoints and the host ports of
 * the node's own pods. Pure; nft.ts turns it into text.
 *
 * One chain per service port picks an endpoint; two verdict maps lead there from ClusterIP . protocol . port and from
 * protocol . node port. A packet pays for one map lookup however many services there are. Whatever is still addressed
 * to the service range after that has no endpoint and is refused at once.
 */
import { isPublished } from '../../lib/dns/records.ts';
import type { Endpoint, EndpointSlice, Service, ServicePort } from '../../proto/gen/types.ts';
import { contains, parseAddress, type Range } from './addresses.ts';

export interface ServiceRules {
  /** Chain name -> its rules. */
  readonly chains: ReadonlyMap<string, string>;
  /** Element key -> value, per map. */
  readonly serviceAddresses: ReadonlyMap<string, string>;
  readonly nodePorts: ReadonlyMap<string, string>;
  readonly hostPorts: ReadonlyMap<string, string>;
  readonly hostAddressPorts: ReadonlyMap<string, string>;
  /** Keys alone: local pods that may reach themselves through a service or a host port. */
  readonly hairpins: ReadonlyMap<string, string>;
}

export interface HostPortTarget {
  readonly protocol: 'TCP' | 'UDP';
  readonly hostPort: number;
  readonly hostIP?: string;
  readonly podIP: string;
  readonly containerPort: number;
}

export interface ServiceInput {
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
  readonly hostPorts: readonly HostPortTarget[];
  /** The own node's pods; undefined while it has no range. */
  readonly podRange: Range | undefined;
  /** Answered on every node by the agent itself: never translated. */
  readonly dnsIP: string;
}

const serviceNameLabel = 'kubernetes.io/service-name';

export function planServices(input: ServiceInput): ServiceRules {
  const slices = groupByService(input.endpointSlices);
  const chains = new Map<string, string>();
  const serviceAddresses = new Map<string, string>();
  const nodePorts = new Map<string, string>();
  for (const service of [...input.services].sort(byAge)) {
    const { clusterIP, type } = service.spec;
    const proxied = type !== 'ExternalName' && clusterIP !== undefined && parseAddress(clusterIP) !== undefined;
    if (!proxied || clusterIP === input.dnsIP) continue;
    for (const port of service.spec.ports ?? []) {
      const targets = targetsOf(service, port, slices.get(serviceKey(service.metadata)) ?? []);
      if (targets.length === 0) continue;
      const protocol = (port.protocol ?? 'TCP').toLowerCase();
      const chain = `svc/${serviceKey(service.metadata)}/${protocol}/${port.port}`;
      chains.set(chain, pickRule(protocol, targets, service.spec.sessionAffinity === 'ClientIP'));
      claim(serviceAddresses, `${clusterIP} . ${protocol} . ${port.port}`, `goto ${chain}`);
      if (type === 'NodePort' && port.nodePort) claim(nodePorts, `${protocol} . ${port.nodePort}`, `goto ${chain}`);
    }
  }
  return { chains, serviceAddresses, nodePorts, hairpins: hairpinsOf(input), ...hostPortMaps(input.hostPorts) };
}

function groupByService(slices: readonly EndpointSlice[]): ReadonlyMap<string, readonly EndpointSlice[]> {
  return Map.groupBy(
    slices.filter((slice) => slice.metadata.labels?.[serviceNameLabel] !== undefined),
    (slice) => `${slice.metadata.namespace ?? 'default'}/${slice.metadata.labels![serviceNameLabel]}`,
  );
}

function serviceKey({ namespace = 'default', name = '' }: Service['metadata']): string {
  return `${namespace}/${name}`;
}

/** If two services ever claimed one address or port, the older one keeps it on every node alike. */
function byAge(a: Service, b: Service): number {
  const order = (service: Service): string =>
    `${service.metadata.creationTimestamp ?? ''} ${serviceKey(service.metadata)}`;
  return order(a) < order(b) ? -1 : 1;
}

function claim(elements: Map<string, string>, key: string, value: string): void {
  if (!elements.has(key)) elements.set(key, value);
}

/** `ip . port` of each ready endpoint, in an order that is the same on every node. */
function targetsOf(service: Service, port: ServicePort, slices: readonly EndpointSlice[]): string[] {
  const found = (eligible: (endpoint: Endpoint) => boolean): string[] =>
    slices.flatMap((slice) => {
      const number = slice.ports?.find(
        (entry) => (entry.name ?? '') === (port.name ?? '') && (entry.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
      )?.port;
      if (number === undefined) return [];
      const addresses = (slice.endpoints ?? []).filter(eligible).flatMap((endpoint) => endpoint.addresses ?? []);
      return addresses.filter((ip) => parseAddress(ip) !== undefined).map((ip) => `${ip} . ${number}`);
    });
  const ready = found((endpoint) => isPublished(service, endpoint));
  // When every endpoint is on its way out, those that still serve are better than a refusal.
  const targets =
    ready.length > 0 ? ready : found(({ conditions }) => !!conditions?.serving && !!conditions.terminating);
  return [...new Set(targets)].sort();
}

function pickRule(protocol: string, targets: readonly string[], sticky: boolean): string {
  const destination =
    targets.length === 1
      ? targets[0]!.replace(' . ', ':')
      : `${sticky ? `jhash ip saddr mod ${targets.length} seed 0x67` : `numgen inc mod ${targets.length}`} ` +
        `map { ${targets.map((target, index) => `${index} : ${target}`).join(', ')} }`;
  return `meta l4proto ${protocol} dnat ip to ${destination}`;
}

function hairpinsOf({ podRange, endpointSlices, hostPorts }: ServiceInput): ReadonlyMap<string, string> {
  if (!podRange) return new Map();
  const endpoints = endpointSlices.flatMap((slice) => slice.endpoints ?? []);
  const addresses = [
    ...endpoints.flatMap((endpoint) => endpoint.addresses ?? []),
    ...hostPorts.map(({ podIP }) => podIP),
  ];
  return new Map(addresses.filter((ip) => contains(podRange, ip)).map((ip) => [`${ip} . ${ip}`, '']));
}

function hostPortMaps(targets: readonly HostPortTarget[]): Pick<ServiceRules, 'hostPorts' | 'hostAddressPorts'> {
  const hostPorts = new Map<string, string>();
  const hostAddressPorts = new Map<string, string>();
  for (const { protocol, hostPort, hostIP, podIP, containerPort } of targets) {
    const key = `${protocol.toLowerCase()} . ${hostPort}`;
    const everywhere = hostIP === undefined || hostIP === '' || hostIP === '0.0.0.0';
    const to = `${podIP} . ${containerPort}`;
    if (everywhere) claim(hostPorts, key, to);
    else if (parseAddress(hostIP) !== undefined) claim(hostAddressPorts, `${hostIP} . ${key}`, to);
  }
  return { hostPorts, hostAddressPorts };
}

/** Addresses that UDP is no longer translated to: the kernel keeps sending known flows there until told otherwise. */
export function goneUdpTargets(from: ServiceRules, to: ServiceRules): string[] {
  const after = udpTargets(to);
  return [...udpTargets(from)].filter((ip) => !after.has(ip));
}

function udpTargets({ chains }: ServiceRules): ReadonlySet<string> {
  const rules = [...chains].filter(([name]) => name.includes('/udp/')).map(([, rule]) => rule);
  return new Set(rules.flatMap((rule) => [...rule.matchAll(/(\d+\.\d+\.\d+\.\d+)/g)].map(([ip]) => ip)));
}
