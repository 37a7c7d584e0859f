/** A ticked list of steps with their times: progress on a terminal, plain lines otherwise. */
import type { Clock, Timer } from '../lib/clock.ts';
import { GantryError, messageOf } from '../lib/errors.ts';

export interface Steps {
  /** Begins a step; the result ends it well. Only one step runs at a time. */
  begin(step: string): () => void;
  /** Ends the running step badly and tells why. */
  fail(error: unknown): void;
}

const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const frameMs = 100;
const titleWidth = 34;

export function createSteps(clock: Clock, output: NodeJS.WriteStream): Steps {
  let running: { readonly title: string; readonly startedMs: number } | undefined;
  let timer: Timer | undefined;
  let frame = 0;

  const seconds = (sinceMs: number): string => `${((clock.monotonicMs() - sinceMs) / 1000).toFixed(1)} s`;
  const draw = (): void => {
    if (!running) return;
    frame = (frame + 1) % spinner.length;
    output.write(`\r\x1b[K${spinner[frame]} ${running.title.padEnd(titleWidth)} ${seconds(running.startedMs)}`);
    timer = clock.schedule(frameMs, draw);
  };
  const end = (mark: string, title: string, startedMs: number): void => {
    timer?.cancel();
    running = undefined;
    output.write(
      `${output.isTTY ? '\r\x1b[K' : ''}${mark} ${title.padEnd(titleWidth)} ${seconds(startedMs).padStart(7)}\n`,
    );
  };

  return {
    begin(title) {
      const startedMs = clock.monotonicMs();
      running = { title, startedMs };
      if (output.isTTY) draw();
      return () => end('✔', title, startedMs);
    },
    fail(error) {
      if (running) end('✘', running.title, running.startedMs);
      output.write(`\n${messageOf(error)}\n`);
      if (error instanceof GantryError) for (const line of error.details) output.write(`  ${line}\n`);
    },
  };
}
