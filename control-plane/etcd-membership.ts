/**
 * Our etcd as one of several: what is remembered of its cluster in `<data-dir>/etcd/member.json` (absent while it is
 * alone), how it becomes a member, and the upkeep of what it knows.
 *
 * A new member enters without a vote and is given one when it has caught up, so that one that never comes up takes
 * nothing from the others. A member whose data was lost is another one: the former is removed first, if it is dead.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { GantryError, isGantryError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { readFileIfAny, writeFileAtomic } from '../lib/pki/files.ts';
import { createEtcdStore, type EtcdStore } from '../lib/store/etcd.ts';
import type { EtcdTls } from '../lib/store/etcd-client.ts';
import type { EtcdMember, EtcdMembers } from '../lib/store/etcd-members.ts';

export interface Membership {
  /** `host:port` of the members as known last, for clients. */
  readonly endpoints: readonly string[];
  /** What our member was started with for the first time. */
  readonly initialCluster?: readonly string[];
}

export interface OwnMember {
  readonly name: string;
  readonly peerUrl: string;
  readonly clientAddress: string;
}

export interface MembershipParts {
  readonly clock: Clock;
  readonly log: Log;
}

const etcdFolder = (dataDir: string): string => join(dataDir, 'etcd');
const membershipPath = (dataDir: string): string => join(etcdFolder(dataDir), 'member.json');

/** Whether our member has ever started. */
export const hasEtcdData = (dataDir: string): boolean => existsSync(join(etcdFolder(dataDir), 'data/member'));

/** Undefined while our etcd is alone. */
export async function readMembership(dataDir: string): Promise<Membership | undefined> {
  const text = await readFileIfAny(membershipPath(dataDir));
  return text && (JSON.parse(text.toString()) as Membership);
}

export async function writeMembership(dataDir: string, membership: Membership): Promise<void> {
  await writeFileAtomic(membershipPath(dataDir), `${JSON.stringify(membership, null, 2)}\n`);
}

const admissionMs = 60_000;
/** A member that lags may not know us yet. Lists without us, one after another. */
const surelyMissing = 3;
const retryMs = 250;

/** Makes us a member of the cluster at `endpoints`; resolves with the initial cluster for our first start. */
export async function enterCluster(
  endpoints: readonly string[],
  own: OwnMember,
  tls: EtcdTls,
  parts: MembershipParts,
): Promise<readonly string[]> {
  const store = createEtcdStore({ endpoints, tls, ...parts });
  try {
    const members = await untilDone('become a member of the etcd cluster', parts, () =>
      admit(store.members, own, parts).catch((error: unknown) => {
        // The list that a member gave was older than what another one knows: it is read again.
        if (isGantryError(error, 'notFound')) throw new GantryError('unavailable', messageOf(error), { cause: error });
        throw error;
      }),
    );
    // Of a member that has not started the name is not known, and not looked at either.
    return members.map(({ id, name, peerUrl }) => `${peerUrl === own.peerUrl ? own.name : name || id}=${peerUrl}`);
  } finally {
    await store.close();
  }
}

async function admit(members: EtcdMembers, own: OwnMember, parts: MembershipParts): Promise<readonly EtcdMember[]> {
  const known = await members.list();
  if (known.some(({ peerUrl, name }) => peerUrl === own.peerUrl && name === '')) return known;
  for (const former of known.filter(({ peerUrl, name }) => peerUrl === own.peerUrl || name === own.name)) {
    if (await answers(members, former.clientAddress)) {
      throw new GantryError(
        'alreadyExists',
        `the etcd cluster has a member ${former.name} at ${former.peerUrl} that is alive; give this control plane another ` +
          '--name and address, or end that one first',
      );
    }
    parts.log.warn(
      { name: former.name, peer: former.peerUrl },
      'removing the etcd member that this one takes the place of',
    );
    await members.remove(former.id);
  }
  return members.addLearner(own.peerUrl);
}

async function answers(members: EtcdMembers, address: string): Promise<boolean> {
  if (address === '') return false; // it has never started
  return members.standing(address).then(
    () => true,
    () => false,
  );
}

/** Resolves when our member has a vote, which it is given through the others; notFound when it is none any more. */
export async function untilVoter(
  store: EtcdStore,
  own: OwnMember,
  parts: MembershipParts,
  { justEntered }: { readonly justEntered: boolean },
): Promise<void> {
  let missed = 0;
  await untilDone('be given a vote in the etcd cluster', parts, async () => {
    const member = ownAmong(await store.members.list(), own);
    missed = member || justEntered ? 0 : missed + 1;
    if (missed >= surelyMissing) throw new GantryError('notFound', 'our etcd member was removed');
    if (member?.isLearner) await store.members.promote(member.id);
    if (member?.name && !member.isLearner) return true;
    throw new GantryError('unavailable', 'it has not caught up yet');
  });
}

export const ownAmong = (members: readonly EtcdMember[], own: OwnMember): EtcdMember | undefined =>
  members.find(({ peerUrl, name }) => peerUrl === own.peerUrl || name === own.name);

const lastingCodes = ['alreadyExists', 'invalidArgument', 'cancelled', 'notFound'];

/** Again and again, since others may be joining just now, and etcd lets a cluster settle before it changes it again. */
export async function untilDone<T>(
  what: string,
  { clock, log }: MembershipParts,
  attempt: () => Promise<T>,
): Promise<T> {
  const deadlineMs = clock.monotonicMs() + admissionMs;
  for (let last = ''; ; ) {
    try {
      return await attempt();
    } catch (error) {
      const lasting = !(error instanceof GantryError) || lastingCodes.includes(error.code);
      if (lasting || clock.monotonicMs() >= deadlineMs) throw error;
      const cause = messageOf(error);
      if (cause !== last) log.info({ cause }, `cannot ${what} yet; trying again`);
      last = cause;
    }
    await clock.sleep(retryMs);
  }
}

const upkeepMs = 3000;

/**
 * Keeps the store's endpoints, and what is remembered of them, equal to the members. Our own comes first. Calls back
 * when it is none of them any more.
 */
export function keepEndpoints(
  store: EtcdStore,
  own: OwnMember,
  dataDir: string,
  { clock, log }: MembershipParts,
  onRemoved: () => void,
): () => void {
  let ended = false;
  let missed = 0;
  let timer = clock.schedule(0, () => void round());
  const round = async (): Promise<void> => {
    try {
      const members = await store.members.list();
      missed = ownAmong(members, own) ? 0 : missed + 1;
      if (missed === surelyMissing && !ended) onRemoved();
      const endpoints = endpointsOf(members, own);
      if (!ended && endpoints.join() !== store.endpoints.join()) {
        log.info({ endpoints }, 'the members of the etcd cluster have changed');
        store.setEndpoints(endpoints);
        await writeMembership(dataDir, { ...(await readMembership(dataDir)), endpoints });
      }
    } catch (error) {
      log.debug({ cause: messageOf(error) }, 'cannot list the members of the etcd cluster');
    }
    if (!ended) timer = clock.schedule(upkeepMs, () => void round());
  };
  return () => {
    ended = true;
    timer.cancel();
  };
}

/** Pure. Those without a vote cannot answer; our own is asked even while it is away. */
export function endpointsOf(members: readonly EtcdMember[], own: OwnMember): string[] {
  const others = members
    .filter((member) => !member.isLearner && member.clientAddress !== '' && member.clientAddress !== own.clientAddress)
    .map(({ clientAddress }) => clientAddress);
  return [own.clientAddress, ...others.sort()];
}
