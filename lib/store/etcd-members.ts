/**
 * Who belongs to an etcd cluster, and changing that. A new member enters as a learner, which has no vote until it has
 * caught up: one that never starts takes nothing from the others.
 */
import type { IMember } from 'etcd3';
import { storeRoot } from '../model/keys.ts';
import { type EtcdClient, hostAndPort } from './etcd-client.ts';

export interface EtcdMember {
  readonly id: string;
  /** Empty until it has started for the first time. */
  readonly name: string;
  readonly peerUrl: string;
  /** `host:port` for clients; empty until it has started for the first time. */
  readonly clientAddress: string;
  /** Without a vote yet. */
  readonly isLearner: boolean;
}

export interface EtcdMembers {
  /** As the member that answers knows them. */
  list(): Promise<readonly EtcdMember[]>;
  /** failedPrecondition while another learner is on its way, or while too few members are up to risk it. */
  addLearner(peerUrl: string): Promise<readonly EtcdMember[]>;
  /** failedPrecondition while it has not caught up. */
  promote(id: string): Promise<void>;
  setPeerUrl(id: string, peerUrl: string): Promise<void>;
  remove(id: string): Promise<void>;
  /** What the member at this address says of itself; unavailable when it does not answer within two seconds. */
  standing(address: string): Promise<EtcdStanding>;
  /**
   * Resolves when the member has everything that the cluster has agreed on by now: it is in touch with the others. A member
   * that has just woken up knows of a leader before that. unavailable when it is not so within two seconds; not for learners.
   */
  caughtUp(address: string): Promise<void>;
  /** The member at `leaderAddress`, which must be the leader, hands that over. */
  moveLeader(leaderAddress: string, id: string): Promise<void>;
}

export interface EtcdStanding {
  readonly id: string;
  /** It leads the etcd cluster (which says nothing of who leads the control planes). */
  readonly isLeader: boolean;
  /** It knows of a leader: one that does not is cut off from the others, or they elect just now. */
  readonly hasLeader: boolean;
}

const standingMs = 2000;
const moveMs = 5000;

export function etcdMembers(client: EtcdClient): EtcdMembers {
  // None of this is repeated by itself except the question: the caller looks at the list before it does anything again.
  const change = { write: true };
  return {
    async list() {
      const { members } = await client.call({ write: false }, ({ cluster }, options) =>
        cluster.memberList({}, options),
      );
      return members.map(memberOf);
    },
    async addLearner(peerUrl) {
      const request = { peerURLs: [peerUrl], isLearner: true };
      const { members } = await client.call(change, ({ cluster }, options) => cluster.memberAdd(request, options));
      return members.map(memberOf);
    },
    async promote(id) {
      await client.call(change, ({ cluster }, options) => cluster.memberPromote({ ID: id }, options));
    },
    async setPeerUrl(id, peerUrl) {
      const request = { ID: id, peerURLs: [peerUrl] };
      await client.call(change, ({ cluster }, options) => cluster.memberUpdate(request, options));
    },
    async remove(id) {
      await client.call(change, ({ cluster }, options) => cluster.memberRemove({ ID: id }, options));
    },
    async standing(address) {
      const { header, leader } = await client.callAt(
        address,
        standingMs,
        { write: false },
        ({ maintenance }, options) => maintenance.status(options),
      );
      return { id: header.member_id, isLeader: leader === header.member_id, hasLeader: leader !== '0' };
    },
    async caughtUp(address) {
      // A read that etcd answers only when a majority says that the member has read everything.
      const question = { key: Buffer.from(storeRoot), limit: 1, keys_only: true };
      await client.callAt(address, standingMs, { write: false }, ({ kv }, options) => kv.range(question, options));
    },
    async moveLeader(leaderAddress, id) {
      await client.callAt(leaderAddress, moveMs, change, ({ maintenance }, options) =>
        maintenance.moveLeader({ targetID: id }, options),
      );
    },
  };
}

function memberOf({ ID, name, peerURLs, clientURLs, isLearner }: IMember): EtcdMember {
  return { id: ID, name, peerUrl: peerURLs[0] ?? '', clientAddress: hostAndPort(clientURLs[0] ?? ''), isLearner };
}
