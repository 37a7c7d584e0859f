/** Messages that go to many peers unchanged: they are encoded once, for as long as somebody holds them. */

const encodings = new WeakMap<object, Buffer | undefined>();

/** Marks a message that is not changed any more. */
export function sentToMany<T extends object>(message: T): T {
  if (!encodings.has(message)) encodings.set(message, undefined);
  return message;
}

export function encodedOnce(message: object, encode: (message: object) => Buffer): Buffer {
  if (!encodings.has(message)) return encode(message);
  const known = encodings.get(message) ?? encode(message);
  encodings.set(message, known);
  return known;
}
