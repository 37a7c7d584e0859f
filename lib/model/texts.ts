/**
 * Text out of messages, of which short ones come again and again: kinds, namespaces, reasons, times, images. One string for
 * all of them takes a fraction of the memory, and of the time in which V8 collects it. Pure but for what it remembers.
 */

/** Longer ones hardly repeat. */
const longestKnown = 64;
/** A power of two. What falls on the same place takes the other's, so that rare texts do not stay. */
const places = 16_384;
const known: (string | undefined)[] = new Array(places).fill(undefined);
const firstBeyondAscii = 0x80;

/** Undefined when it is not ASCII. */
export function asciiText(bytes: Buffer, start: number, end: number): string | undefined {
  const length = end - start;
  let hash = length;
  for (let index = start; index < end; index += 1) {
    const byte = bytes[index]!;
    if (byte >= firstBeyondAscii) return undefined;
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  if (length === 0) return '';
  if (length > longestKnown) return bytes.toString('latin1', start, end);
  const place = (hash ^ (hash >>> 15)) & (places - 1);
  const last = known[place];
  if (last !== undefined && isAt(last, bytes, start, end)) return last;
  const text = bytes.toString('latin1', start, end);
  known[place] = text;
  return text;
}

function isAt(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let index = start; index < end; index += 1) if (text.charCodeAt(index - start) !== bytes[index]) return false;
  return true;
}
