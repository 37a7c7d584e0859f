/**
 * Answers a question from the records: pure. The names are those of the Kubernetes DNS specification 1.1.0
 * (https://github.com/kubernetes/dns/blob/master/docs/specification.md); the numbers in comments are its sections.
 */
import { addressOfReverseName, isAddress, isInside } from './address.ts';
import { emptyReply, Rcode, type RecordData, type Reply, type ResourceRecord, Type } from './message.ts';
import { type EndpointRecord, keyOf, type Records, type ServiceRecord } from './records.ts';

export interface Question {
  /** Lower case, without the trailing dot. */
  readonly name: string;
  readonly type: number;
}

export interface AnswerOptions {
  /** `cluster.local` */
  readonly zone: string;
  /** Addresses whose reverse names are ours alone: pods and services. */
  readonly reverseCIDRs: readonly string[];
  /** Address of the server itself, for `ns.dns.ZONE`. */
  readonly serverIP?: string;
}

export interface Answer {
  readonly reply: Reply;
  /** The answer goes on outside: ask upstream for this and append. */
  readonly chase?: Question;
}

export const ttlSeconds = 5;
const longestChain = 8;
const schemaVersion = '1.1.0';

/** Undefined when the name is none of ours. */
export function answer(question: Question, records: Records, options: AnswerOptions): Answer | undefined {
  const { zone } = options;
  const inZone = question.name === zone || question.name.endsWith(`.${zone}`);
  if (!inZone) return answerReverse(question, records, options);
  if (question.type === Type.AXFR || question.type === Type.IXFR) return { reply: emptyReply(Rcode.REFUSED) };
  return answerInZone(question, records, options, []);
}

function answerInZone(
  question: Question,
  records: Records,
  options: AnswerOptions,
  chain: readonly ResourceRecord[],
): Answer {
  const found = find(question, records, options);
  const soa = startOfAuthority(records, options);
  if (!found) return { reply: { ...emptyReply(Rcode.NXDOMAIN, true), answers: chain, authorities: [soa] } };
  if (found.alias !== undefined) return follow(question, found.alias, records, options, chain);
  const answers = [...chain, ...found.answers];
  const nothing = found.answers.length === 0;
  const additionals = found.additionals ?? [];
  return {
    reply: { rcode: Rcode.NOERROR, authoritative: true, answers, authorities: nothing ? [soa] : [], additionals },
  };
}

/** 2.5: an ExternalName is a CNAME; who asks for addresses gets the whole chain. */
function follow(
  question: Question,
  target: string,
  records: Records,
  options: AnswerOptions,
  before: readonly ResourceRecord[],
): Answer {
  const chain = [...before, record(question.name, { type: 'CNAME', target })];
  const reply: Reply = { ...emptyReply(Rcode.NOERROR, true), answers: chain };
  if (question.type === Type.CNAME) return { reply };
  if (chain.length >= longestChain) return { reply: { ...reply, rcode: Rcode.SERVFAIL } };
  const next = { name: target, type: question.type };
  const inZone = target === options.zone || target.endsWith(`.${options.zone}`);
  return inZone ? answerInZone(next, records, options, chain) : { reply, chase: next };
}

interface Found {
  readonly answers: readonly ResourceRecord[];
  readonly additionals?: readonly ResourceRecord[];
  readonly alias?: string;
}

/** The name exists but has no record of the type asked for. */
const noData: Found = { answers: [] };

/** Undefined: no such name. */
function find(question: Question, records: Records, options: AnswerOptions): Found | undefined {
  const { name, type } = question;
  if (name === options.zone) return findApex(question, records, options);
  const labels = name.slice(0, -options.zone.length - 1).split('.');
  const kind = labels.pop();
  const namespace = labels.pop();
  if (kind === 'svc')
    return namespace === undefined ? noData : findInNamespace(question, labels, namespace, records, options);
  if (kind === 'pod') return namespace === undefined ? noData : findPod(question, labels, namespace, records);
  if (kind === 'dns-version' && namespace === undefined) {
    return type === Type.TXT ? one(name, { type: 'TXT', strings: [schemaVersion] }) : noData;
  }
  if (kind === 'dns' && labels.length === 0) {
    if (namespace === undefined) return noData;
    if (namespace === 'ns' && options.serverIP !== undefined) return addresses(question, [options.serverIP]);
  }
  return undefined;
}

function findApex({ name, type }: Question, records: Records, options: AnswerOptions): Found {
  if (type === Type.SOA) return { answers: [startOfAuthority(records, options)] };
  if (type === Type.NS) return one(name, { type: 'NS', target: `ns.dns.${options.zone}` });
  return noData;
}

function findInNamespace(
  question: Question,
  labels: readonly string[],
  namespace: string,
  records: Records,
  options: AnswerOptions,
): Found | undefined {
  if (labels.length === 0) return records.namespaces.has(namespace) ? noData : undefined;
  const service = records.services.get(keyOf(namespace, labels.at(-1)));
  if (!service || labels.length > 3) return undefined;
  const below = labels.slice(0, -1);
  if (below.length === 0) return findService(question, service);
  if (below.length === 1 && !below[0]!.startsWith('_')) {
    const endpoints = service.endpoints.filter(({ label }) => label === below[0]);
    return endpoints.length > 0
      ? addresses(
          question,
          endpoints.map(({ ip }) => ip),
        )
      : undefined;
  }
  return findPorts(question, below, service, options);
}

/** 2.3.1 and 2.4.1. A headless service without a ready endpoint does not exist. */
function findService(question: Question, service: ServiceRecord): Found | undefined {
  if (service.externalName !== undefined) return { answers: [], alias: service.externalName };
  if (service.clusterIP !== undefined) return addresses(question, [service.clusterIP]);
  return service.endpoints.length > 0
    ? addresses(
        question,
        service.endpoints.map(({ ip }) => ip),
      )
    : undefined;
}

/** 2.3.2 and 2.4.2: `_port._protocol.service`; `_protocol.service` alone exists and holds nothing. */
function findPorts(
  question: Question,
  below: readonly string[],
  service: ServiceRecord,
  { zone }: AnswerOptions,
): Found | undefined {
  const protocol = below.at(-1)!.slice(1);
  const portName = below.length === 2 ? below[0]!.slice(1) : undefined;
  if (below.some((label) => !label.startsWith('_'))) return undefined;
  const base = `${service.name}.${service.namespace}.svc.${zone}`;
  const targets =
    service.type === 'Headless'
      ? service.endpoints.flatMap((endpoint) => endpoint.ports.map((port) => ({ port, ...targetOf(endpoint, base) })))
      : service.ports.map((port) => ({ port, target: base, ip: service.clusterIP }));
  const inProtocol = targets.filter(({ port }) => port.protocol === protocol && port.name !== '');
  const matching = inProtocol.filter(({ port }) => portName === undefined || port.name === portName);
  if (matching.length === 0) return undefined;
  if (portName === undefined || (question.type !== Type.SRV && question.type !== Type.ANY)) return noData;
  const glue = new Map(
    matching.flatMap(({ target, ip }) => (ip === undefined ? [] : [[`${target} ${ip}`, { target, ip }]])),
  );
  return {
    answers: matching.map(({ port, target }) =>
      record(question.name, { type: 'SRV', priority: 0, weight: 100, port: port.port, target }),
    ),
    additionals: [...glue.values()].map(({ target, ip }) => record(target, { type: 'A', address: ip })),
  };
}

function targetOf(endpoint: EndpointRecord, base: string): { target: string; ip: string } {
  return { target: `${endpoint.label}.${base}`, ip: endpoint.ip };
}

/** Not in the specification any more, but asked for by what grew up with it: `10-42-0-7.NAMESPACE.pod.ZONE`. */
function findPod(
  question: Question,
  labels: readonly string[],
  namespace: string,
  records: Records,
): Found | undefined {
  if (labels.length === 0) return records.namespaces.has(namespace) ? noData : undefined;
  const ip = labels[0]!.replaceAll('-', '.');
  return labels.length === 1 && isAddress(ip) ? addresses(question, [ip]) : undefined;
}

/** 2.3.3 and 2.4.3. Addresses of ours without a name do not exist; others are not ours to deny. */
function answerReverse(question: Question, records: Records, options: AnswerOptions): Answer | undefined {
  const ip = addressOfReverseName(question.name);
  if (ip === undefined) return undefined;
  const names = records.reverse.get(ip);
  const soa = startOfAuthority(records, options);
  if (!names) {
    if (!options.reverseCIDRs.some((cidr) => isInside(cidr, ip))) return undefined;
    return { reply: { ...emptyReply(Rcode.NXDOMAIN, true), authorities: [soa] } };
  }
  const wanted = question.type === Type.PTR || question.type === Type.ANY;
  const answers = wanted
    ? names.map((name) => record(question.name, { type: 'PTR', target: `${name}.${options.zone}` }))
    : [];
  return { reply: { ...emptyReply(Rcode.NOERROR, true), answers, authorities: wanted ? [] : [soa] } };
}

/** One A record for each address; there are no IPv6 addresses, so AAAA is "no data". */
function addresses({ name, type }: Question, ips: readonly string[]): Found {
  if (type !== Type.A && type !== Type.ANY) return noData;
  return { answers: [...new Set(ips)].map((address) => record(name, { type: 'A', address })) };
}

function one(name: string, data: RecordData): Found {
  return { answers: [record(name, data)] };
}

export function record(name: string, data: RecordData): ResourceRecord {
  return { name, ttlSeconds, data };
}

function startOfAuthority({ version }: Records, { zone }: AnswerOptions): ResourceRecord {
  return record(zone, {
    type: 'SOA',
    primary: `ns.dns.${zone}`,
    mailbox: `hostmaster.${zone}`,
    serial: version,
    refreshSeconds: 7200,
    retrySeconds: 1800,
    expireSeconds: 86_400,
    // How long a "no" may be remembered.
    minimumSeconds: ttlSeconds,
  });
}
