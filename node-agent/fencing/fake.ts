/**
 * The watchdog of a simulated machine: it lives on the machine's clock, not on the agent's process, so that the agent may be
 * killed or stand still while it goes on. Every agent of the machine gets the same one.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { GuardedPod, Watchdog } from './watchdog.ts';

export interface FakeWatchdog extends Watchdog {
  /** The machine has lost power: what was guarded never runs again, and nobody has renewed since it boots. */
  powerOff(): void;
}

export interface FakeWatchdogOptions {
  /** The machine's: at the rate of its agent's clock, and going on without it. */
  readonly clock: Pick<Clock, 'monotonicMs' | 'schedule'>;
  /** Kills every process of the pod, also a container that is only created: FakeHost.killPod. */
  readonly kill: (uid: string) => void;
  /** How late it notices. Default 100 ms, as often as the real one looks. */
  readonly pollMs?: number;
  /** A bug that tests plant: it never kills. */
  readonly asleep?: boolean;
}

const defaultPollMs = 100;

export function createFakeWatchdog(options: FakeWatchdogOptions): FakeWatchdog {
  const { clock, kill, pollMs = defaultPollMs, asleep = false } = options;
  const pods = new Map<string, GuardedPod>();
  const fenced = new Set<string>();
  let renewedAtMs: number | undefined;
  let timer: Timer | undefined;

  const isOver = ({ stopAfterMs }: GuardedPod): boolean =>
    renewedAtMs === undefined || clock.monotonicMs() >= renewedAtMs + stopAfterMs;
  const look = (): void => {
    for (const pod of pods.values()) if (isOver(pod)) fenced.add(pod.uid);
    if (!asleep) for (const uid of fenced) kill(uid);
    watch();
  };
  /** Looks when the next deadline may be over; while anything is fenced again and again. */
  const watch = (): void => {
    timer?.cancel();
    timer = undefined;
    if (pods.size === 0) return;
    const waits = [...pods.values()].map(({ uid, stopAfterMs }) =>
      fenced.has(uid) ? pollMs : (renewedAtMs ?? 0) + stopAfterMs - clock.monotonicMs() + pollMs,
    );
    timer = clock.schedule(Math.max(pollMs, Math.min(...waits)), look);
  };

  return {
    nowMs: () => clock.monotonicMs(),
    async guard(pod) {
      if (pods.has(pod.uid)) return;
      pods.set(pod.uid, pod);
      watch();
    },
    async release(uid) {
      pods.delete(uid);
      fenced.delete(uid);
      watch();
    },
    renew(sentAtMs) {
      renewedAtMs = Math.max(renewedAtMs ?? sentAtMs, sentAtMs);
    },
    renewedAtMs: () => renewedAtMs,
    guarded: () => [...pods.keys()],
    isFenced: (uid) => fenced.has(uid),
    powerOff() {
      renewedAtMs = undefined;
      for (const uid of pods.keys()) fenced.add(uid);
    },
  };
}
