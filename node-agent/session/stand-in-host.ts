/** The agent's side of the thread that stands in for it: says where the session is, and that the agent is at work. */
import { Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { StandInTarget } from './stand-in.ts';
import type { StandInData } from './stand-in-thread.ts';

export interface StandInHost {
  /** Undefined: there is no session. */
  target(target: StandInTarget | undefined): void;
  stop(): Promise<void>;
}

export interface StandInHostOptions extends Omit<StandInData, 'turns'> {
  readonly clock: Clock;
  readonly log: Log;
}

const turnMs = 500;
const restartMs = 1_000;
/** It needs a tenth of that; a default one takes room for much more. */
const resourceLimits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 };

export function startStandIn({ clock, log, identityFile, fencingFolder, lapseMs }: StandInHostOptions): StandInHost {
  const turns = new SharedArrayBuffer(4);
  const counter = new Int32Array(turns);
  let current: StandInTarget | undefined;
  let worker: Worker | undefined;
  let timer: Timer | undefined;
  let stopped = false;

  const start = (): void => {
    if (stopped) return;
    const begun = new Worker(new URL('stand-in-thread.ts', import.meta.url), {
      workerData: { turns, identityFile, fencingFolder, lapseMs } satisfies StandInData,
      resourceLimits,
    });
    worker = begun;
    begun.unref();
    begun.postMessage(current);
    begun.on('error', (error) =>
      log.error({ error: messageOf(error) }, 'the heartbeat thread has ended; starting anew'),
    );
    begun.on('exit', () => {
      if (worker === begun) clock.schedule(restartMs, start);
    });
  };
  const turn = (): void => {
    Atomics.add(counter, 0, 1);
    timer = clock.schedule(turnMs, turn);
  };
  turn();
  return {
    target(target) {
      current = target;
      // Not before there is something to keep: a restarted agent has to be back in session soon.
      if (worker) worker.postMessage(target);
      else if (target) start();
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      const ending = worker;
      worker = undefined;
      await ending?.terminate();
    },
  };
}
