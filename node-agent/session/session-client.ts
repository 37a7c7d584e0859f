/**
 * The agent's session with the control plane: says hello, beats, reports, and keeps the slice. It ends only with its
 * signal; whatever else goes wrong, it connects again, to the leader when it was told who leads, else to the next
 * server.
 *
 * `lastAckMs` is when the newest acknowledged heartbeat was *sent*: until then, and no longer, the control plane surely
 * knew of us. What must not run twice is measured from it.
 */
import type { Clock } from '../../lib/clock.ts';
import { isGantryError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { type Connection, connect } from '../../lib/rpc/client.ts';
import { RpcError } from '../../lib/rpc/status.ts';
import type { ReloadableTls } from '../../lib/rpc/tls.ts';
import { nodeDeletedTrailer } from '../../lib/rpc/trailers.ts';
import type {
  Node,
  PodStats,
  RemoveVolumes,
  SessionDown,
  SessionUp,
  UsageWanted,
  Welcome,
} from '../../proto/gen/types.ts';
import type { LeaseFollower } from '../fencing/fencing.ts';
import type { StatusSink } from '../pods/report.ts';
import { ReportBuffer } from './report-buffer.ts';
import { ServerChoice } from './server-choice.ts';
import { SessionAttempt, type SessionMemory, SilentServerError } from './session-attempt.ts';
import type { SliceStore } from './slice-store.ts';
import type { StandInHost } from './stand-in-host.ts';

/** One end of a session stream; lib/rpc in production, a direct call in the simulation. */
export interface SessionTransport {
  open(address: string, requests: AsyncIterable<SessionUp>, signal: AbortSignal): AsyncIterable<SessionDown>;
  /** Whatever is kept for the next session. */
  close?(): void;
}

export interface SessionClientOptions {
  /** host:port of the API of one control plane or several; it is told of the others. */
  readonly servers: readonly string[];
  readonly transport: SessionTransport;
  readonly slice: SliceStore;
  /** metadata and status as the agent sees them at this moment. */
  readonly node: () => Node;
  /** Pods held in any state. */
  readonly podUIDs: () => readonly string[];
  /** The addresses of every control plane, as one of them knows them. */
  readonly onServers?: (servers: readonly string[]) => void;
  /** Of which pods the control plane wants to know what they use; at the begin of each session of none. */
  readonly onUsageWanted?: (wanted: UsageWanted) => void;
  /** The data of these volumes is to go. */
  readonly onRemoveVolumes?: (wanted: RemoveVolumes) => void;
  readonly onWelcome?: (welcome: Welcome) => void;
  /** The leader says that our Node was deleted, which is certain; gone at this revision of the store. Said again and again. */
  readonly onNodeDeleted?: (revision: string) => void;
  /** Who must know until when the control plane has surely heard of us. */
  readonly lease?: LeaseFollower;
  /** Who beats while we are too busy. */
  readonly standIn?: Pick<StandInHost, 'target'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface SessionClient extends StatusSink {
  /** What pods use. Not kept for later. */
  usage(pods: PodStats[]): void;
  volumesRemoved(paths: string[]): void;
  /** Until the signal is aborted. Rejects never. */
  run(signal: AbortSignal): Promise<void>;
  /** Monotonic; undefined before the first acknowledgement ever. */
  readonly lastAckMs: number | undefined;
  readonly connected: boolean;
}

export const leaderTrailer = 'gantry-leader';

const firstBackoffMs = 100;
const longestBackoffMs = 2_000;
/** A server that answers but does not lead will know the leader soon; meanwhile the others are asked as often. */
const longestElectionBackoffMs = 400;
const electionMs = 5_000;

/**
 * The connection outlives a session that was refused or ended in order, one that fell silent, and one dial that was not
 * answered in time: a control plane that lost and regained its lead, stood still, or has thousands of agents to greet, is
 * spared another handshake with each. After a dial in vain on a connection that was kept, a new one is tried: the old one may
 * lead nowhere.
 */
export function rpcTransport(tls: ReloadableTls): SessionTransport {
  let kept: { readonly address: string; readonly connection: Connection } | undefined;
  return {
    async *open(address, requests, signal) {
      const isKept = kept?.address === address;
      if (!isKept) kept?.connection.close();
      const connection = isKept ? kept!.connection : connect({ address, tls });
      kept = undefined;
      let isGood = false;
      try {
        yield* connection.client('NodeSession').Session(requests, { signal });
        isGood = true;
      } catch (error) {
        const isBusy = error instanceof SilentServerError && (error.when === 'in session' || !isKept);
        isGood = isBusy || isGantryError(error, 'failedPrecondition');
        throw error;
      } finally {
        if (isGood) kept = { address, connection };
        else connection.close();
      }
    },
    close() {
      kept?.connection.close();
      kept = undefined;
    },
  };
}

export function createSessionClient(options: SessionClientOptions): SessionClient {
  return new ReconnectingClient(options);
}

class ReconnectingClient implements SessionClient {
  lastAckMs: number | undefined;
  readonly #options: SessionClientOptions;
  readonly #reports = new ReportBuffer();
  readonly #memory: SessionMemory = {};
  #attempt: SessionAttempt | undefined;
  readonly #choice: ServerChoice;
  #failures = 0;
  #electingUntilMs = 0;
  #lastTrouble = '';

  constructor(options: SessionClientOptions) {
    const choice = new ServerChoice(options.servers);
    const onServers = (servers: readonly string[]): void => {
      choice.learn(servers);
      options.onServers?.(servers);
    };
    this.#choice = choice;
    this.#options = { ...options, onServers };
  }

  get connected(): boolean {
    return this.#attempt?.welcomed === true;
  }

  pod: StatusSink['pod'] = (pod, status) => {
    this.#reports.pod(pod, status);
    this.#attempt?.reportSoon();
  };

  removed: StatusSink['removed'] = (pod) => {
    this.#reports.removed(pod);
    this.#attempt?.reportSoon();
  };

  node: StatusSink['node'] = (status) => {
    this.#reports.node(status);
    this.#attempt?.reportSoon();
  };

  event: StatusSink['event'] = (event) => {
    this.#reports.event(event);
    this.#attempt?.reportEventsSoon();
  };

  usage(pods: PodStats[]): void {
    this.#attempt?.usage(pods);
  }

  volumesRemoved(paths: string[]): void {
    this.#attempt?.volumesRemoved(paths);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      const address = this.#choice.next(clock.monotonicMs());
      try {
        await this.#connect(address, signal);
        log.info({ server: address }, 'the session has ended');
      } catch (error) {
        if (signal.aborted) break;
        this.#learnFrom(error, address);
      }
      await clock.sleep(this.#backoffMs(), signal).catch(() => {});
    }
    this.#options.transport.close?.();
  }

  async #connect(address: string, signal: AbortSignal): Promise<void> {
    const choice = this.#choice;
    const patience = { welcomeMs: choice.patienceMs(address), silentLeases: () => choice.silentLeases };
    const onAck = (sentAtMs: number): void => {
      this.lastAckMs = sentAtMs;
      this.#failures = 0;
      choice.welcomed(address);
    };
    const attempt = new SessionAttempt(address, this.#options, this.#reports, patience, onAck, this.#memory);
    this.#attempt = attempt;
    try {
      await attempt.run(signal);
    } finally {
      this.#attempt = undefined;
    }
  }

  #learnFrom(error: unknown, address: string): void {
    const { log, clock } = this.#options;
    this.#failures += 1;
    const { [leaderTrailer]: told, [nodeDeletedTrailer]: deletedAt } = error instanceof RpcError ? error.trailer : {};
    if (deletedAt !== undefined) this.#options.onNodeDeleted?.(deletedAt);
    if (error instanceof SilentServerError) this.#choice.silent(address, error.when, clock.monotonicMs());
    else if (isGantryError(error, 'unavailable')) this.#choice.broke(address, clock.monotonicMs());
    else this.#choice.refused(address, told, clock.monotonicMs());
    const { leader } = this.#choice;
    const fields = { server: address, error: messageOf(error), ...(leader && { leader }) };
    // Once for each reason, and now and then while it lasts.
    const news = fields.error !== this.#lastTrouble || this.#failures % 100 === 0;
    this.#lastTrouble = fields.error;
    if (news) log.warn(fields, 'no session with the control plane; trying again');
    else log.debug(fields, 'no session with the control plane; trying again');
    if (isGantryError(error, 'failedPrecondition')) this.#electingUntilMs = clock.monotonicMs() + electionMs;
  }

  #backoffMs(): number {
    // Straight to a leader one was just told of, once: two replicas that name each other must not make us spin.
    if (this.#choice.leader && this.#failures <= 1) return 0;
    const electing = this.#options.clock.monotonicMs() < this.#electingUntilMs;
    const longestMs = electing ? longestElectionBackoffMs : longestBackoffMs;
    const ceilingMs = Math.min(longestMs, firstBackoffMs * 2 ** Math.min(this.#failures, 10));
    return ceilingMs * (0.5 + this.#options.random.next() / 2);
  }
}
