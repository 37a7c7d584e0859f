/**
 * Encoded answers of one state of the records. A hit costs a lookup and two copies. An answer with several addresses is
 * kept in several orders, handed out in turn, so that clients spread.
 */
const mostEntries = 8192;
/** Answers over TCP may have 64 KiB, in each of several orders. */
const mostBytes = 16 * 1024 * 1024;

interface CachedAnswer {
  readonly questionEnd: number;
  /** Whole messages, at least one. */
  readonly orders: readonly Buffer[];
  next: number;
}

export interface AnswerCache {
  get(key: string, query: Buffer): Buffer | undefined;
  set(key: string, questionEnd: number, orders: readonly Buffer[]): void;
  clear(): void;
}

export function createAnswerCache(): AnswerCache {
  const entries = new Map<string, CachedAnswer>();
  let bytes = 0;
  const clear = (): void => {
    entries.clear();
    bytes = 0;
  };
  return {
    get(key, query) {
      const entry = entries.get(key);
      if (!entry) return undefined;
      const message = entry.orders[entry.next]!;
      entry.next = entry.next + 1 === entry.orders.length ? 0 : entry.next + 1;
      return adapt(message, query, entry.questionEnd);
    },

    set(key, questionEnd, orders) {
      const size = orders.reduce((sum, message) => sum + message.length, key.length);
      if (entries.size >= mostEntries || bytes + size > mostBytes) clear();
      bytes += size;
      entries.set(key, { questionEnd, orders, next: orders.length > 1 ? 1 : 0 });
    },

    clear,
  };
}

/** The same answer under this query's id, flags and spelling of the name. */
function adapt(message: Buffer, query: Buffer, questionEnd: number): Buffer {
  const answer = Buffer.allocUnsafe(message.length);
  message.copy(answer, 0);
  query.copy(answer, 12, 12, questionEnd);
  answer[0] = query[0]!;
  answer[1] = query[1]!;
  answer[2] = (message[2]! & 0xfe) | (query[2]! & 1);
  answer[3] = (message[3]! & 0xef) | (query[3]! & 0x10);
  return answer;
}
