/**
 * Many seeds, in processes that share them: each takes the next ones that nobody has. Nothing of a run depends on which
 * process it is in. A process ends after a while, because Node keeps what its composite abort signals hold for ever, and
 * a killed simulated process never lets go.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { type RunOptions, type RunResult, runSeed } from './run.ts';

export type SeedOptions = Pick<RunOptions, 'hours' | 'calm'>;

export interface ManyOptions extends SeedOptions {
  readonly first: number;
  readonly count: number;
  /** Processes at the same time. */
  readonly jobs: number;
  readonly onResult: (result: RunResult) => void;
}

interface Share {
  readonly seeds: readonly number[];
  readonly options: SeedOptions;
}

const seedsPerProcess = 50;
const program = join(import.meta.dirname, 'main.ts');

export async function runMany({ first, count, jobs, onResult, ...options }: ManyOptions): Promise<void> {
  const seeds = Array.from({ length: count }, (_, index) => first + index);
  const next = async (): Promise<void> => {
    while (seeds.length > 0) await runElsewhere({ seeds: seeds.splice(0, seedsPerProcess), options }, onResult);
  };
  await Promise.all(Array.from({ length: jobs }, next));
}

function runElsewhere(share: Share, onResult: (result: RunResult) => void): Promise<void> {
  const worker: ChildProcess = fork(program, ['--worker']);
  let left = share.seeds.length;
  worker.on('message', (result: RunResult) => {
    onResult(result);
    left -= 1;
    if (left === 0) worker.disconnect();
  });
  worker.send(share);
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', (code) => {
      if (code === 0 && left === 0) resolve();
      else reject(new Error(`a process of the simulation ended with ${code}; see above`));
    });
  });
}

/** In the other process. */
export function work(): void {
  process.once('disconnect', () => process.exit(0));
  process.once('message', ({ seeds, options }: Share) => {
    void (async () => {
      for (const seed of seeds) process.send?.(await runSeed({ seed, ...options }));
    })();
  });
}
