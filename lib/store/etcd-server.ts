/**
 * Starts and supervises a local etcd, the embedded default of the control plane.
 *
 * The etcd process is in a session of its own and logs to a file, so it outlives a control plane that was killed; the
 * next one finds it by the record in the data folder and adopts it, since the data folder and the ports are taken.
 * Files in `dataDir`: member data in `data/`, `etcd.pid.json`, `etcd.log`.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { GantryError, messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Exec } from '../process.ts';
import { createEtcdStore } from './etcd.ts';
import {
  clientAddressOf,
  type EtcdServerOptions,
  etcdArgv,
  lastLogLine,
  logPath,
  openLog,
  readTls,
  shortenLog,
} from './etcd-launch.ts';
import {
  endProcess,
  isRunning,
  listensOn,
  type ProcessRecord,
  readLiveRecord,
  removeRecord,
  startTimeOf,
  writeRecord,
} from './etcd-process.ts';

export interface EtcdServerParts {
  readonly exec: Exec;
  readonly clock: Clock;
  readonly log: Log;
}

export interface EtcdServer {
  /** `host:port` for `createEtcdStore`. */
  readonly endpoint: string;
  /** Of the current process; another one after a restart, and undefined between two. */
  readonly pid: number | undefined;
  /** Whether the first process was found running and adopted. */
  readonly adopted: boolean;
  /** SIGTERM, and SIGKILL after a grace; resolves when the process is gone. */
  stop(): Promise<void>;
}

/**
 * Resolves once etcd answers; rejects, and leaves nothing running, when it does not within `startTimeoutMs`. One of
 * several (`shared`) cannot answer without the others: that resolves at once, and only its log tells of trouble.
 */
export async function startEtcdServer(options: EtcdServerOptions, parts: EtcdServerParts): Promise<EtcdServer> {
  await mkdir(join(options.dataDir, 'data'), { recursive: true, mode: 0o700 });
  const supervisor = new Supervisor(options, parts);
  try {
    await supervisor.start();
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
  return supervisor;
}

const pollMs = 25;
const logCheckMs = 600_000;
const adoptedPollMs = 250;
const firstBackoffMs = 200;
const longestBackoffMs = 10_000;
/** A process that lived this long ends a series of failures. */
const stableMs = 30_000;
/** So many ends before the first answer, and the start has failed. */
const hopelessEnds = 3;

interface Running {
  /** Resolves with the reason when the process is gone. */
  readonly ended: Promise<string>;
}

class Supervisor implements EtcdServer {
  readonly endpoint: string;
  adopted = false;
  readonly #options: EtcdServerOptions;
  readonly #parts: EtcdServerParts;
  readonly #argv: readonly string[];
  readonly #stopping = new AbortController();
  #record: ProcessRecord | undefined;
  #ends = 0;
  #lastEnd = '';
  #supervision: Promise<void> = Promise.resolve();

  constructor(options: EtcdServerOptions, parts: EtcdServerParts) {
    this.#options = options;
    this.#parts = parts;
    this.#argv = etcdArgv(options);
    this.endpoint = clientAddressOf(options);
  }

  get pid(): number | undefined {
    return this.#record?.pid;
  }

  async start(): Promise<void> {
    const { clock, log } = this.#parts;
    const found = await readLiveRecord(this.#options.dataDir);
    this.adopted = found !== undefined && sameArgv(found.argv, this.#argv);
    if (found && this.adopted) log.info({ pid: found.pid }, 'adopted the etcd that was still running');
    if (found && !this.adopted) {
      log.info({ pid: found.pid }, 'ending the etcd that still ran with other options');
      await endProcess(found, clock);
    }
    void this.#keepLogShort();
    this.#supervision = this.#supervise(found && this.adopted ? this.#adopt(found) : await this.#spawn());
    if (!this.#options.shared) await this.#untilAnswering();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('etcd is being stopped'));
    if (this.#record) await endProcess(this.#record, this.#parts.clock);
    await this.#supervision;
    await removeRecord(this.#options.dataDir);
  }

  async #keepLogShort(): Promise<void> {
    const { clock, log } = this.#parts;
    const stopping = this.#stopping.signal;
    while (!stopping.aborted) {
      await clock.sleep(logCheckMs, stopping).catch(() => {});
      if (stopping.aborted) return;
      await shortenLog(this.#options.dataDir).catch((error: unknown) => {
        log.warn({ cause: messageOf(error) }, "cannot shorten etcd's log");
      });
    }
  }

  /** Restarts etcd whenever it ends, until stopped. */
  async #supervise(first: Running): Promise<void> {
    const { clock, log } = this.#parts;
    const stopping = this.#stopping.signal;
    let { ended } = first;
    let backoffMs = firstBackoffMs;
    for (;;) {
      const startedMs = clock.monotonicMs();
      const reason = await ended;
      this.#record = undefined;
      this.#ends += 1;
      this.#lastEnd = reason;
      if (stopping.aborted) return;
      if (clock.monotonicMs() - startedMs >= stableMs) backoffMs = firstBackoffMs;
      log.error({ reason, backoffMs, lastLine: await this.#lastLogLine() }, 'etcd ended; starting it again');
      await clock.sleep(backoffMs, stopping).catch(() => {});
      if (stopping.aborted) return;
      backoffMs = Math.min(longestBackoffMs, backoffMs * 2);
      ended = (await this.#spawn()).ended;
    }
  }

  async #spawn(): Promise<Running> {
    try {
      return await this.#spawnOrThrow();
    } catch (error) {
      return { ended: Promise.resolve(`cannot start etcd: ${messageOf(error)}`) };
    }
  }

  async #spawnOrThrow(): Promise<Running> {
    const { dataDir } = this.#options;
    const logFile = await openLog(dataDir);
    try {
      const stdio: ('ignore' | number)[] = ['ignore', logFile.fd, logFile.fd];
      const child = this.#parts.exec.start(this.#argv, { detached: true, stdio });
      const ended = new Promise<string>((resolve) => {
        child.on('error', (error) => resolve(`cannot run etcd (${error.message}); install Debian's etcd-server`));
        child.on('exit', (code, signal) => resolve(signal ? `ended by ${signal}` : `exit status ${code}`));
      });
      const startTime = child.pid === undefined ? undefined : await startTimeOf(child.pid);
      if (child.pid !== undefined && startTime !== undefined) {
        this.#record = { pid: child.pid, startTime, argv: this.#argv };
        await writeRecord(dataDir, this.#record);
        // A stop that came meanwhile has not seen this process.
        if (this.#stopping.signal.aborted) await endProcess(this.#record, this.#parts.clock);
      }
      return { ended };
    } finally {
      await logFile.close();
    }
  }

  /** An adopted process is not our child: its end can only be seen by looking. */
  #adopt(record: ProcessRecord): Running {
    this.#record = record;
    const watch = async (): Promise<string> => {
      while (await isRunning(record)) await this.#parts.clock.sleep(adoptedPollMs);
      return 'the adopted process is gone';
    };
    return { ended: watch() };
  }

  async #untilAnswering(): Promise<void> {
    const { clock } = this.#parts;
    const timeoutMs = this.#options.startTimeoutMs ?? 30_000;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const tls = await readTls(this.#options.tls);
    const probe = createEtcdStore({ endpoints: [this.endpoint], clock, timeoutMs: 1000, ...(tls && { tls }) });
    try {
      for (;;) {
        const problem = await this.#probe(probe);
        if (problem === undefined) return;
        if (clock.monotonicMs() >= deadlineMs || this.#ends >= hopelessEnds) throw await this.#startError(problem);
        await clock.sleep(pollMs);
      }
    } finally {
      await probe.close();
    }
  }

  /** Why etcd cannot be used yet. The listening check keeps a stranger on our port from answering in its place. */
  async #probe(probe: { get(key: string): Promise<unknown> }): Promise<string | undefined> {
    const pid = this.pid;
    if (pid === undefined) return this.#lastEnd;
    if (!(await listensOn(pid, this.#options.clientPort))) return this.#lastEnd || 'it does not listen';
    try {
      await probe.get('/'); // a linearizable read: the member has a leader
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  async #startError(problem: string): Promise<GantryError> {
    const lastLine = await this.#lastLogLine();
    return new GantryError(
      'unavailable',
      `etcd did not start on ${this.endpoint}: ${problem}. Its log ends with: ${lastLine || '(nothing)'}. ` +
        `See ${logPath(this.#options.dataDir)}`,
    );
  }

  async #lastLogLine(): Promise<string> {
    return lastLogLine(this.#options.dataDir).catch(() => '');
  }
}

const sameArgv = (a: readonly string[], b: readonly string[]): boolean => JSON.stringify(a) === JSON.stringify(b);
