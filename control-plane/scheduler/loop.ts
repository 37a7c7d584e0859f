/**
 * The scheduler at work, while its replica leads: watches the state, decides with `schedule`, writes with
 * `writeParts`. One pass at a time; the next one starts only when the state shows what the last one wrote, so that
 * no decision rests on a place that is already given away.
 */
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { podIPKey } from '../../lib/model/allocations.ts';
import { referenceTo } from '../../lib/model/event.ts';
import { isFenced } from '../../lib/model/fencing.ts';
import { priorityOf, withPriority } from '../../lib/model/priority.ts';
import type { Random } from '../../lib/random.ts';
import type { Compare, Store } from '../../lib/store/store.ts';
import { transactOnce } from '../../lib/store/transact-once.ts';
import type { Pod, PriorityClass } from '../../proto/gen/types.ts';
import type { EventRecorder } from '../events/recorder.ts';
import { nextPodIP } from '../network/pod-ips.ts';
import type { ClusterState, ObjectChange } from '../state/cluster-state.ts';
import { addressOf, bindingPart, boundPod } from './bind.ts';
import type { PodPreemption } from './eviction-round.ts';
import { type FencedBinding, writeFenced } from './fenced-bindings.ts';
import { budgetFor, preemptionTransaction } from './preemption-write.ts';
import { numbersRestMs, Refusals, refusalPart } from './refusals.ts';
import { type Binding, schedule, type Unschedulable } from './schedule.ts';
import type { StrategyName, StrategyState } from './strategies.ts';
import { SchedulerView } from './view.ts';
import { type VolumeBinding, volumeBinding, withVolumes } from './volumes.ts';
import { type Part, type WriteOptions, writeParts } from './write-parts.ts';

export interface SchedulerOptions {
  readonly state: ClusterState;
  readonly store: Store;
  /** The leader's term, compared in every transaction. */
  readonly fence: Compare;
  readonly defaultStrategy: StrategyName;
  /** Pods that one transaction of the store can make; bindings write two keys each. */
  readonly podsPerTransaction: number;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Ends the loop. */
  readonly signal: AbortSignal;
}

const retryMs = 200;
/** Of one pass: the recorder keeps no more. */
const mostEvents = 2_000;

interface Wanted extends Binding {
  /** Of a pod whose claims wait for it. */
  readonly volumes?: VolumeBinding;
}

/** Resolves when `signal` is aborted. */
export async function runScheduler(options: SchedulerOptions): Promise<void> {
  const loop = new SchedulerLoop(options);
  await loop.run();
}

class SchedulerLoop {
  readonly #options: SchedulerOptions;
  readonly #strategyState: StrategyState;
  readonly #writing: WriteOptions;
  readonly #refusals = new Refusals();
  /** Per node, the address given last. */
  readonly #lastIP = new Map<string, string>();
  readonly #view: SchedulerView;
  #wake: (() => void) | undefined;
  #dirty = true;
  #willLookAgain = false;

  constructor(options: SchedulerOptions) {
    const { store, fence, clock, podsPerTransaction } = options;
    this.#options = options;
    this.#strategyState = { random: options.random, lastTurn: '' };
    this.#writing = { store, fence, clock, mostParts: Math.max(1, Math.floor(podsPerTransaction / 2)) };
    this.#view = new SchedulerView(options.state);
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

  /** A pass is worth it when a pod waits and something may have changed for it. */
  #notice(changes: readonly ObjectChange[]): void {
    const matters = this.#view.apply(changes);
    if (matters && this.#view.isAnyPending) this.#lookAgain();
  }

  #lookAgain(): void {
    this.#dirty = true;
    this.#wake?.();
  }

  async #pass(): Promise<void> {
    const { state, signal, defaultStrategy } = this.#options;
    if (!this.#view.isAnyPending) return;
    const prioritized = withPriorities(this.#view.pending, state.list('PriorityClass'));
    const { ready, refused: withoutVolumes } = withVolumes(prioritized.ready, state);
    const refused = [...prioritized.refused, ...withoutVolumes];
    const decision = schedule(ready, this.#view.picture, {
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
    const { events, clock, log, signal } = this.#options;
    const { shared, alone, fenced } = this.#byTransaction(bindings);
    const given = new Set<string>();
    const written = [
      await writeParts(this.#partsOf(shared, given), this.#writing),
      await writeParts(this.#partsOf(alone, given), { ...this.#writing, mostParts: 1 }),
      await writeFenced(this.#fencedPartsOf(fenced, given), this.#writing),
    ];
    const done = written.flatMap((each) => each.done);
    const failed = written.flatMap((each) => each.failed);
    for (const pod of done.slice(-mostEvents)) {
      const message = `Successfully assigned ${pod.metadata.namespace}/${pod.metadata.name} to ${pod.spec.nodeName}`;
      events.record({ type: 'Normal', reason: 'Scheduled', message, about: referenceTo(pod), component: 'scheduler' });
    }
    if (failed.length > 0) {
      log.info({ failed: failed.length }, 'bindings lost their compare and are decided again');
      // Whatever they lost to need not wake us: an address that leaked would not.
      this.#dirty = true;
      await clock.sleep(retryMs, signal);
    }
    return latestOf(written.map(({ revision }) => revision));
  }

  /**
   * What a pod's claims are bound to is written with its own binding, in a transaction for each such pod; so is that of a
   * pod that must not run twice.
   */
  #byTransaction(bindings: readonly Binding[]): Readonly<Record<'shared' | 'alone' | 'fenced', readonly Wanted[]>> {
    const { clock, random } = this.#options;
    const groups = { shared: [] as Wanted[], alone: [] as Wanted[], fenced: [] as Wanted[] };
    for (const { pod, node } of bindings) {
      const volumes = volumeBinding(pod, node, clock.nowMs(), () => random.uuid());
      const group = isFenced(pod) ? 'fenced' : volumes ? 'alone' : 'shared';
      groups[group].push(volumes ? { pod: volumes.pod, node, volumes } : { pod, node });
    }
    return groups;
  }

  /** Made one by one, when a transaction takes them: thousands at once would keep everybody else waiting. */
  *#partsOf(wanted: Iterable<Wanted>, given: Set<string>): Generator<Part<Pod>> {
    for (const { volumes, ...binding } of wanted) {
      const bound = this.#withAddress(binding, given);
      if (bound) yield volumes ? withVolumeBinding(bindingPart(bound), volumes) : bindingPart(bound);
    }
  }

  #fencedPartsOf(wanted: readonly Wanted[], given: Set<string>): FencedBinding[] {
    return wanted.flatMap((one) => [...this.#partsOf([one], given)].map((part) => ({ part, node: one.node })));
  }

  /** Undefined when its node has none left; `given` are those that are on their way. */
  #withAddress({ pod, node }: Binding, given: Set<string>): Pod | undefined {
    const { state, clock, events } = this.#options;
    if (pod.spec.hostNetwork) return boundPod(pod, node, addressOf(node), clock.nowMs());
    const taken = (ip: string): boolean => given.has(ip) || state.other(podIPKey(ip)) !== undefined;
    const { podCIDR } = node.spec;
    const { name } = node.metadata;
    const ip = podCIDR && nextPodIP(podCIDR, taken, this.#lastIP.get(name));
    if (ip) {
      given.add(ip);
      this.#lastIP.set(name, ip);
      return boundPod(pod, node, ip, clock.nowMs());
    }
    const message = `node ${name} has no free pod address left in ${podCIDR ?? 'its (missing) podCIDR'}`;
    const about = referenceTo(pod);
    events.record({ type: 'Warning', reason: 'FailedScheduling', message, about, component: 'scheduler' });
    this.#view.picture.noteAddressesGone(name);
    this.#dirty = true;
    return undefined;
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
    const { events, clock } = this.#options;
    const { now, later } = this.#refusals.due(unschedulable, clock.monotonicMs());
    if (later) this.#lookAgainLater();
    const nowMs = clock.nowMs();
    const parts = now.map((refusal) => refusalPart(refusal, nowMs));
    const { done, failed, revision } = await writeParts(parts, this.#writing);
    for (const { pod, message } of done) {
      this.#refusals.tell(pod, clock.monotonicMs());
      const about = referenceTo(pod);
      events.record({ type: 'Warning', reason: 'FailedScheduling', message, about, component: 'scheduler' });
    }
    if (failed.length > 0) this.#lookAgainLater(retryMs); // changed meanwhile
    return revision;
  }

  #lookAgainLater(delayMs = numbersRestMs): void {
    if (this.#willLookAgain) return;
    this.#willLookAgain = true;
    const { clock, signal } = this.#options;
    const look = (): void => {
      this.#willLookAgain = false;
      this.#lookAgain();
    };
    clock.sleep(delayMs, signal).then(look, () => {});
  }
}

function latestOf(revisions: readonly bigint[]): bigint {
  let latest = 0n;
  for (const revision of revisions) if (revision > latest) latest = revision;
  return latest;
}

function withVolumeBinding(part: Part<Pod>, { compare, success }: VolumeBinding): Part<Pod> {
  return { of: part.of, compare: [...part.compare, ...compare], success: [...part.success, ...success] };
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
