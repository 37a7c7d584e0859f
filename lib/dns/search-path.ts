/**
 * Search paths resolved on the server. A pod's resolv.conf has `search NAMESPACE.svc.ZONE svc.ZONE ZONE` and
 * `ndots:5`, so a resolver asks up to four times for one name. When the first of these questions has no answer and we
 * know the client's namespace, we try the rest of the list ourselves and answer at once, with a CNAME from the name
 * asked for to the one that exists. Pure.
 */
import { type Answer, type AnswerOptions, answer, type Question, record } from './answer.ts';
import { emptyReply, Rcode, type Reply, Type } from './message.ts';
import type { Records } from './records.ts';

export interface SearchAnswer extends Answer {
  /** What to say when the name does not exist outside either, or nobody there answers. */
  readonly otherwise?: Reply;
}

/** As `answer`, for a client in `namespace`. */
export function answerWithSearch(
  question: Question,
  records: Records,
  options: AnswerOptions,
  namespace: string | undefined,
): SearchAnswer | undefined {
  const first = answer(question, records, options);
  const asksAddress = question.type === Type.A || question.type === Type.AAAA;
  if (!asksAddress || namespace === undefined || first?.reply.rcode !== Rcode.NXDOMAIN) return first;
  for (const name of laterNames(question.name, namespace, options.zone)) {
    const alias = record(question.name, { type: 'CNAME', target: name });
    const next = { name, type: question.type };
    const found = answer(next, records, options);
    if (!found) {
      const reply = { ...emptyReply(Rcode.NOERROR), answers: [alias] };
      return { reply, chase: next, otherwise: first.reply };
    }
    if (found.reply.rcode === Rcode.NXDOMAIN) continue;
    return { ...found, reply: { ...found.reply, answers: [alias, ...found.reply.answers] } };
  }
  return first;
}

/** The names a resolver would try after the one that ends in the first search domain; empty for any other name. */
function laterNames(name: string, namespace: string, zone: string): string[] {
  const suffix = `.${namespace}.svc.${zone}`;
  if (!name.endsWith(suffix)) return [];
  const base = name.slice(0, -suffix.length);
  // Service ports and reverse names are always asked for in full.
  if (base === '' || base.startsWith('_')) return [];
  return [`${base}.svc.${zone}`, `${base}.${zone}`, base];
}
