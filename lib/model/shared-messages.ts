/**
 * Parts of objects that are the same in very many of them: replicas' labels and owners, conditions that came about in the
 * same second. One of each takes a fraction of the memory, and of the time in which V8 collects it. What is shared is frozen.
 */

/** When there are more, all are forgotten and found again. */
const mostKnown = 8192;
const known = new Map<string, object>();

/** The one with the same fields, for a message of plain values; others come back as they are. */
export function shared<T extends object>(message: T): T {
  let key = '';
  for (const name in message) {
    const value = message[name];
    if (typeof value === 'object' || typeof value === 'symbol') return message;
    const text = String(value);
    key += `${name.length} ${name} ${typeof value} ${text.length} ${text}`; // lengths: whatever stands in them
  }
  if (Object.getOwnPropertySymbols(message).length > 0) return message; // unknown fields
  const same = known.get(key);
  if (same) return same as T;
  if (known.size >= mostKnown) known.clear();
  known.set(key, Object.freeze(message));
  return message;
}
