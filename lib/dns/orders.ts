/** An answer with several records in several orders: shuffled once, then turned, so that each comes first in its turn. */
import type { Random } from '../random.ts';
import type { Reply } from './message.ts';

const mostOrders = 8;

/** Aliases lead, in their order; what they lead to comes in any. At least one. */
export function ordersOf(reply: Reply, random: Random): Reply[] {
  const aliases = reply.answers.filter(({ data }) => data.type === 'CNAME');
  const others = shuffle(
    reply.answers.filter(({ data }) => data.type !== 'CNAME'),
    random,
  );
  const count = Math.max(1, Math.min(others.length, mostOrders));
  return Array.from({ length: count }, (_, index) => {
    const first = Math.floor((index * others.length) / count);
    return { ...reply, answers: [...aliases, ...others.slice(first), ...others.slice(0, first)] };
  });
}

function shuffle<T>(values: readonly T[], random: Random): T[] {
  const result = [...values];
  for (let index = result.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random.next() * (index + 1));
    [result[index], result[other]] = [result[other]!, result[index]!];
  }
  return result;
}
