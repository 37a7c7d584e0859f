/**
 * The one loop that serves every controller: changes of objects become keys, a key's turn is one reconcile and one
 * transaction.
 *
 * - A key waits at most once, and never runs twice at the same time.
 * - After a key's write, or a lost race, its next turn waits until the mirror shows what was written: a controller never
 *   decides twice upon the same stale picture. (commit.ts catches what slips through, such as an ambiguous write.)
 * - It reconciles until there is nothing left to change, then when an object changes, or when the controller asked.
 * - Failures back off, per key, with jitter. A deposed leader's loop ends.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { GantryError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { referenceTo } from '../../lib/model/event.ts';
import type { Random } from '../../lib/random.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { EventRecorder } from '../events/recorder.ts';
import type { ClusterState, ObjectChange } from '../state/cluster-state.ts';
import type { CommitResult } from '../state/commit.ts';
import type { Change, Reconcile, ReconcileResult, Snapshot } from '../state/snapshot.ts';
import { withQuotaCharges } from './quota-charges.ts';

export interface Controller {
  /** For logs and as the component of its Events: `deployment-controller`. */
  readonly name: string;
  readonly reconcile: Reconcile;
  /** The keys to look at after this change. Every object counts as created when the controller starts. */
  keysOf(change: ObjectChange, snapshot: Snapshot): Iterable<string>;
  /** Keys to look at when the controller starts, beside those. */
  readonly startKeys?: readonly string[];
}

export interface RunParts {
  readonly state: ClusterState;
  readonly commit: (changes: readonly Change[], owner: KubeObject | undefined) => Promise<CommitResult>;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The term's end. */
  readonly signal: AbortSignal;
  /** The fence did not hold: whoever runs the controllers should end the term. */
  readonly onDeposed?: () => void;
}

const mostAtOnce = 16;
/** Turns in one go before others may run. */
const turnsInOneGo = 64;
/** Objects at the begin; some twenty controllers begin together. */
const lookedAtInOneGo = 1_000;
const briefTurnMs = 0.25;
/** How many times as long as a turn its key then rests: with many replicas each of their changes would be a look at all. */
const restPerTurn = { brief: 100, long: 5 };
/** The most that a brief turn is followed by. */
const briefRestMs = 25;
/** The part of the time that keys of one controller whose turns take long may have together, when there are many of them. */
const shareOfLongTurns = 0.1;
const longTurnMs = 0.5;
const longestRestMs = 3_000;
const firstBackoffMs = 10;
const longestBackoffMs = 30_000;
/** The mirror may never show the revision of a lost race when the winner wrote outside our keys. */
const conflictPatienceMs = 250;

/** Resolves when the signal is aborted and no turn is in progress. Rejects never. */
export async function runController(controller: Controller, parts: RunParts): Promise<void> {
  const { state, signal, log } = parts;
  try {
    await state.whenSynced(signal);
  } catch {
    return;
  }
  const loop = new ControllerLoop(controller, { ...parts, log: log.child({ controller: controller.name }) });
  await loop.run();
}

class ControllerLoop {
  readonly #controller: Controller;
  readonly #parts: RunParts;
  readonly #queue = new Set<string>();
  readonly #running = new Set<string>();
  /** Keys that changed during their turn. */
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, Timer>();
  /** Keys whose last turn took long, and until when they wait. */
  readonly #restUntilMs = new Map<string, number>();
  #pumping = false;
  #finish: () => void = () => {};

  constructor(controller: Controller, parts: RunParts) {
    this.#controller = controller;
    this.#parts = parts;
  }

  run(): Promise<void> {
    const { state, signal } = this.#parts;
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const unsubscribe = state.onChange((changes) => this.#onChanges(changes));
    const stop = (): void => {
      unsubscribe();
      for (const timer of this.#timers.values()) timer.cancel();
      this.#timers.clear();
      this.#queue.clear();
      if (this.#running.size === 0) this.#finish();
    };
    if (signal.aborted) {
      stop();
      return finished;
    }
    signal.addEventListener('abort', stop, { once: true });
    for (const key of this.#controller.startKeys ?? []) this.#enqueue(key);
    this.#lookAtAll(everythingIn(state)[Symbol.iterator]());
    return finished;
  }

  /** In parts: a new leader of a large cluster must not miss the renewal of its lease over its first look. */
  #lookAtAll(rest: Iterator<ObjectChange>): void {
    if (this.#parts.signal.aborted) return;
    for (let count = 0; count < lookedAtInOneGo; count += 1) {
      const { done, value } = rest.next();
      if (done) return;
      this.#onChanges([value]);
    }
    this.#parts.clock.schedule(0, () => this.#lookAtAll(rest));
  }

  #onChanges(changes: Iterable<ObjectChange>): void {
    for (const change of changes) {
      for (const key of this.#controller.keysOf(change, this.#parts.state)) this.#enqueue(key);
    }
  }

  #enqueue(key: string): void {
    if (this.#parts.signal.aborted) return;
    const restUntilMs = this.#restUntilMs.get(key);
    const restMs = restUntilMs === undefined ? 0 : restUntilMs - this.#parts.clock.monotonicMs();
    if (this.#running.has(key)) this.#again.add(key);
    else if (restMs > 0) this.#enqueueLater(key, restMs);
    else {
      this.#queue.add(key);
      this.#pumpSoon();
    }
  }

  #enqueueLater(key: string, delayMs: number): void {
    this.#timers.get(key)?.cancel();
    const timer = this.#parts.clock.schedule(delayMs, () => {
      this.#timers.delete(key);
      this.#enqueue(key);
    });
    this.#timers.set(key, timer);
  }

  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => this.#pump());
  }

  #pump(): void {
    this.#pumping = false;
    let turns = 0;
    for (const key of this.#queue) {
      if (this.#running.size >= mostAtOnce) return; // the end of a turn pumps again
      if (turns >= turnsInOneGo) {
        this.#pumping = true;
        this.#parts.clock.schedule(0, () => this.#pump());
        return;
      }
      turns += 1;
      this.#queue.delete(key);
      this.#takeTurn(key);
    }
  }

  /** Stays synchronous while there is nothing to write, which is most of the time. */
  #takeTurn(key: string): void {
    this.#timers.get(key)?.cancel();
    this.#timers.delete(key);
    let result: ReconcileResult;
    try {
      result = this.#reconcile(key);
    } catch (error) {
      this.#retry(key, error);
      return;
    }
    if (result.changes.length > 0) {
      this.#running.add(key);
      void this.#write(key, result);
      return;
    }
    this.#failures.delete(key);
    this.#record(result);
    if (result.requeueAfterMs !== undefined) this.#enqueueLater(key, result.requeueAfterMs);
  }

  /** A workload so large that looking at it takes long is looked at less often, so that the others get their turns. */
  #reconcile(key: string): ReconcileResult {
    const { state, clock } = this.#parts;
    const startedMs = clock.monotonicMs();
    const result = this.#controller.reconcile(state, key, clock.nowMs());
    const endedMs = clock.monotonicMs();
    const tookMs = endedMs - startedMs;
    if (tookMs < briefTurnMs) this.#restUntilMs.delete(key);
    else this.#restUntilMs.set(key, endedMs + restAfterMs(tookMs, this.#restingAt(endedMs)));
    return result;
  }

  /** How many keys rest, or have just rested. */
  #restingAt(nowMs: number): number {
    let resting = 0;
    for (const [key, untilMs] of this.#restUntilMs) {
      if (untilMs > nowMs - longestRestMs) resting += 1;
      else this.#restUntilMs.delete(key);
    }
    return resting;
  }

  async #write(key: string, wanted: ReconcileResult): Promise<void> {
    const { state, commit, signal, onDeposed, clock } = this.#parts;
    try {
      const charged = withQuotaCharges(state, wanted.changes, clock.nowMs());
      if ('refusal' in charged) return this.#refuse(key, charged.refusal);
      const result = await commit(charged.changes, state.byKey(key));
      if (result.outcome === 'done') {
        this.#record(wanted, result.created);
        this.#failures.delete(key);
        await state.waitFor(result.revision, signal);
        this.#again.add(key);
      } else if (result.outcome === 'conflict') {
        await this.#waitAfterConflict(key, result.revision);
        this.#again.add(key);
      } else if (result.outcome === 'deposed') {
        onDeposed?.();
      } else if (wanted.requeueAfterMs !== undefined) {
        this.#enqueueLater(key, wanted.requeueAfterMs);
      }
    } catch (error) {
      if (!signal.aborted) this.#retry(key, error);
    } finally {
      this.#endTurn(key);
    }
  }

  /** Pods are admitted by their controllers; this is about what else they make, and is rare. */
  #refuse(key: string, message: string): void {
    const about = this.#parts.state.byKey(key);
    if (about) {
      const event = { type: 'Warning' as const, reason: 'FailedCreate', message: `Error creating: ${message}`, about };
      this.#record({ changes: [], events: [event] });
    }
    this.#retry(key, new GantryError('resourceExhausted', message));
  }

  /** Only what has really happened is said. */
  #record({ events = [], createdEvents }: ReconcileResult, created: readonly KubeObject[] = []): void {
    for (const event of [...events, ...(createdEvents?.(created) ?? [])]) {
      const about = referenceTo(event.about);
      this.#parts.events.record({ ...event, about, component: this.#controller.name });
    }
  }

  #endTurn(key: string): void {
    this.#running.delete(key);
    if (this.#parts.signal.aborted) {
      if (this.#running.size === 0) this.#finish();
      return;
    }
    if (this.#again.delete(key)) this.#enqueue(key);
    if (this.#queue.size > 0) this.#pumpSoon();
  }

  /** Until the mirror shows what the winner wrote; with growing patience when the same key loses again and again. */
  async #waitAfterConflict(key: string, revision: bigint): Promise<void> {
    const { state, clock, signal } = this.#parts;
    const failures = this.#countFailure(key);
    const patience = new AbortController();
    const timer = clock.schedule(Math.max(conflictPatienceMs, this.#backoffMs(failures)), () => patience.abort());
    await state.waitFor(revision, AbortSignal.any([signal, patience.signal])).catch(() => {});
    timer.cancel();
    if (failures > 1) await clock.sleep(this.#backoffMs(failures), signal).catch(() => {});
  }

  #retry(key: string, error: unknown): void {
    const failures = this.#countFailure(key);
    const delayMs = this.#backoffMs(failures);
    const fields = { key, cause: messageOf(error), failures, delayMs: Math.round(delayMs) };
    if (error instanceof GantryError)
      this.#parts.log.warn(fields, 'cannot write what a reconcile decided; trying again');
    else
      this.#parts.log.error({ ...fields, stack: error instanceof Error ? error.stack : undefined }, 'reconcile failed');
    this.#enqueueLater(key, delayMs);
  }

  #countFailure(key: string): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    return failures;
  }

  /** Doubles from 10 ms to 30 s, then loses up to half of it by chance. */
  #backoffMs(failures: number): number {
    const fullMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(failures - 1, 20));
    return fullMs * (1 - this.#parts.random.next() / 2);
  }
}

/** `others`: keys that take such turns too. All of them together get their part of the time, not each. */
function restAfterMs(tookMs: number, others: number): number {
  const aloneMs = Math.max(Math.min(tookMs * restPerTurn.brief, briefRestMs), tookMs * restPerTurn.long);
  if (tookMs < longTurnMs) return aloneMs;
  return Math.max(aloneMs, Math.min((tookMs * (others - 1)) / shareOfLongTurns, longestRestMs));
}

function* everythingIn(state: ClusterState): Iterable<ObjectChange> {
  for (const [key, object] of state.all()) yield { key, object };
}
