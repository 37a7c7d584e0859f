/**
 * What the leader does and nobody else: node sessions, scheduling, controllers, a short history. All of it lives from the election to the
 * end of the term, and everything it writes carries the term's fence.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { Leadership } from '../../lib/store/leader.ts';
import type { Store } from '../../lib/store/store.ts';
import { runControllers } from '../controllers/all.ts';
import type { EventRecorder } from '../events/recorder.ts';
import { runScheduler } from '../scheduler/loop.ts';
import type { StrategyName } from '../scheduler/strategies.ts';
import type { NodeSessions } from '../session/node-sessions.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import { type CommitResult, commit } from '../state/commit.ts';
import type { ObjectCodec } from '../state/object-codec.ts';
import { compactHistory } from './compaction.ts';
import { defragmentRegularly } from './defragmentation.ts';

export interface TermParts {
  readonly store: Store;
  readonly codec: ObjectCodec;
  readonly state: ClusterState;
  readonly events: EventRecorder;
  readonly sessions: NodeSessions;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly defaultScheduler: StrategyName;
  /** Pods a workload makes or deletes in one transaction; bindings are half as many. */
  readonly podsPerTransaction: number;
}

/** Resolves when the term is over and everything it began has come to rest. */
export async function serveTerm(leadership: Leadership, parts: TermParts): Promise<void> {
  const { store, codec, state, events, sessions, clock, random, log } = parts;
  const { fence, signal } = leadership;
  sessions.lead(leadership);
  const controllers = runControllers(
    {
      state,
      events,
      clock,
      random,
      log,
      signal,
      async commit(changes, owner): Promise<CommitResult> {
        if (signal.aborted) return { outcome: 'deposed' };
        return commit({ store, codec, clock, random, fence, stored: (key) => state.byKey(key) }, changes, owner);
      },
      onDeposed: () => log.warn({}, 'another control plane leads; this term writes nothing any more'),
    },
    {
      mostPerTransaction: parts.podsPerTransaction,
      evictionsPaused: sessions.evictionsPaused,
      lostForMs: sessions.lostForMs,
      podUsage: sessions.podUsage,
    },
  );
  const scheduler = runScheduler({
    state,
    store,
    fence,
    defaultStrategy: parts.defaultScheduler,
    podsPerTransaction: parts.podsPerTransaction,
    events,
    clock,
    random,
    log: log.child({ component: 'scheduler' }),
    signal,
  });
  const upkeep = { store, clock, log: log.child({ component: 'upkeep' }), signal };
  await Promise.all([controllers, scheduler, compactHistory(upkeep), defragmentRegularly(upkeep)]);
}
