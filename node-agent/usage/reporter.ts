/** Reports what the pods use that the control plane asks for, in its period; reads nothing while it asks for none. */
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { PodStats, UsageWanted } from '../../proto/gen/types.ts';
import { type Reading, read, type UsageSources, usageBetween } from './measure.ts';

export interface UsageReporterOptions extends UsageSources {
  readonly send: (pods: PodStats[]) => void;
  readonly clock: Clock;
  readonly log: Log;
}

const defaultPeriodMs = 15_000;
/** The first figures of new pods come sooner, if they start soon. */
const firstPeriodMs = 3_000;
const quickTurns = 6;
/** Over less than this a rate says little. */
const leastWindowMs = 1_000;

export class UsageReporter {
  readonly #options: UsageReporterOptions;
  #podUIDs: readonly string[] = [];
  #periodMs = defaultPeriodMs;
  #before: Reading | undefined;
  #timer: Timer | undefined;
  #quickTurnsLeft = 0;

  constructor(options: UsageReporterOptions) {
    this.#options = options;
  }

  /** In place of what was wanted before. */
  want({ podUIDs = [], periodMs }: UsageWanted): void {
    const more = podUIDs.some((uid) => !this.#podUIDs.includes(uid));
    this.#podUIDs = podUIDs;
    this.#periodMs = periodMs || defaultPeriodMs;
    if (podUIDs.length === 0) this.stop();
    else if (more) this.#restart();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#before = undefined;
    this.#podUIDs = [];
  }

  #restart(): void {
    this.#timer?.cancel();
    this.#quickTurnsLeft = quickTurns;
    this.#timer = this.#options.clock.schedule(0, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    const { clock, log, pod, send } = this.#options;
    const timer = this.#timer;
    let complete = false;
    try {
      const reading = await read(this.#options, this.#podUIDs);
      if (timer !== this.#timer) return; // others are wanted meanwhile, or none
      const before = this.#before;
      this.#before = reading;
      const usages = before && reading.atMs - before.atMs >= leastWindowMs ? usageBetween(before, reading, pod) : [];
      if (usages.length > 0) send(usages);
      complete = this.#podUIDs.every((wanted) => usages.some((usage) => usage.uid === wanted && isWhole(usage)));
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'cannot read what pods use; trying again');
    }
    if (timer !== this.#timer) return;
    const hurries = !complete && this.#quickTurnsLeft > 0;
    this.#quickTurnsLeft = complete ? 0 : this.#quickTurnsLeft - 1;
    const nextMs = hurries ? Math.min(firstPeriodMs, this.#periodMs) : this.#periodMs;
    this.#timer = clock.schedule(nextMs, () => void this.#turn());
  }
}

function isWhole({ containers = [] }: PodStats): boolean {
  return containers.length > 0 && containers.every(({ cpuNanocores }) => cpuNanocores !== undefined);
}
