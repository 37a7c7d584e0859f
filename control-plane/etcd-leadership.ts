/**
 * Two leaders on one machine are lost together, and their successors come one after the other: etcd elects first, and
 * begins the leases anew, that of the lost leader among them. So the etcd beside the control plane that leads hands
 * the leadership of etcd to another member. Then no machine takes both with it.
 */
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { EtcdMembers } from '../lib/store/etcd-members.ts';
import { type OwnMember, ownAmong } from './etcd-membership.ts';

export interface ApartParts {
  readonly members: EtcdMembers;
  readonly own: OwnMember;
  readonly clock: Clock;
  readonly log: Log;
  /** The end of the term. */
  readonly signal: AbortSignal;
}

/** The first moments of a term belong to what waited for a leader. */
const firstMs = 3000;
const everyMs = 5000;

/** Resolves when the signal is aborted. */
export async function keepLeadersApart({ members, own, clock, log, signal }: ApartParts): Promise<void> {
  for (let delayMs = firstMs; !signal.aborted; delayMs = everyMs) {
    await clock.sleep(delayMs, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      const successor = await handOver(members, own);
      if (successor)
        log.info({ to: successor }, 'etcd is led from another machine now, as the control planes are here');
    } catch (error) {
      log.debug({ cause: messageOf(error) }, 'cannot hand over the leadership of etcd; trying again');
    }
  }
}

/** The name of the member that leads from now on; undefined when we did not, or have nobody to lead in our place. */
export async function handOver(members: EtcdMembers, own: OwnMember): Promise<string | undefined> {
  if (!(await members.standing(own.clientAddress)).isLeader) return undefined;
  const known = await members.list();
  const self = ownAmong(known, own);
  for (const { id, name, clientAddress, isLearner } of known) {
    if (isLearner || id === self?.id || clientAddress === '') continue;
    const isWell = await members.standing(clientAddress).then(
      ({ hasLeader }) => hasLeader,
      () => false,
    );
    if (!isWell) continue;
    await members.moveLeader(own.clientAddress, id);
    return name;
  }
  return undefined;
}
