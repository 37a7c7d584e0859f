/** `ctl dns NAME`: asks as a pod would, and says where the answer comes from. */
import { isAddress, reverseNameOf } from '../../lib/dns/address.ts';
import { type Answer, type AnswerOptions, answer, type Question } from '../../lib/dns/answer.ts';
import {
  isEncodable,
  Rcode,
  type Reply,
  type ResourceRecord,
  rcodeName,
  Type,
  typeCode,
  typeName,
} from '../../lib/dns/message.ts';
import type { Records } from '../../lib/dns/records.ts';
import { dataText } from '../../lib/dns/zone-text.ts';
import { GantryError, messageOf } from '../../lib/errors.ts';
import type { ResolvedRecord, ResolveRequest, ResolveResponse } from '../../proto/gen/types.ts';
import { answerOptions, type ClusterDnsOptions, clusterUpstream, followState } from './cluster-dns.ts';
import { originOf, sourceOf } from './origin.ts';

export interface ResolverOptions extends Omit<ClusterDnsOptions, 'listen'> {
  /** Said to have answered: `control-plane 10.88.0.2`. */
  readonly server: string;
}

export interface Resolver {
  /** Throws invalidArgument for a name or type that DNS does not have, unavailable before the state is known. */
  resolve(request: ResolveRequest): Promise<ResolveResponse>;
  stop(): void;
}

export function createResolver(options: ResolverOptions): Resolver {
  const records = followState(options.state);
  const upstream = clusterUpstream(options, []);
  const zoneOptions = answerOptions(options);

  async function askOutside(question: Question, reply?: Reply): Promise<{ reply: Reply; sentence: string }> {
    const before = reply?.answers ?? [];
    try {
      const { answer: outside, server } = await upstream.ask(question.name, question.type);
      return {
        reply: { ...outside, answers: [...before, ...outside.answers] },
        sentence: `${question.name} is not in zone ${options.zone}: upstream ${server} answered ${rcodeName(outside.rcode)}`,
      };
    } catch (error) {
      const failed: Reply = {
        rcode: Rcode.SERVFAIL,
        authoritative: false,
        answers: before,
        authorities: [],
        additionals: [],
      };
      return { reply: failed, sentence: `${question.name} is not in zone ${options.zone}: ${messageOf(error)}` };
    }
  }

  return {
    async resolve(request) {
      const current = records.current();
      if (!current) throw new GantryError('unavailable', 'this control plane has not read the cluster yet; try again');
      const asked = readQuestion(request);
      const namespace = request.namespace ?? 'default';
      const { question, result } = search(asked, namespace, current, zoneOptions);
      const outside = result
        ? result.chase && (await askOutside(result.chase, result.reply))
        : await askOutside(question);
      const reply = outside?.reply ?? result!.reply;
      const searched =
        question.name === asked.name ? [] : [`"${asked.name}" in namespace ${namespace} is ${question.name}`];
      const ours = result ? originOf(question, reply, current, options.zone, options.state) : [];
      return {
        rcode: rcodeName(reply.rcode),
        records: reply.answers.map((record) => resolved(record, current)),
        canonicalName: canonicalName(question.name, reply.answers),
        origin: [...searched, ...ours, ...(outside ? [outside.sentence] : [])],
        server: options.server,
      };
    },
    stop: () => records.stop(),
  };
}

interface Asked extends Question {
  /** Ended with a dot: no search path. */
  readonly absolute: boolean;
}

function readQuestion({ name = '', type: wanted = 'A' }: ResolveRequest): Asked {
  const plain = name.trim().toLowerCase();
  if (isAddress(plain)) return { name: reverseNameOf(plain), type: Type.PTR, absolute: true };
  const type = (Type as Readonly<Record<string, number>>)[wanted.toUpperCase()];
  if (type === undefined || type === Type.OPT) {
    throw new GantryError('invalidArgument', `DNS type "${wanted}" is not known; use A, AAAA, SRV, PTR, TXT or CNAME`);
  }
  const absolute = plain.endsWith('.');
  const bare = plain.replace(/\.$/, '');
  if (bare === '' || !isEncodable(bare)) {
    throw new GantryError(
      'invalidArgument',
      `"${name}" is not a DNS name: labels have 1 to 63 characters, names at most 253`,
    );
  }
  return { name: bare, type, absolute };
}

/** What a resolver with the pod's search path and ndots:5 ends with; without a hit, the name as it was asked. */
function search(
  asked: Asked,
  namespace: string,
  records: Records,
  options: AnswerOptions,
): { question: Question; result: Answer | undefined } {
  const { name, type, absolute } = asked;
  const { zone } = options;
  const listed = [`${name}.${namespace}.svc.${zone}`, `${name}.svc.${zone}`, `${name}.${zone}`].filter(isEncodable);
  const before = absolute || name.split('.').length > 5 ? [] : listed;
  for (const candidate of before) {
    const result = answer({ name: candidate, type }, records, options);
    if (result && result.reply.rcode !== Rcode.NXDOMAIN) return { question: { name: candidate, type }, result };
  }
  const question = { name: meantName(asked, listed, records), type };
  return { question, result: answer(question, records, options) };
}

/** `web`, `web.NAMESPACE` and `web.NAMESPACE.svc` are nobody's names outside: say no about the service they mean. */
function meantName({ name, absolute }: Asked, listed: readonly string[], records: Records): string {
  const labels = name.split('.');
  if (absolute) return name;
  if (labels.length === 1) return listed[0] ?? name;
  if (labels.length === 2 && records.namespaces.has(labels[1]!)) return listed[1] ?? name;
  return labels.at(-1) === 'svc' ? (listed[2] ?? name) : name;
}

function canonicalName(name: string, answers: readonly ResourceRecord[]): string {
  let current = name;
  for (const { name: owner, data } of answers) {
    if (data.type === 'CNAME' && owner.toLowerCase() === current.toLowerCase()) current = data.target;
  }
  return current;
}

function resolved(record: ResourceRecord, records: Records): ResolvedRecord {
  const source = record.data.type === 'A' ? sourceOf(record.data.address, record.name, records) : undefined;
  return {
    name: record.name,
    type: typeName(typeCode(record.data)),
    ttlSeconds: record.ttlSeconds,
    data: dataText(record.data),
    ...(source !== undefined && { source }),
  };
}
