/**
 * Fields that a newer schema has and ours does not. While the programs of a cluster are upgraded one after another, an
 * older one reads, changes and writes objects of newer ones: what it does not know must come out as it went in.
 *
 * - A message that was decoded keeps the raw bytes of such fields under a symbol. Copies by spread take them along,
 *   whatever goes by names (JSON, comparisons, field sets) does not see them, and encoding writes them back.
 * - What is built anew (a status, a merged manifest) gets them by `withUnknownOf`, message by message: such a field goes
 *   only with the message that holds it, or by whoever knows it.
 */
import protobuf from 'protobufjs/light.js';
import { sameValue } from './equal.ts';
import { elementKey, elementsByKey, mergeKeyOf, messageOf } from './fields.ts';
import { at, type Problem } from './problems.ts';
import { asciiText } from './texts.ts';

/** Each entry is one field as it was on the wire: tag and value. */
export const unknownFields: unique symbol = Symbol('unknown fields');

type Raw = readonly Uint8Array[];
type Plain = Record<string, unknown> & { [unknownFields]?: Raw };

/** Messages, as they were decoded, that have some anywhere below. Nearly nothing, nearly always. */
const marked = new WeakSet<object>();
/** Whether this program has ever met one: until then nobody need look for any. */
let everSeen = false;

export function hasUnknown(decoded: object): boolean {
  return marked.has(decoded);
}

/** The library asks its reader whether to drop unknown fields when it has one, and only then. */
class NotingReader extends protobuf.BufferReader {
  sawUnknown = false;

  /** The library's puts longer ones together of many small strings. */
  override stringVerify(): string {
    const { pos } = this;
    const length = this.size();
    const start = this.pos;
    const text = start + length <= this.len ? asciiText(this.buf as Buffer, start, start + length) : undefined;
    if (text === undefined) {
      this.pos = pos;
      return super.stringVerify();
    }
    this.pos = start + length;
    return text;
  }
}
Object.defineProperty(NotingReader.prototype, 'discardUnknown', {
  get(this: NotingReader) {
    this.sawUnknown = true;
    return false;
  },
  set() {}, // the library's constructor does
});

/** Plain data of a message, unknown fields included. */
export function decodeWhole(type: protobuf.Type, bytes: Uint8Array, options: protobuf.IConversionOptions): object {
  const reader = new NotingReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const message = type.decode(reader);
  const plain = type.toObject(message, options);
  if (reader.sawUnknown) {
    everSeen = true;
    takeOver(type, message as unknown as Decoded, plain);
  }
  return plain;
}

type Decoded = Record<string, unknown> & { $unknowns?: Raw };

/** What `toObject` leaves behind. True when there was something. */
function takeOver(type: protobuf.Type, message: Decoded, plain: Plain): boolean {
  let some = false;
  if (message.$unknowns) {
    // Copies: a part would hold on to the whole buffer that it came in.
    plain[unknownFields] = message.$unknowns.map((field) => Uint8Array.from(field));
    some = true;
  }
  for (const field of type.fieldsArray) {
    const inner = messageOf(field);
    const [from, to] = [message[field.name], plain[field.name]];
    if (!inner || field.map || from === undefined || to === undefined) continue;
    const pairs = field.repeated
      ? (to as Plain[]).map((one, index) => [(from as Decoded[])[index]!, one] as const)
      : [];
    for (const [a, b] of pairs) if (takeOver(inner, a, b)) some = true;
    if (!field.repeated && takeOver(inner, from as Decoded, to as Plain)) some = true;
  }
  if (some) marked.add(plain);
  return some;
}

/** Lets `encode` of a type write unknown fields back, from when the library makes it. */
export function passUnknown(type: protobuf.Type): void {
  const { setup } = type;
  type.setup = function passing(this: protobuf.Type): protobuf.Type {
    setup.call(this);
    this.encode = passingEncode(this.encode);
    return this;
  };
}

/** As the generated functions of a type call those of its fields' types. */
type Encode = (plain: object, writer?: protobuf.Writer, depth?: number) => protobuf.Writer;

function passingEncode(encode: Encode): Encode {
  return (plain, writer, depth) => {
    const written = encode(plain, writer, depth);
    if (everSeen) for (const field of (plain as Plain)[unknownFields] ?? []) written.raw(field);
    return written;
  };
}

/** `wanted` with the unknown fields of `old`, in every message that both have. Its own of the same number win. */
export function withUnknownOf<T extends object>(type: protobuf.Type, old: object, wanted: T): T {
  return (hasUnknown(old) ? grafted(type, old as Plain, wanted as Plain) : wanted) as T;
}

function grafted(type: protobuf.Type, old: Plain, wanted: Plain): Plain {
  if (old === wanted) return wanted;
  const raw = mergedRaw(old[unknownFields], wanted[unknownFields]);
  const result: Plain = raw === undefined ? { ...wanted } : { ...wanted, [unknownFields]: raw };
  for (const field of type.fieldsArray) {
    const message = messageOf(field);
    const [before, now] = [old[field.name], wanted[field.name]];
    if (!message || field.map || before === undefined || now === undefined) continue;
    result[field.name] = field.repeated
      ? pairs(field, before as Plain[], now as Plain[]).map(([a, b]) => (a ? grafted(message, a, b) : b))
      : grafted(message, before as Plain, now as Plain);
  }
  return result;
}

function mergedRaw(old: Raw = [], wanted: Raw = []): Raw | undefined {
  const taken = new Set(wanted.map(fieldNumber));
  const merged = [...old.filter((field) => !taken.has(fieldNumber(field))), ...wanted];
  return merged.length === 0 ? undefined : merged;
}

/** The elements of `now`, each with the one of `before` that it was: by merge key, or the same in all that we know. */
function pairs(
  field: protobuf.Field,
  before: readonly Plain[],
  now: readonly Plain[],
): (readonly [Plain | undefined, Plain])[] {
  const names = mergeKeyOf(field);
  const keyed = names && elementsByKey(names, before);
  if (keyed) return now.map((element) => [keyed.get(elementKey(names, element)) as Plain | undefined, element]);
  const left = [...before];
  return now.map((element) => {
    const index = left.findIndex((other) => sameValue(other, element));
    return [index < 0 ? undefined : left.splice(index, 1)[0], element];
  });
}

function fieldNumber(raw: Uint8Array): number {
  return protobuf.Reader.create(raw).uint32() >>> 3;
}

/** Unknown fields of `given` that `old` does not have just so: nobody here could say whether they are valid. */
export function newUnknown(type: protobuf.Type, given: object, old?: object, path = ''): Problem[] {
  if (!everSeen) return [];
  const known = (old as Plain | undefined)?.[unknownFields] ?? [];
  const added = ((given as Plain)[unknownFields] ?? []).filter((raw) => !known.some((other) => sameBytes(raw, other)));
  const problems = added.map((raw) => ({ path, message: tooNew(fieldNumber(raw)) }));
  for (const field of type.fieldsArray) {
    const message = messageOf(field);
    const now = (given as Plain)[field.name];
    if (!message || field.map || now === undefined) continue;
    const before = (old as Plain | undefined)?.[field.name];
    const below = at(path, field.name);
    if (!field.repeated) {
      problems.push(...newUnknown(message, now as Plain, before as Plain | undefined, below));
      continue;
    }
    for (const [index, [a, b]] of pairs(field, (before ?? []) as Plain[], now as Plain[]).entries()) {
      problems.push(...newUnknown(message, b, a, at(below, index)));
    }
  }
  return problems;
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

function tooNew(number: number): string {
  const cure = 'upgrade every control plane first, or leave the field out';
  return `has a field (number ${number}) of a newer version, which this control plane does not know; ${cure}`;
}

/** Whether this very message has fields that we do not know, those of the messages in it left aside. */
export const holdsUnknown = (message: object): boolean => (message as Plain)[unknownFields] !== undefined;

/** Whether two messages have the same unknown fields, those of the messages in them left aside. */
export function sameUnknown(a: object | undefined, b: object | undefined): boolean {
  const [mine, others] = [
    (a as Plain | undefined)?.[unknownFields] ?? [],
    (b as Plain | undefined)?.[unknownFields] ?? [],
  ];
  return mine.length === others.length && mine.every((field, index) => sameBytes(field, others[index]!));
}
