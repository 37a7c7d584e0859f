/** Sentences about where an answer comes from: the service, its endpoints and their nodes; or what is missing. Pure. */
import { addressOfReverseName } from '../../lib/dns/address.ts';
import type { Question } from '../../lib/dns/answer.ts';
import { Rcode, type Reply, typeName } from '../../lib/dns/message.ts';
import { type EndpointRecord, keyOf, type Records, type ServiceRecord } from '../../lib/dns/records.ts';
import type { ClusterDnsOptions } from './cluster-dns.ts';

const mostListed = 10;

export function originOf(
  question: Question,
  reply: Reply,
  records: Records,
  zone: string,
  state: ClusterDnsOptions['state'],
): string[] {
  const ip = addressOfReverseName(question.name);
  if (ip !== undefined) return reverseOrigin(ip, records);
  const parts = serviceParts(question.name, zone);
  if (!parts) return [`${question.name}: ${outcome(question, reply)}, from zone ${zone} itself`];
  const service = records.services.get(keyOf(parts.namespace, parts.service));
  if (!service) return [absence(parts, records, state)];
  return [
    ...describe(service),
    ...(reply.answers.length === 0 ? [`${question.name}: ${outcome(question, reply)}`] : []),
  ];
}

/** The object behind an address. */
export function sourceOf(ip: string, name: string, records: Records): string | undefined {
  const labels = name.toLowerCase().split('.');
  const own = [1, 2].flatMap((at) => records.services.get(keyOf(labels[at], labels[at - 1])) ?? []);
  const candidates = own.length > 0 ? own : [...records.services.values()];
  for (const service of candidates) {
    if (service.clusterIP === ip) return `service ${service.namespace}/${service.name}`;
    const endpoint = service.endpoints.find((entry) => entry.ip === ip);
    if (endpoint) return endpointText(service, endpoint);
  }
  return undefined;
}

function serviceParts(name: string, zone: string): { namespace: string; service: string } | undefined {
  if (!name.endsWith(`.svc.${zone}`)) return undefined;
  const labels = name.slice(0, -`.svc.${zone}`.length).split('.');
  const namespace = labels.at(-1);
  const service = labels.at(-2);
  return namespace === undefined || service === undefined ? undefined : { namespace, service };
}

function outcome(question: Question, reply: Reply): string {
  if (reply.rcode === Rcode.NXDOMAIN) return 'there is no such name';
  return reply.answers.length > 0 ? 'found' : `the name exists but has no ${typeName(question.type)} record`;
}

function absence(
  { namespace, service }: { namespace: string; service: string },
  records: Records,
  state: ClusterDnsOptions['state'],
): string {
  const exists = state
    .list('Service')
    .some(({ metadata }) => keyOf(metadata.namespace, metadata.name) === keyOf(namespace, service));
  if (exists)
    return `service ${namespace}/${service} has no cluster IP and no usable external name yet; see "ctl describe service ${service} -n ${namespace}"`;
  if (!records.namespaces.has(namespace)) return `there is no namespace ${namespace}; see "ctl get namespaces"`;
  const elsewhere = [...records.services.values()].filter(({ name }) => name === service).map(keyText);
  const hint =
    elsewhere.length > 0 ? `; it exists as ${elsewhere.join(', ')}` : `; see "ctl get services -n ${namespace}"`;
  return `there is no service ${service} in namespace ${namespace}${hint}`;
}

function keyText({ namespace, name }: ServiceRecord): string {
  return `${namespace}/${name}`;
}

function describe(service: ServiceRecord): string[] {
  const { type, endpoints, unreadyCount, clusterIP, externalName } = service;
  if (type === 'ExternalName') return [`service ${keyText(service)} is an ExternalName: ${externalName}`];
  const head =
    type === 'Headless'
      ? `service ${keyText(service)} (headless)`
      : `service ${keyText(service)} (ClusterIP ${clusterIP})`;
  const listed = endpoints
    .slice(0, mostListed)
    .map((endpoint) => `${endpointText(service, endpoint)} (${endpoint.ip})`);
  const more = endpoints.length > mostListed ? ` and ${endpoints.length - mostListed} more` : '';
  const ready = endpoints.length > 0 ? `leads to ${listed.join(', ')}${more}` : 'has no ready pod';
  const unready =
    unreadyCount > 0
      ? [`${unreadyCount} of its pods are not ready and left out; see "ctl get pods -n ${service.namespace}"`]
      : [];
  return [`${head} ${ready}`, ...unready];
}

function endpointText(service: ServiceRecord, { podName, ip, nodeName }: EndpointRecord): string {
  const what = podName === undefined ? `endpoint ${ip}` : `pod ${service.namespace}/${podName}`;
  return nodeName === undefined ? what : `${what} on ${nodeName}`;
}

function reverseOrigin(ip: string, records: Records): string[] {
  const source = sourceOf(ip, '', records);
  return [source === undefined ? `${ip} belongs to no service and to no ready endpoint of one` : `${ip} is ${source}`];
}
