/**
 * The scheduler at work, while its replica leads: watches the state, decides with `schedule`, writes with
 * `writeBindings`. One pass at a time; the next one starts only when the state shows what the last one wrote, so that
 * no decision rests on a place that is already given away.
 */
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { podIPKey } from '../../lib/model/allocations.ts';
import { encodeObject } from '../../lib/model/codec.ts';
import { referenceTo } from '../../lib/model/event.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { priorityOf, withPriority } from '../../lib/model/priority.ts';
import type { Random } from '../../lib/random.ts';
import { type Compare, modRevisionIs, putOf, type Store } from '../../lib/store/store.ts';
import { transactOnce } from '../../lib/store/transact-once.ts';
import type { Pod, PriorityClass } from '../../proto/gen/types.ts';
import type { EventRecorder } from '../events/recorder.ts';
import { nextPodIP } from '../network/pod-ips.ts';
import type { ClusterState, ObjectChange } from '../state/cluster-state.ts';
import { addressOf, boundPod, withScheduled, writeBindings } from './bind.ts';
import type { PodPreemption } from './eviction-round.ts';
import { nodeInfos } from './node-info.ts';
import { budgetFor, preemptionTransaction } from './preemption-write.ts';
import { type Binding, isPending, schedule, type Unschedulable } from './schedule.ts';
import type { StrategyName, StrategyState } from './strategies.ts';

export interface SchedulerOptions {
  readonly state: ClusterState;
  readonly store: Store;
  /** The leader's term, compared in every transaction. */
  readonly fence: Compare;
  readonly defaultStrategy: StrategyName;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Ends the loop. */
  readonly signal: AbortSignal;
}

const retryMs = 200;

/** Resolves when `signal` is aborted. */
export async function runScheduler(options: SchedulerOptions): Promise<void> {
  const loop = new SchedulerLoop(options);
  await loop.run();
}

class SchedulerLoop {
  readonly #options: SchedulerOptions;
  readonly #strategyState: StrategyState;
  /** Per node, the address given last. */
  readonly #lastIP = new Map<string, string>();
  #wake: (() => void) | undefined;
  #dirty = true;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#strategyState = { random: options.random, lastTurn: '' };
  }

  async run(): Promise<void> {
    const { state, signal, clock, log } = this.#options;
    const unsubscribe = state.onChange((changes) => this.#notice(changes));
    signal.addEventListener('abort', () => this.#wake?.(), { once: true });
    try {
      while (!signal.aborted) {
        if (!this.#dirty) await new Promise<void>((resolve) => (this.#wake = resolve));
        if (signal.aborted) break;
        this.#dirty = false;
        try {
          await this.#pass();
        } catch (error) {
          if (signal.aborted) break;
          log.warn({}, `scheduling pass failed, trying again: ${messageOf(error)}`);
          this.#dirty = true;
          await clock.sleep(retryMs, signal).catch(() => {});
        }
      }
    } finally {
      unsubscribe();
    }
  }

  /** A pass is worth it when a pod waits, or when room may have been made. */
  #notice(changes: readonly ObjectChange[]): void {
    if (this.#dirty) return;
    const matters = changes.some(({ object, previous }) => {
      const kind = (object ?? previous)!.kind;
      return kind === 'Pod' || kind === 'Node' || kind === 'PriorityClass';
    });
    if (!matters) return;
    this.#dirty = true;
    this.#wake?.();
  }

  async #pass(): Promise<void> {
    const { state, signal, defaultStrategy } = this.#options;
    const pods = state.list('Pod');
    const pending = pods.filter(isPending);
    if (pending.length === 0) return;
    const { ready, refused } = withPriorities(pending, state.list('PriorityClass'));
    const decision = schedule(ready, nodeInfos(state.list('Node'), pods), {
      defaultStrategy,
      state: this.#strategyState,
      budgets: state.list('PodDisruptionBudget').map(budgetFor),
    });
    const messages = new Map(decision.unschedulable.map(({ pod, message }) => [pod, message]));
    const revisions = [await this.#bind(decision.bindings)];
    for (const preemption of decision.preemptions) {
      revisions.push(await this.#makeRoom(preemption, messages.get(preemption.pod)!));
      messages.delete(preemption.pod);
    }
    const waiting = [...messages].map(([pod, message]) => ({ pod, message }));
    revisions.push(await this.#refuse([...waiting, ...refused]));
    for (const revision of revisions) await state.waitFor(revision, signal);
  }

  async #bind(bindings: readonly Binding[]): Promise<bigint> {
    if (bindings.length === 0) return 0n;
    const { store, fence, events, clock, log } = this.#options;
    const bound = this.#withAddresses(bindings);
    const { pods, failed, revision } = await writeBindings(store, bound, fence, clock);
    for (const pod of pods) {
      const message = `Successfully assigned ${pod.metadata.namespace}/${pod.metadata.name} to ${pod.spec.nodeName}`;
      events.record({ type: 'Normal', reason: 'Scheduled', message, about: referenceTo(pod), component: 'scheduler' });
    }
    if (failed.length > 0) {
      log.info({ failed: failed.length }, 'bindings lost their compare and are decided again');
      // Whatever they lost to changes the state and wakes us; an address that leaked would not.
      this.#dirty = true;
      await clock.sleep(retryMs, this.#options.signal);
    }
    return revision;
  }

  #withAddresses(bindings: readonly Binding[]): Pod[] {
    const { state, clock, events } = this.#options;
    const given = new Set<string>();
    const taken = (ip: string): boolean => given.has(ip) || state.other(podIPKey(ip)) !== undefined;
    return bindings.flatMap(({ pod, node }) => {
      if (pod.spec.hostNetwork) return [boundPod(pod, node, addressOf(node), clock.nowMs())];
      const { podCIDR } = node.spec;
      const ip = podCIDR && nextPodIP(podCIDR, taken, this.#lastIP.get(node.metadata.name));
      if (!ip) {
        const message = `node ${node.metadata.name} has no free pod address left in ${podCIDR ?? 'its (missing) podCIDR'}`;
        events.record({
          type: 'Warning',
          reason: 'FailedScheduling',
          message,
          about: referenceTo(pod),
          component: 'scheduler',
        });
        return [];
      }
      given.add(ip);
      this.#lastIP.set(node.metadata.name, ip);
      return [boundPod(pod, node, ip, clock.nowMs())];
    });
  }

  /** Marks the victims, and the pod with the node on which it will have room, in one transaction. */
  async #makeRoom(preemption: PodPreemption, message: string): Promise<bigint> {
    const { state, store, fence, events, clock } = this.#options;
    const { pod, node, victims } = preemption;
    const budgets = state.list('PodDisruptionBudget');
    const result = await transactOnce(
      store,
      preemptionTransaction(preemption, message, budgets, fence, clock.nowMs()),
      {
        clock,
      },
    );
    if (!result.succeeded) {
      this.#dirty = true; // the pod or a victim changed meanwhile: decided again
      await clock.sleep(retryMs, this.#options.signal);
      return 0n;
    }
    const component = 'scheduler';
    events.record({ type: 'Warning', reason: 'FailedScheduling', message, about: referenceTo(pod), component });
    for (const victim of victims) {
      const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
      const by = `Preempted by pod ${name} (priority ${priorityOf(pod)}) on node ${node.metadata.name}`;
      events.record({ type: 'Normal', reason: 'Preempted', message: by, about: referenceTo(victim), component });
    }
    return result.revision;
  }

  /** Says why, in the pod's condition and an event, when the reason is new. */
  async #refuse(unschedulable: readonly Unschedulable[]): Promise<bigint> {
    const { store, fence, events, clock } = this.#options;
    let newest = 0n;
    for (const { pod, message } of unschedulable) {
      const before = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
      if (before?.status === 'False' && before.message === message) continue;
      const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message } as const;
      const status = { ...pod.status, conditions: withScheduled(pod, condition, clock.nowMs()) };
      const key = keyOf(pod);
      const transaction = {
        compare: [fence, modRevisionIs(key, BigInt(pod.metadata.resourceVersion!))],
        success: [putOf(key, encodeObject({ ...pod, status }))],
      };
      const result = await transactOnce(store, transaction, { clock });
      if (!result.succeeded) continue; // changed meanwhile: the next pass sees it
      newest = result.revision;
      events.record({
        type: 'Warning',
        reason: 'FailedScheduling',
        message,
        about: referenceTo(pod),
        component: 'scheduler',
      });
    }
    return newest;
  }
}

/** Pods of templates get the priority of their class here; one whose class is missing waits for it. */
export function withPriorities(
  pending: readonly Pod[],
  classes: readonly PriorityClass[],
): { readonly ready: readonly Pod[]; readonly refused: readonly Unschedulable[] } {
  const ready: Pod[] = [];
  const refused: Unschedulable[] = [];
  for (const pod of pending) {
    const settled = withPriority(pod, classes);
    if ('pod' in settled) ready.push(settled.pod);
    else refused.push({ pod, message: settled.problem });
  }
  return { ready, refused };
}
