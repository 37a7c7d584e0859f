/**
 * The replicas of the control plane and etcd's members as one list: who is there, and taking one away for good.
 *
 * Every replica has an etcd member of its name beside it, unless the cluster uses an etcd that it does not run. One is
 * only removed when those that are left can go on: etcd's members vote, and too few of them alive could never again
 * change anything, not even who they are.
 */
import type { Clock } from '../lib/clock.ts';
import { GantryError, isGantryError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Handlers } from '../lib/rpc/serve-call.ts';
import type { EtcdMember, EtcdMembers } from '../lib/store/etcd-members.ts';
import { deleteOf, type Store } from '../lib/store/store.ts';
import type { ControlPlaneInfo } from '../proto/gen/types.ts';
import { type Replica, replicaKey, replicasOf } from './replicas.ts';
import type { ClusterState } from './state/cluster-state.ts';

export interface MembershipDependencies {
  readonly state: ClusterState;
  readonly store: Store;
  /** Absent when the cluster uses an etcd that it does not run. */
  readonly members?: EtcdMembers;
  /** The name of the replica that leads. */
  readonly leader: () => string | undefined;
  /** Whether the API at this host:port answers. */
  readonly isServing: (address: string) => Promise<boolean>;
  readonly clock: Clock;
  readonly log: Log;
}

export type MembershipHandlers = Pick<Handlers<'Cluster'>, 'ListControlPlanes' | 'RemoveControlPlane'>;

export type MemberStanding = 'leader' | 'follower' | 'learner' | 'unreachable';

interface Place {
  readonly name: string;
  readonly replica?: Replica;
  readonly member?: EtcdMember;
  readonly standing?: MemberStanding;
}

export function membershipHandlers(dependencies: MembershipDependencies): MembershipHandlers {
  const { state, members, leader, isServing } = dependencies;
  const places = async (): Promise<readonly Place[]> => {
    const known = members ? await members.list() : [];
    const standings = await Promise.all(known.map((member) => standingOf(members!, member)));
    return placesOf(replicasOf(state), known, standings);
  };
  return {
    async ListControlPlanes() {
      const info = async ({ name, replica, standing }: Place): Promise<ControlPlaneInfo> => ({
        name,
        ...(replica && { address: replica.address, ready: await isServing(replica.address) }),
        leader: name === leader(),
        ...(standing && { etcd: standing }),
      });
      return { controlPlanes: await Promise.all((await places()).map(info)) };
    },
    async RemoveControlPlane({ name = '' }, { peer }) {
      const all = await places();
      const place = removable(name, all);
      dependencies.log.warn({ name, by: peer.commonName }, 'a control plane is removed for good');
      const isAlive = place.replica !== undefined && (await isServing(place.replica.address));
      if (place.member) await removeMember(place.member, all, dependencies);
      await dependencies.store.transact({ compare: [], success: [deleteOf(replicaKey(name))] });
      return { warnings: [leftToDo(place, isAlive)] };
    },
  };
}

/** Pure. By name; a member that has never started, and so told no name, by the host where it is to be. */
export function placesOf(
  replicas: readonly Replica[],
  members: readonly EtcdMember[],
  standings: readonly MemberStanding[],
): readonly Place[] {
  const hostOf = (url: string): string => url.replace(/^https?:\/\//, '').replace(/:\d+$/, '');
  const places = new Map<string, Place>(replicas.map((replica) => [replica.name, { name: replica.name, replica }]));
  for (const [index, member] of members.entries()) {
    const host = hostOf(member.peerUrl);
    const name = member.name || (replicas.find(({ address }) => hostOf(address) === host)?.name ?? host);
    places.set(name, { ...(places.get(name) ?? { name }), member, standing: standings[index]! });
  }
  return [...places.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Pure. The place of this name; throws a sentence when it cannot go. */
export function removable(name: string, places: readonly Place[]): Place {
  const place = places.find((one) => one.name === name);
  if (!place) {
    const names = places.map((one) => one.name).join(', ');
    throw new GantryError('notFound', `there is no control plane "${name}"; there are ${names}`);
  }
  const others = places.filter((one) => one !== place);
  if (!others.some(({ replica }) => replica)) {
    const cure = 'to end the cluster, stop the control plane and remove its data folder';
    throw new GantryError('failedPrecondition', `${name} is the only control plane; ${cure}`);
  }
  const votes = (list: readonly Place[]): readonly Place[] =>
    list.filter(({ member, standing }) => member && standing !== 'learner');
  if (votes([place]).length > 0) checkMajority(name, votes(others));
  return place;
}

function checkMajority(name: string, left: readonly Place[]): void {
  const silent = left.filter(({ standing }) => standing === 'unreachable').map((one) => one.name);
  const needed = Math.floor(left.length / 2) + 1;
  const alive = left.length - silent.length;
  if (alive >= needed) return;
  const count = `${alive} of the ${left.length} etcd members that would be left answer${alive === 1 ? 's' : ''}`;
  const missing = silent.join(', ');
  const cure = silent.length > 0 ? `start ${missing} again, or remove ${missing} first` : 'let another one join first';
  throw new GantryError(
    'failedPrecondition',
    `without ${name} there would be no majority (${count}, ${needed} needed); ${cure}`,
  );
}

async function standingOf(members: EtcdMembers, { clientAddress, isLearner }: EtcdMember): Promise<MemberStanding> {
  try {
    const { isLeader, hasLeader } = await members.standing(clientAddress);
    if (isLearner) return 'learner';
    if (!hasLeader) return 'unreachable';
    await members.caughtUp(clientAddress);
    return isLeader ? 'leader' : 'follower';
  } catch {
    return isLearner ? 'learner' : 'unreachable';
  }
}

const removalMs = 30_000;
const retryMs = 500;

/** Again and again: etcd lets a cluster settle for five seconds between two changes. */
async function removeMember(
  { id, clientAddress }: EtcdMember,
  places: readonly Place[],
  { members, clock, log }: MembershipDependencies,
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + removalMs;
  const successor = places.find(({ member, standing }) => standing === 'follower' && member!.id !== id)?.member;
  for (;;) {
    try {
      if (!(await members!.list()).some((member) => member.id === id)) return;
      // A leader that goes leaves an election behind; one that hands over before does not.
      const leads = await members!.standing(clientAddress).then(
        ({ isLeader }) => isLeader,
        () => false,
      );
      if (leads && successor) await members!.moveLeader(clientAddress, successor.id);
      await members!.remove(id);
      return;
    } catch (error) {
      const passing = isGantryError(error, 'unavailable') || isGantryError(error, 'failedPrecondition');
      if (!passing || clock.monotonicMs() >= deadlineMs) throw error;
      log.info({ cause: messageOf(error) }, 'etcd does not let the member go yet; trying again');
    }
    await clock.sleep(retryMs);
  }
}

function leftToDo({ name, replica }: Place, isAlive: boolean): string {
  const keys = `its data folder holds the keys of the cluster: destroy it`;
  if (isAlive) return `${name} ends by itself now and will not start again; ${keys}`;
  return replica ? `${name} will not start again; ${keys}` : keys;
}
