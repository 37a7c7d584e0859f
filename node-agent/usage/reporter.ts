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
/** The first figures of new pods come sooner. */
const firstPeriodMs = 3_000;
/** Over less than this a rate says little. */
const leastWindowMs = 1_000;

export class UsageReporter {
  readonly #options: UsageReporterOptions;
  #podUIDs: readonly string[] = [];
  #periodMs = defaultPeriodMs;
  #before: Reading | undefined;
  #timer: Timer | undefined;

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
    this.#timer = this.#options.clock.schedule(0, () => void this.#turn(Math.min(firstPeriodMs, this.#periodMs)));
  }

  async #turn(nextMs: number): Promise<void> {
    const { clock, log, pod, send } = this.#options;
    const timer = this.#timer;
    try {
      const reading = await read(this.#options, this.#podUIDs);
      if (timer !== this.#timer) return; // others are wanted meanwhile, or none
      const before = this.#before;
      this.#before = reading;
      const usages = before && reading.atMs - before.atMs >= leastWindowMs ? usageBetween(before, reading, pod) : [];
      if (usages.length > 0) send(usages);
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'cannot read what pods use; trying again');
    }
    if (timer === this.#timer) this.#timer = clock.schedule(nextMs, () => void this.#turn(this.#periodMs));
  }
}
