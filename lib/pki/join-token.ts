/**
 * A join token as people carry it: `<id>.<secret>.<caHash>`. The secret proves to the cluster that the bearer was
 * invited, the hash of the CA's key proves to the bearer that it is talking to that cluster.
 */
import { createHash } from 'node:crypto';
import { GantryError } from '../errors.ts';
import type { Random } from '../random.ts';

export interface JoinToken {
  readonly id: string;
  readonly secret: string;
  readonly caHash: string;
}

const tokenPattern = /^([a-z0-9]{8})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/;

export function newJoinToken(caHash: string, random: Random): JoinToken {
  return { id: random.suffix(8).slice(0, 8), secret: Buffer.from(random.bytes(32)).toString('base64url'), caHash };
}

export function formatJoinToken({ id, secret, caHash }: JoinToken): string {
  return `${id}.${secret}.${caHash}`;
}

/** Throws invalidArgument for text of another form; the text itself is not repeated, since it may be a secret. */
export function parseJoinToken(text: string): JoinToken {
  const match = tokenPattern.exec(text.trim());
  if (!match) {
    throw new GantryError(
      'invalidArgument',
      'this is not a join token; it has the form ID.SECRET.CAHASH and is printed by `ctl token create --role node`',
    );
  }
  return { id: match[1]!, secret: match[2]!, caHash: match[3]! };
}

/** The secret has 256 random bits, so one round of a hash is enough to keep it out of the store. */
export function hashTokenSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
