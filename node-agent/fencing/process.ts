/**
 * The watchdog as a process of its own (watchdog.sh), told by files. It runs only while there is something to guard, and is
 * started again, by whichever agent lives, should it end.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bootTimeMs, type Clock, type Timer } from '../../lib/clock.ts';
import { GantryError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Exec } from '../../lib/process.ts';
import { identifyProcess, isAlive, type ProcessIdentity, signalProcess } from '../runtime/processes.ts';
import { readIfAny, readLease, writeLease, writeWhole } from './lease-file.ts';
import type { GuardedPod, Watchdog } from './watchdog.ts';

export interface WatchdogProcessOptions {
  /** Of the files; need not survive a reboot. */
  readonly folder: string;
  /** The folders of the pod's cgroup, in the hierarchies that tell all its processes. */
  readonly cgroupDirs: (podUid: string) => readonly string[];
  readonly exec: Exec;
  readonly clock: Clock;
  readonly log: Log;
}

export interface WatchdogProcess extends Watchdog {
  /** This agent ends; the watchdog goes on. */
  close(): void;
}

const script = fileURLToPath(new URL('watchdog.sh', import.meta.url));
const superviseMs = 500;
const startPatienceMs = 5_000;
/** Two heartbeats. */
const thoughtFreshMs = 2_000;

export function openWatchdog(options: WatchdogProcessOptions): WatchdogProcess {
  const { folder } = options;
  // Pods' own users pass through the agent's folder on their way to their volumes.
  mkdirSync(dirname(folder), { recursive: true, mode: 0o711 });
  for (const name of ['pods', 'fenced']) mkdirSync(`${folder}/${name}`, { recursive: true, mode: 0o700 });
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  if (readIfAny(`${folder}/boot`) !== bootId) forgetFormerBoot(folder, bootId);
  return new FileWatchdog(options);
}

/** All that ran is gone, and the clock has begun anew. */
function forgetFormerBoot(folder: string, bootId: string): void {
  for (const name of ['lease', 'watchdog']) rmSync(`${folder}/${name}`, { force: true });
  for (const uid of namesIn(`${folder}/pods`)) writeFileSync(`${folder}/fenced/${uid}`, '');
  writeWhole(`${folder}/boot`, bootId);
}

class FileWatchdog implements WatchdogProcess {
  readonly nowMs = bootTimeMs;
  readonly #options: WatchdogProcessOptions;
  readonly #guarded: Set<string>;
  #renewedAtMs: number | undefined;
  #process: ProcessIdentity | undefined;
  #starting: Promise<void> | undefined;
  #supervision: Timer | undefined;
  #closed = false;

  constructor(options: WatchdogProcessOptions) {
    const { folder } = options;
    this.#options = options;
    this.#guarded = new Set([...namesIn(`${folder}/pods`), ...namesIn(`${folder}/fenced`)]);
    this.#renewedAtMs = readLease(folder);
    this.#process = readProcess(folder);
    this.#supervise();
  }

  async guard({ uid, stopAfterMs }: GuardedPod): Promise<void> {
    const { folder, cgroupDirs } = this.#options;
    if (!this.#guarded.has(uid)) {
      this.#guarded.add(uid);
      writeWhole(`${folder}/pods/${uid}`, `${[stopAfterMs, ...cgroupDirs(uid)].join('\n')}\n`);
    }
    await this.#keepAlive();
  }

  async release(uid: string): Promise<void> {
    const { folder } = this.#options;
    // In this order: what is in pods alone would be taken for a pod that still runs.
    for (const name of ['pods', 'fenced']) rmSync(`${folder}/${name}/${uid}`, { force: true });
    this.#guarded.delete(uid);
    if (this.#guarded.size > 0) return;
    await this.#starting?.catch(() => {});
    if (this.#guarded.size > 0) return;
    rmSync(`${folder}/watchdog`, { force: true });
    signalProcess(this.#process, 'SIGKILL');
    this.#process = undefined;
  }

  renew(sentAtMs: number): void {
    if (sentAtMs <= (this.#renewedAtMs ?? 0)) return;
    this.#renewedAtMs = sentAtMs;
    writeLease(this.#options.folder, sentAtMs);
  }

  renewedAtMs(): number | undefined {
    // While we were too busy the thread that stood in for us may have renewed (session/stand-in.ts).
    const known = this.#renewedAtMs;
    if (known !== undefined && this.nowMs() < known + thoughtFreshMs) return known;
    this.#renewedAtMs = Math.max(known ?? 0, readLease(this.#options.folder) ?? 0) || undefined;
    return this.#renewedAtMs;
  }

  guarded(): readonly string[] {
    return [...this.#guarded];
  }

  isFenced(uid: string): boolean {
    return this.#guarded.has(uid) && existsSync(`${this.#options.folder}/fenced/${uid}`);
  }

  close(): void {
    this.#closed = true;
    this.#supervision?.cancel();
  }

  #supervise(): void {
    if (this.#closed) return;
    this.#supervision = this.#options.clock.schedule(superviseMs, () => this.#supervise());
    if (this.#guarded.size === 0) return;
    this.#keepAlive().catch((error: unknown) => {
      this.#options.log.error({ error: messageOf(error) }, 'no watchdog guards the pods that must not run twice');
    });
  }

  async #keepAlive(): Promise<void> {
    if (isAlive(this.#process)) return;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  /** Resolves when it has said that it is there. */
  async #start(): Promise<void> {
    const { folder, exec, clock, log } = this.#options;
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
    const child = exec.start(['bash', script, folder], { cwd: '/', detached: true, stdio: 'ignore', env });
    child.once('error', (error) => log.error({ error: messageOf(error) }, 'the watchdog cannot be started'));
    child.unref();
    const endMs = clock.monotonicMs() + startPatienceMs;
    while (clock.monotonicMs() < endMs) {
      this.#process = readProcess(folder);
      if (this.#process && this.#process.pid === child.pid) return;
      await clock.sleep(10);
    }
    throw new GantryError(
      'unavailable',
      'the watchdog of pods that must not run twice does not start; is bash installed?',
    );
  }
}

/** The one that counts, if it lives. */
function readProcess(folder: string): ProcessIdentity | undefined {
  const [pid, startTime] = (readIfAny(`${folder}/watchdog`) ?? '').trim().split(':');
  const identity = identifyProcess(Number(pid));
  return identity?.startTime.startsWith(`${startTime}@`) ? identity : undefined;
}

function namesIn(folder: string): readonly string[] {
  return readdirSync(folder).filter((name) => !name.startsWith('.'));
}
