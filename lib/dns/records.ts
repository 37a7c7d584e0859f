/**
 * What DNS knows: tables built from Services and EndpointSlices (and Pods and Namespaces where the reader has them).
 * A service whose object and slices are the same as last time keeps its entry, so that one changed endpoint costs one
 * service, not all of them.
 */
import type { Endpoint, EndpointSlice, KindMap, Service } from '../../proto/gen/types.ts';
import { isAddress } from './address.ts';
import { isEncodable } from './message.ts';

/** The agent's slice and the control plane's snapshot are both this. */
export interface ObjectReader {
  list<K extends 'Service' | 'EndpointSlice' | 'Pod' | 'Namespace'>(kind: K): readonly KindMap[K][];
}

export interface PortRecord {
  readonly name: string;
  /** Lower case. */
  readonly protocol: string;
  readonly port: number;
}

export interface EndpointRecord {
  /** Label under the service: the endpoint's hostname, or its address with dashes. */
  readonly label: string;
  readonly ip: string;
  readonly hasHostname: boolean;
  readonly ports: readonly PortRecord[];
  readonly podName?: string;
  readonly nodeName?: string;
}

export interface ServiceRecord {
  readonly namespace: string;
  readonly name: string;
  readonly type: 'ClusterIP' | 'Headless' | 'ExternalName';
  /** Of type ClusterIP; otherwise undefined. */
  readonly clusterIP: string | undefined;
  /** Of type ExternalName; otherwise undefined. */
  readonly externalName: string | undefined;
  readonly ports: readonly PortRecord[];
  /** Ready ones, or all when the service publishes the others too. */
  readonly endpoints: readonly EndpointRecord[];
  /** Endpoints left out because they are not ready. */
  readonly unreadyCount: number;
}

export interface Records {
  /** Grows with every rebuild; SOA serial, and key of what is cached. */
  readonly version: number;
  /** `namespace/name`. */
  readonly services: ReadonlyMap<string, ServiceRecord>;
  readonly namespaces: ReadonlySet<string>;
  /** Address -> names relative to the zone. */
  readonly reverse: ReadonlyMap<string, readonly string[]>;
  /** Pod address -> namespace, of pods the reader has. */
  readonly podNamespaces: ReadonlyMap<string, string>;
}

export interface RecordsBuilder {
  build(reader: ObjectReader): Records;
}

/** As in Kubernetes, an endpoint that says nothing about it is ready. */
export function isPublished(service: Service, endpoint: Endpoint): boolean {
  return endpoint.conditions?.ready !== false || service.spec.publishNotReadyAddresses === true;
}

interface Memo {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  readonly record: ServiceRecord | undefined;
}

export function createRecordsBuilder(): RecordsBuilder {
  let memos = new Map<string, Memo>();
  let version = 0;
  return {
    build(reader) {
      const slices = Map.groupBy(reader.list('EndpointSlice'), sliceServiceKey);
      const next = new Map<string, Memo>();
      for (const service of reader.list('Service')) {
        const key = keyOf(service.metadata.namespace, service.metadata.name);
        const own = slices.get(key) ?? [];
        const memo = memos.get(key);
        const fresh = memo?.service === service && sameObjects(memo.slices, own);
        next.set(key, fresh ? memo : { service, slices: own, record: recordOf(service, own) });
      }
      memos = next;
      version += 1;
      return tablesOf(
        [...next.values()].flatMap(({ record }) => record ?? []),
        reader,
        version,
      );
    },
  };
}

export function keyOf(namespace: string | undefined, name: string | undefined): string {
  return `${namespace ?? 'default'}/${name ?? ''}`;
}

function sliceServiceKey({ metadata }: EndpointSlice): string {
  return keyOf(metadata.namespace, metadata.labels?.['kubernetes.io/service-name']);
}

function sameObjects(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((entry, index) => entry === b[index]);
}

/** Undefined when the service has no address yet or an external name that DNS cannot carry. */
function recordOf(service: Service, slices: readonly EndpointSlice[]): ServiceRecord | undefined {
  const { spec, metadata } = service;
  const all = slices.flatMap((slice) => (slice.endpoints ?? []).map((endpoint) => ({ endpoint, slice })));
  const published = all.filter(({ endpoint }) => isPublished(service, endpoint));
  const base = {
    namespace: metadata.namespace ?? 'default',
    name: metadata.name ?? '',
    ports: (spec.ports ?? []).map(portRecord),
    endpoints: published.flatMap(({ endpoint, slice }) => endpointRecords(endpoint, slice)),
    unreadyCount: all.length - published.length,
    clusterIP: undefined,
    externalName: undefined,
  };
  if (spec.type === 'ExternalName') {
    const externalName = (spec.externalName ?? '').replace(/\.$/, '').toLowerCase();
    return externalName !== '' && isEncodable(externalName)
      ? { ...base, type: 'ExternalName', externalName }
      : undefined;
  }
  if (spec.clusterIP === 'None') return { ...base, type: 'Headless' };
  if (spec.clusterIP === undefined || !isAddress(spec.clusterIP)) return undefined;
  return { ...base, type: 'ClusterIP', clusterIP: spec.clusterIP };
}

function portRecord(port: { name?: string; protocol?: string; port?: number }): PortRecord {
  return { name: port.name ?? '', protocol: (port.protocol ?? 'TCP').toLowerCase(), port: port.port ?? 0 };
}

function endpointRecords(endpoint: Endpoint, slice: EndpointSlice): EndpointRecord[] {
  const { hostname, targetRef, nodeName } = endpoint;
  const hasHostname = hostname !== undefined && hostname !== '';
  return (endpoint.addresses ?? []).filter(isAddress).map((ip) => ({
    label: hasHostname ? hostname.toLowerCase() : ip.replaceAll('.', '-'),
    ip,
    hasHostname,
    ports: (slice.ports ?? []).map(portRecord),
    ...(targetRef?.kind === 'Pod' && targetRef.name !== undefined && { podName: targetRef.name }),
    ...(nodeName !== undefined && { nodeName }),
  }));
}

function tablesOf(services: readonly ServiceRecord[], reader: ObjectReader, version: number): Records {
  const pods = reader.list('Pod').filter(({ spec, status }) => !spec.hostNetwork && status?.podIP !== undefined);
  return {
    version,
    services: new Map(services.map((service) => [keyOf(service.namespace, service.name), service])),
    namespaces: new Set([
      ...services.map(({ namespace }) => namespace),
      ...reader.list('Namespace').map(({ metadata }) => metadata.name ?? ''),
    ]),
    reverse: reverseOf(services),
    podNamespaces: new Map(pods.map((pod) => [pod.status!.podIP!, pod.metadata.namespace ?? 'default'])),
  };
}

/** Cluster addresses name their service; an endpoint goes by its headless services, or else by the others it serves. */
function reverseOf(services: readonly ServiceRecord[]): ReadonlyMap<string, readonly string[]> {
  const reverse = new Map<string, Set<string>>();
  const add = (ip: string, name: string): void => {
    const names = reverse.get(ip);
    if (names) names.add(name);
    else reverse.set(ip, new Set([name]));
  };
  const addEndpoints = (service: ServiceRecord, accept: (endpoint: EndpointRecord) => boolean): void => {
    for (const endpoint of service.endpoints) {
      if (accept(endpoint)) add(endpoint.ip, `${endpoint.label}.${service.name}.${service.namespace}.svc`);
    }
  };
  for (const service of services) {
    if (service.clusterIP !== undefined) add(service.clusterIP, `${service.name}.${service.namespace}.svc`);
  }
  for (const service of services) {
    addEndpoints(service, (endpoint) => service.type === 'Headless' || endpoint.hasHostname);
  }
  const named = new Set(reverse.keys());
  for (const service of services) {
    if (service.type === 'ClusterIP') addEndpoints(service, (endpoint) => !named.has(endpoint.ip));
  }
  return new Map([...reverse].map(([ip, names]) => [ip, [...names].sort()]));
}
