/**
 * Asks the members that somebody waits for whether they are alive, since a member that was stopped or cut off says
 * nothing and would be waited for until a deadline. Only where there is another member to turn to.
 *
 * The question is answered by the member itself, without its peers: a cluster that is electing is not a dead member.
 * A member that has had no leader for longer than an election takes is cut off from its peers, and as good as dead.
 */
import type { Clock, Timer } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { EtcdEndpoint } from './etcd-endpoint.ts';

/** Between two questions. */
const everyMs = 750;
/** An answer takes a millisecond; a member on a machine that is short of breath may take this long. */
const patienceMs = 1000;
/** So many answers in a row, each without a leader: three seconds, where an election takes two at most. */
const mostLeaderless = 4;

export interface HealthOptions {
  readonly clock: Clock;
  /** Those worth asking now; empty when there is nothing to choose. */
  readonly endpoints: () => readonly EtcdEndpoint[];
  readonly onGone: (endpoint: EtcdEndpoint, reason: string) => void;
}

/** Returns what ends it. */
export function watchHealth({ clock, endpoints, onGone }: HealthOptions): () => void {
  let timer: Timer;
  let ended = false;
  const leaderless = new Map<EtcdEndpoint, number>();
  const ask = async (endpoint: EtcdEndpoint): Promise<void> => {
    const since = leaderless.get(endpoint) ?? 0;
    leaderless.delete(endpoint);
    try {
      const { leader } = await endpoint.client.maintenance.status({ deadline: clock.nowMs() + patienceMs });
      if (leader !== '0') return;
      if (since + 1 < mostLeaderless) leaderless.set(endpoint, since + 1);
      else if (!ended) onGone(endpoint, 'has no leader');
    } catch (error) {
      if (!ended) onGone(endpoint, `does not say that it is alive (${messageOf(error)})`);
    }
  };
  const round = async (): Promise<void> => {
    await Promise.all(endpoints().map(ask));
    if (!ended) timer = clock.schedule(everyMs, () => void round());
  };
  timer = clock.schedule(everyMs, () => void round());
  return () => {
    ended = true;
    timer.cancel();
  };
}
