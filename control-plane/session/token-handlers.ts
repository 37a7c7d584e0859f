/** CreateToken, ListTokens and RevokeToken of the Cluster service; who may call them is the API's decision. */
import { timestamp } from '../../lib/clock.ts';
import type { Handlers } from '../../lib/rpc/serve-call.ts';
import type { JoinTokens } from './tokens.ts';

export type TokenHandlers = Pick<Handlers<'Cluster'>, 'CreateToken' | 'ListTokens' | 'RevokeToken'>;

export function tokenHandlers(tokens: JoinTokens): TokenHandlers {
  return {
    async CreateToken({ role = 'node', ttlSeconds }) {
      const request = ttlSeconds === undefined ? { role } : { role, ttlMs: ttlSeconds * 1000 };
      const { token, record } = await tokens.create(request);
      return { token, id: record.id, expiresAt: timestamp(record.expiresAtMs) };
    },
    async ListTokens() {
      const records = await tokens.list();
      return {
        tokens: records.map(({ id, role, createdAtMs, expiresAtMs }) => ({
          id,
          role,
          createdAt: timestamp(createdAtMs),
          expiresAt: timestamp(expiresAtMs),
        })),
      };
    },
    async RevokeToken({ id = '' }) {
      await tokens.revoke(id);
      return {};
    },
  };
}
