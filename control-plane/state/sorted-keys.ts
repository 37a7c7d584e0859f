/**
 * Keys in their order, for reading a part of them from somewhere on. Kept in chunks, so that adding and deleting one
 * costs the same among a hundred thousand others as among a thousand.
 */
const mostInChunk = 1_024;

export class SortedKeys {
  /** None is empty; every key of one is before every key of the next. */
  readonly #chunks: string[][] = [];

  /** One that is there already stays once. */
  add(key: string): void {
    const index = this.#chunkOf(key);
    const chunk = this.#chunks[index];
    if (!chunk) {
      this.#chunks.push([key]);
      return;
    }
    const at = firstNotBefore(chunk, key);
    if (chunk[at] === key) return;
    chunk.splice(at, 0, key);
    if (chunk.length <= mostInChunk) return;
    // Keys that come in their order fill chunks; others halve them.
    const middle = at === mostInChunk ? mostInChunk : mostInChunk >> 1;
    this.#chunks.splice(index + 1, 0, chunk.splice(middle));
  }

  delete(key: string): void {
    const index = this.#chunkOf(key);
    const chunk = this.#chunks[index];
    if (!chunk) return;
    const at = firstNotBefore(chunk, key);
    if (chunk[at] !== key) return;
    chunk.splice(at, 1);
    if (chunk.length === 0) this.#chunks.splice(index, 1);
  }

  /** From `key` on, itself included. Nothing may be added or deleted meanwhile. */
  *from(key: string): Generator<string> {
    const first = this.#chunkOf(key);
    for (let index = first; index < this.#chunks.length; index += 1) {
      const chunk = this.#chunks[index]!;
      for (let at = index === first ? firstNotBefore(chunk, key) : 0; at < chunk.length; at += 1) yield chunk[at]!;
    }
  }

  /** The last chunk that begins with `key` or before it; the first one for a key before all. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#chunks[middle]![0]! <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function firstNotBefore(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
