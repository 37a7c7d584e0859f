/** Chance enters the system here and nowhere else, so that a simulation replays from one seed. */
import { randomBytes, randomUUID } from 'node:crypto';
import { customAlphabet } from 'nanoid';

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** An RFC 9562 version 4 UUID, for metadata.uid. */
  uuid(): string;
  /** `length` characters safe at the end of an object name (Kubernetes' vowel-free alphabet). */
  suffix(length: number): string;
  /** Cryptographically strong bytes (tokens, keys). */
  bytes(length: number): Uint8Array;
}

const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const nanoSuffix = customAlphabet(suffixAlphabet, 5);

export const systemRandom: Random = {
  next: () => Math.random(),
  uuid: () => randomUUID(),
  suffix: (length) => nanoSuffix(length),
  bytes: (length) => new Uint8Array(randomBytes(length)),
};

/** A seeded twin (mulberry32) for tests and the simulation: same seed, same sequence. Never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => Math.floor(next() * 256));
  return {
    next,
    bytes,
    uuid() {
      const hex = Buffer.from(bytes(16)).toString('hex');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
    },
    suffix: (length) =>
      Array.from({ length }, () => suffixAlphabet[Math.floor(next() * suffixAlphabet.length)]).join(''),
  };
}
