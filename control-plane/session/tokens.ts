/**
 * Join tokens, kept under /gantry/tokens/<id> as JSON without their secret. A revoked or expired token is kept for a
 * while, so that whoever still uses it is told what happened to it.
 *
 * Says what is wrong with a token only to a bearer of its secret.
 */
import { timingSafeEqual } from 'node:crypto';
import { type Clock, timestamp } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { formatJoinToken, hashTokenSecret, newJoinToken, parseJoinToken } from '../../lib/pki/join-token.ts';
import type { Random } from '../../lib/random.ts';
import { absent, deleteOf, type KeyValue, modRevisionIs, putOf, type Store } from '../../lib/store/store.ts';

export const tokenRoles = ['node', 'control-plane'] as const;
export type TokenRole = (typeof tokenRoles)[number];

export interface TokenRecord {
  readonly id: string;
  readonly role: TokenRole;
  /** SHA-256 of the secret, hex. */
  readonly secretHash: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly revokedAtMs?: number;
}

export interface JoinTokens {
  create(request: { role: string; ttlMs?: number }): Promise<{ token: string; record: TokenRecord }>;
  /** Those that still open the door. */
  list(): Promise<readonly TokenRecord[]>;
  /** notFound for an unknown id; revoking twice is a success. */
  revoke(id: string): Promise<void>;
  /** Throws unauthenticated or permissionDenied with a sentence that says why the token does not open this door. */
  verify(token: string, role: TokenRole): Promise<TokenRecord>;
}

export interface TokenDependencies {
  readonly store: Store;
  readonly caHash: string;
  readonly clock: Clock;
  readonly random: Random;
}

const dayMs = 24 * 3_600_000;
const defaultTtlMs = dayMs;
const longestTtlMs = 365 * dayMs;
/** How long a dead token is remembered. */
const rememberedMs = 7 * dayMs;
const prefix = '/gantry/tokens/';

export function createJoinTokens({ store, caHash, clock, random }: TokenDependencies): JoinTokens {
  const all = async (): Promise<readonly TokenRecord[]> => (await store.list(prefix)).items.map(decode);

  return {
    async create({ role, ttlMs = defaultTtlMs }) {
      checkRequest(role, ttlMs);
      await forgetLongDead(store, await all(), clock.nowMs());
      const token = newJoinToken(caHash, random);
      const createdAtMs = clock.nowMs();
      const record: TokenRecord = {
        id: token.id,
        role,
        secretHash: hashTokenSecret(token.secret).toString('hex'),
        createdAtMs,
        expiresAtMs: createdAtMs + ttlMs,
      };
      const key = prefix + token.id;
      const { succeeded } = await store.transact({ compare: [absent(key)], success: [putOf(key, encode(record))] });
      if (!succeeded) throw new GantryError('aborted', `a join token ${token.id} exists already; try again`);
      return { token: formatJoinToken(token), record };
    },

    async list() {
      const nowMs = clock.nowMs();
      return (await all()).filter((record) => record.revokedAtMs === undefined && record.expiresAtMs > nowMs);
    },

    async revoke(id) {
      const key = prefix + id;
      const { kv } = await store.get(key);
      if (!kv) throw new GantryError('notFound', `there is no join token ${id}; see \`ctl token list\``);
      const record = decode(kv);
      if (record.revokedAtMs !== undefined) return;
      const revoked: TokenRecord = { ...record, revokedAtMs: clock.nowMs() };
      // Tokens are written once and revoked once: losing the race means another has revoked it.
      await store.transact({
        compare: [modRevisionIs(key, kv.modRevision)],
        success: [putOf(key, encode(revoked))],
      });
    },

    async verify(text, role) {
      const token = parseJoinToken(text);
      if (token.caHash !== caHash) {
        throw new GantryError(
          'unauthenticated',
          'the join token is of another cluster (its CA hash is not ours); create one with this cluster’s ctl',
        );
      }
      const { kv } = await store.get(prefix + token.id);
      const record = kv && decode(kv);
      const expected = record ? Buffer.from(record.secretHash, 'hex') : Buffer.alloc(32);
      const matches = timingSafeEqual(hashTokenSecret(token.secret), expected);
      if (!record || !matches) {
        throw new GantryError('unauthenticated', `join token ${token.id} is not one of this cluster; ${cure(role)}`);
      }
      checkUsable(record, role, clock.nowMs());
      return record;
    },
  };
}

function checkRequest(role: string, ttlMs: number): asserts role is TokenRole {
  if (!(tokenRoles as readonly string[]).includes(role)) {
    throw new GantryError(
      'invalidArgument',
      `role "${role}" is unknown; a join token is for ${tokenRoles.join(' or ')}`,
    );
  }
  if (!(ttlMs > 0 && ttlMs <= longestTtlMs)) {
    throw new GantryError('invalidArgument', 'a join token lives at least a second and at most a year');
  }
}

function checkUsable(record: TokenRecord, role: TokenRole, nowMs: number): void {
  const { id } = record;
  if (record.revokedAtMs !== undefined) {
    throw new GantryError(
      'unauthenticated',
      `join token ${id} was revoked at ${timestamp(record.revokedAtMs)}; ${cure(role)}`,
    );
  }
  if (record.expiresAtMs <= nowMs) {
    throw new GantryError(
      'unauthenticated',
      `join token ${id} expired at ${timestamp(record.expiresAtMs)}; ${cure(role)}`,
    );
  }
  if (record.role !== role) {
    throw new GantryError(
      'permissionDenied',
      `join token ${id} is for the role ${record.role}, not ${role}; ${cure(role)}`,
    );
  }
}

const cure = (role: TokenRole): string => `create a new one with \`ctl token create --role ${role}\``;

async function forgetLongDead(store: Store, records: readonly TokenRecord[], nowMs: number): Promise<void> {
  const dead = records.filter(({ revokedAtMs, expiresAtMs }) => {
    return Math.min(revokedAtMs ?? expiresAtMs, expiresAtMs) + rememberedMs < nowMs;
  });
  for (const { id } of dead) await store.transact({ compare: [], success: [deleteOf(prefix + id)] });
}

function encode(record: TokenRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record));
}

function decode(kv: KeyValue): TokenRecord {
  return JSON.parse(new TextDecoder().decode(kv.value)) as TokenRecord;
}
