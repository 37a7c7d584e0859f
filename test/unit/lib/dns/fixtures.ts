/** A small cluster for DNS tests, and questions in one line. */
import { type AnswerOptions, answer } from '../../../../lib/dns/answer.ts';
import { type ResourceRecord, rcodeName, Type, typeCode, typeName } from '../../../../lib/dns/message.ts';
import { createRecordsBuilder, type ObjectReader, type Records } from '../../../../lib/dns/records.ts';
import { dataText } from '../../../../lib/dns/zone-text.ts';
import type { Endpoint, EndpointSlice, Pod, Service, ServicePort } from '../../../../proto/gen/types.ts';

export const options: AnswerOptions = {
  zone: 'cluster.local',
  reverseCIDRs: ['10.42.0.0/16', '10.43.0.0/16'],
  serverIP: '10.43.0.10',
};

export function service(name: string, spec: Service['spec'], namespace = 'default'): Service {
  return { apiVersion: 'v1', kind: 'Service', metadata: { namespace, name }, spec };
}

export function slice(
  name: string,
  endpoints: Endpoint[],
  ports: readonly ServicePort[] = [],
  namespace = 'default',
): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace, name, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints,
    ports: ports.map(({ name: portName, protocol, port }) => ({
      ...(portName !== undefined && { name: portName }),
      ...(protocol && { protocol }),
      port,
    })),
  };
}

export function endpoint(ip: string, more: Partial<Endpoint> = {}): Endpoint {
  return { addresses: [ip], conditions: { ready: true }, ...more };
}

export function pod(name: string, podIP: string, namespace = 'default'): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, uid: name },
    spec: { containers: [] },
    status: { podIP },
  };
}

type Object = Service | EndpointSlice | Pod;

export function readerOf(objects: readonly Object[]): ObjectReader {
  return { list: (kind) => objects.filter((object) => object.kind === kind) as never };
}

const web = [
  { name: 'http', port: 80 },
  { name: 'dns', protocol: 'UDP', port: 53 },
] as const satisfies ServicePort[];

export const cluster: readonly Object[] = [
  service('echo', { clusterIP: '10.43.0.5', ports: [...web] }),
  slice(
    'echo',
    [endpoint('10.42.1.5', { targetRef: { kind: 'Pod', name: 'echo-a' }, nodeName: 'node-1' })],
    [{ name: 'http', port: 8080 }],
  ),
  service('db', { clusterIP: 'None', ports: [{ name: 'sql', port: 5432 }] }, 'prod'),
  slice(
    'db',
    [
      endpoint('10.42.1.7', { hostname: 'db-0' }),
      endpoint('10.42.2.7'),
      endpoint('10.42.3.7', { conditions: { ready: false } }),
    ],
    [{ name: 'sql', port: 5433 }],
    'prod',
  ),
  service('eager', { clusterIP: 'None', publishNotReadyAddresses: true }),
  slice('eager', [endpoint('10.42.3.8', { conditions: { ready: false } })]),
  service('idle', { clusterIP: 'None' }),
  service('outside', { type: 'ExternalName', externalName: 'www.Example.com.' }),
  service('alias', { type: 'ExternalName', externalName: 'echo.default.svc.cluster.local' }),
  service('loop', { type: 'ExternalName', externalName: 'loop.default.svc.cluster.local' }),
  service('pending', {}),
  pod('client', '10.42.1.99', 'prod'),
];

export const records: Records = createRecordsBuilder().build(readerOf(cluster));

/** `NOERROR aa | name TYPE data; ... | + additional; ...`, or "forward". */
export function ask(name: string, type: keyof typeof Type = 'A', from = records): string {
  const found = answer({ name: name.toLowerCase(), type: Type[type] }, from, options);
  if (!found) return 'forward';
  const { rcode, answers, additionals, authorities } = found.reply;
  return [
    rcodeName(rcode),
    ...answers.map(text),
    ...additionals.map((record) => `+ ${text(record)}`),
    ...authorities.map(({ data }) => data.type),
    ...(found.chase ? [`? ${found.chase.name} ${typeName(found.chase.type)}`] : []),
  ].join(' | ');
}

export function text({ name, data }: ResourceRecord): string {
  return `${name.replace(/\.cluster\.local$/, '')} ${typeName(typeCode(data))} ${dataText(data).replace(/\.cluster\.local\.$/, '')}`;
}
