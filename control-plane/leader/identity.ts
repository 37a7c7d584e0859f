/** How the leader signs its key: name and API address, so that agents and people find it. */
import { storeRoot } from '../../lib/model/keys.ts';

export const leaderKey = `${storeRoot}leader`;

export interface LeaderIdentity {
  readonly name: string;
  /** host:port of its API. */
  readonly address: string;
}

export function formatLeader({ name, address }: LeaderIdentity): string {
  return `${name}@${address}`;
}

/** Undefined for anything else. */
export function parseLeader(text: string): LeaderIdentity | undefined {
  const at = text.lastIndexOf('@');
  return at > 0 && at < text.length - 1 ? { name: text.slice(0, at), address: text.slice(at + 1) } : undefined;
}
